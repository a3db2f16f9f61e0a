import { mkdtempSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { SecureContextOptions } from "node:tls";
import { credentials } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createCertificate } from "../support/certificates.ts";
import { type GatewayProcess, showGatewaysOnFailure, startGateway } from "../support/gateway-process.ts";
import { grpcClient } from "./client.ts";

showGatewaysOnFailure();

let folder = "";
let gateway: GatewayProcess | undefined;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "tarl-tls-"));
  await createCertificate(folder, "ca");
  await createCertificate(folder, "gateway", "ca");
  await createCertificate(folder, "client", "ca");
  await createCertificate(folder, "stranger");
});
afterEach(async () => {
  await gateway?.remove();
  gateway = undefined;
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const file = (name: string) => join(folder, name);
const read = (name: string) => readFileSync(file(name));

interface HttpsAnswer {
  readonly status: number | undefined;
  readonly body: string;
}

function https(url: string, method: string, key: string, tls: SecureContextOptions, body = ""): Promise<HttpsAnswer> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    const sent = request(url, { method, headers, ...tls, agent: false }, async (response) =>
      resolve({ status: response.statusCode, body: await text(response) }),
    );
    sent.once("error", reject);
    sent.end(body);
  });
}

/** What each of the three ports answers a client with these certificates; an error's text where it is none. */
async function askAll({ rest, graphql, grpc, adminKey }: GatewayProcess, tls: SecureContextOptions) {
  const said = (error: Error) => error.message;
  const channel = credentials.createSsl(
    tls.ca as Buffer | undefined,
    tls.key as Buffer | undefined,
    tls.cert as Buffer | undefined,
  );
  // Node warns where a certificate is checked against an IP address.
  const client = grpcClient(grpc, adminKey, "NamespaceService", channel, {
    "grpc.ssl_target_name_override": "localhost",
  });
  const query = JSON.stringify({ query: '{ namespace(namespace: "default") { namespace { name } } }' });
  const answers = {
    rest: await https(`${rest}/v1/namespaces/default`, "GET", adminKey, tls).then(
      ({ body }) => JSON.parse(body).namespace.name,
      said,
    ),
    graphql: await https(graphql, "POST", adminKey, tls, query).then(
      ({ body }) => JSON.parse(body).data.namespace.namespace.name,
      said,
    ),
    grpc: await client.unary("GetNamespace", { namespace: "default" }).then(({ namespace }) => namespace.name, said),
  };
  client.close();
  return answers;
}

const ANSWERED = { rest: "default", graphql: "default", grpc: "default" };

test("with a certificate, all three ports speak TLS and nothing else", async () => {
  gateway = await startGateway({
    environment: { TARL_TLS_CERT_FILE: file("gateway.crt"), TARL_TLS_KEY_FILE: file("gateway.key") },
  });
  expect([gateway.rest, gateway.graphql]).toEqual([expect.stringMatching(/^https:/), expect.stringMatching(/^https:/)]);
  expect(await askAll(gateway, { ca: read("ca.crt") })).toEqual(ANSWERED);
  const suspicious = await askAll(gateway, { ca: read("stranger.crt") });
  expect(Object.values(suspicious)).not.toContain("default");
  await expect(fetch(gateway.rest.replace("https:", "http:"))).rejects.toThrow();
  await gateway.stop();
}, 120_000);

test("with an authority for clients, all three ports ask for its certificates", async () => {
  gateway = await startGateway({
    environment: {
      TARL_TLS_CERT_FILE: file("gateway.crt"),
      TARL_TLS_KEY_FILE: file("gateway.key"),
      TARL_TLS_CLIENT_CA_FILE: file("ca.crt"),
    },
  });
  const ca = read("ca.crt");
  expect(await askAll(gateway, { ca, key: read("client.key"), cert: read("client.crt") })).toEqual(ANSWERED);
  const strange = await askAll(gateway, { ca, key: read("stranger.key"), cert: read("stranger.crt") });
  expect(Object.values(strange)).not.toContain("default");
  expect(Object.values(await askAll(gateway, { ca }))).not.toContain("default");
}, 120_000);
