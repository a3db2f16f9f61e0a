import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { credentials, status } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createCredentials } from "./server-options.ts";
import { type EchoServer, startEchoServer } from "./testing/echo-server.ts";
import { say } from "./testing/promises.ts";

interface Pair {
  readonly key: Buffer;
  readonly cert: Buffer;
}

let folder = "";
let ca: Pair;
let gateway: Pair;
let worker: Pair;
let stranger: Pair;
let server: EchoServer | undefined;

const openssl = (...parameters: string[]) => promisify(execFile)("openssl", parameters, { cwd: folder });

async function createPair(name: string, issuer?: string): Promise<Pair> {
  const extensions = issuer ? "subjectAltName=DNS:localhost" : "basicConstraints=critical,CA:TRUE";
  await writeFile(join(folder, `${name}.ext`), extensions);
  const subject = ["-subj", `/CN=${name}`, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  await openssl("req", "-new", ...subject, "-keyout", `${name}.key`, "-out", `${name}.csr`);
  const signer = issuer
    ? ["-CA", `${issuer}.crt`, "-CAkey", `${issuer}.key`, "-CAcreateserial"]
    : ["-signkey", `${name}.key`];
  const out = ["-days", "1", "-extfile", `${name}.ext`, "-out", `${name}.crt`];
  await openssl("x509", "-req", "-in", `${name}.csr`, ...signer, ...out);
  return { key: await readFile(join(folder, `${name}.key`)), cert: await readFile(join(folder, `${name}.crt`)) };
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tarl-tls-"));
  ca = await createPair("ca");
  gateway = await createPair("gateway", "ca");
  worker = await createPair("worker", "ca");
  stranger = await createPair("stranger");
});
afterEach(() => server?.stop());
afterAll(() => rm(folder, { recursive: true }));

// Node warns where a certificate is checked against an IP address.
const asLocalhost = { "grpc.ssl_target_name_override": "localhost" };
const echo = { say: ({ text }: { text: string }) => ({ text }) };

test("over TLS a client that trusts the certificate is answered", async () => {
  server = await startEchoServer(echo, { tls: gateway });
  const trusting = server.client(asLocalhost, credentials.createSsl(ca.cert));
  expect((await say(trusting, { text: "hi" })).response).toMatchObject({ text: "hi" });
  const suspicious = server.client(asLocalhost, credentials.createSsl(stranger.cert));
  expect((await say(suspicious, { text: "hi" })).error?.code).toBe(status.UNAVAILABLE);
});

test("with mutual TLS only the clients whom the CA signed are answered", async () => {
  server = await startEchoServer(echo, { tls: { ...gateway, ca: ca.cert, requireClientCertificate: true } });
  const known = server.client(asLocalhost, credentials.createSsl(ca.cert, worker.key, worker.cert));
  expect((await say(known, { text: "hi" })).response).toMatchObject({ text: "hi" });
  const unknown = server.client(asLocalhost, credentials.createSsl(ca.cert, stranger.key, stranger.cert));
  expect((await say(unknown, { text: "hi" })).error?.code).toBe(status.UNAVAILABLE);
  const anonymous = server.client(asLocalhost, credentials.createSsl(ca.cert));
  expect((await say(anonymous, { text: "hi" })).error?.code).toBe(status.UNAVAILABLE);
});

test("client certificates cannot be required without a CA to check them", () => {
  expect(() => createCredentials({ ...gateway, requireClientCertificate: true })).toThrow(/no CA/);
});
