import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { sendRaw, startFixture } from "./test-fixture.ts";

async function createSelfSigned() {
  const folder = await mkdtemp(join(tmpdir(), "tarl-rest-tls-"));
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "key.pem"];
  const names = ["-subj", "/CN=gateway", "-addext", "subjectAltName=IP:127.0.0.1"];
  await promisify(execFile)("openssl", ["req", "-x509", ...key, ...names, "-days", "1", "-out", "cert.pem"], {
    cwd: folder,
  });
  const pair = { key: await readFile(join(folder, "key.pem")), cert: await readFile(join(folder, "cert.pem")) };
  await rm(folder, { recursive: true });
  return pair;
}

test("the same server speaks TLS, hangs up on plain HTTP, and stops", async () => {
  const pair = await createSelfSigned();
  const { transport, url, port } = await startFixture({ tls: pair });
  expect(url).toBe(`https://127.0.0.1:${port}`);
  const status = await new Promise((resolve, reject) => {
    request(`${url}/livez`, { ca: pair.cert }, (answer) => resolve(answer.resume().statusCode))
      .on("error", reject)
      .end();
  });
  expect(status).toBe(200);
  expect(await sendRaw(port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")).not.toContain("200");
  await transport.stop(1_000);
});
