import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { CompactSign, exportJWK, generateKeyPair, type JWK } from "jose";
import type { Clock } from "../../core/clock.ts";

export interface TestIdentityProvider {
  readonly issuer: string;
  readonly audience: string;
  readonly jwksUrl: string;
  /** How often its keys were asked for. */
  fetches(): number;
  /** Publishes these keys alone, made where they are new. */
  publish(...keyIds: string[]): Promise<void>;
  /** The public keys as they are published. */
  published(): readonly JWK[];
  /** Answers whoever asks for the keys in this way, until told otherwise; undefined is the right way. */
  answerWith(listener: RequestListener | undefined): void;
  /** A signed token: good but for the claims given, or with exactly the JSON text given. */
  token(claims?: Record<string, unknown> | string, keyId?: string): Promise<string>;
  close(): Promise<void>;
}

/** An identity provider on a free port, which has published the key "one". */
export async function createTestIdentityProvider(clock: Clock): Promise<TestIdentityProvider> {
  const issuer = "https://id.example";
  const audience = "tarl";
  const keys = new Map<string, { secret: CryptoKey; jwk: JWK }>();
  let jwks: JWK[] = [];
  let fetches = 0;
  let misbehave: RequestListener | undefined;

  const server = createServer((request, response) => {
    fetches += 1;
    if (misbehave) misbehave(request, response);
    else response.setHeader("content-type", "application/json").end(JSON.stringify({ keys: jwks }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  async function keyFor(keyId: string) {
    const known = keys.get(keyId);
    if (known) return known;
    const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
    const made = { secret: privateKey, jwk: { ...(await exportJWK(publicKey)), kid: keyId, alg: "ES256", use: "sig" } };
    keys.set(keyId, made);
    return made;
  }
  const publish = async (...keyIds: string[]) => {
    jwks = (await Promise.all(keyIds.map(keyFor))).map(({ jwk }) => jwk);
  };
  await publish("one");

  return {
    issuer,
    audience,
    jwksUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`,
    fetches: () => fetches,
    publish,
    published: () => jwks,
    answerWith(listener) {
      misbehave = listener;
    },
    async token(claims = {}, keyId = "one") {
      const good = { iss: issuer, aud: audience, sub: "ada", exp: Math.floor(clock.now() / 1000) + 86_400 };
      const text = typeof claims === "string" ? claims : JSON.stringify({ ...good, ...claims });
      const header = { alg: "ES256", kid: keyId };
      return new CompactSign(Buffer.from(text)).setProtectedHeader(header).sign((await keyFor(keyId)).secret);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
