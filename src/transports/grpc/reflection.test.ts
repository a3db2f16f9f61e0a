import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, expect, test } from "vitest";
import { AppError } from "../../core/errors.ts";
import { BUF } from "./testing/buf.ts";
import { type EchoHandlers, type EchoServer, startEchoServer } from "./testing/echo-server.ts";

// buf knows our protos only through reflection.
let server: EchoServer | undefined;
afterEach(() => server?.stop());

async function start(handlers: EchoHandlers, options?: Parameters<typeof startEchoServer>[1]) {
  server = await startEchoServer(handlers, options);
  return server;
}

interface Answer {
  readonly stdout: string;
  readonly stderr: string;
}

function bufCurl(address: string, path: string, ...flags: string[]): Promise<Answer> {
  const url = `http://${address}${path}`;
  const parameters = [BUF, "curl", "--protocol", "grpc", "--http2-prior-knowledge", ...flags, url];
  return promisify(execFile)(process.execPath, parameters, { timeout: 20_000 });
}

test("a client without our protos finds and calls everything", async () => {
  const { transport } = await start({
    say: ({ text, times, payload }) => ({ text: text.repeat(times ?? 1), saidAt: "2027-01-31T09:30:00Z", payload }),
    async *count({ upTo }) {
      for (let index = 1; index <= upTo; index++) yield { index, padding: "" };
    },
  });
  const { address } = transport;
  expect((await bufCurl(address, "", "--list-methods")).stdout.trim().split("\n").sort()).toEqual([
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/List",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    "tarl.v1.EchoService/Chat",
    "tarl.v1.EchoService/Count",
    "tarl.v1.EchoService/Say",
  ]);
  const request = JSON.stringify({ text: "ab", times: 2, payload: { a: [1, null, { b: "c" }] } });
  const said = await bufCurl(address, "/tarl.v1.EchoService/Say", "-d", request);
  expect(JSON.parse(said.stdout)).toEqual({
    text: "abab",
    saidAt: "2027-01-31T09:30:00Z",
    payload: { a: [1, null, { b: "c" }] },
  });
  const alpha = await bufCurl(
    address,
    "/tarl.v1.EchoService/Count",
    "--reflect-protocol",
    "grpc-v1alpha",
    "-d",
    '{"upTo":2}',
  );
  expect(alpha.stdout.replace(/\s/g, "")).toBe('{"index":1}{"index":2}');
  const health = await bufCurl(address, "/grpc.health.v1.Health/Check", "-d", '{"service":"tarl.v1.EchoService"}');
  expect(JSON.parse(health.stdout)).toEqual({ status: "SERVING" });
});

test("it reads the details of errors", async () => {
  const { transport } = await start({
    say() {
      throw new AppError("ABORTED", "LEASE_LOST", "The lease is another's now.");
    },
  });
  const failed = await bufCurl(transport.address, "/tarl.v1.EchoService/Say", "-d", "{}").catch(
    (error: Answer) => error,
  );
  expect(JSON.parse(failed.stderr)).toMatchObject({
    code: "aborted",
    message: "The lease is another's now.",
    details: [{ type: "google.rpc.ErrorInfo" }],
  });
});

test("it can be switched off", async () => {
  const { transport } = await start({}, { reflection: false });
  const failed = await bufCurl(transport.address, "", "--list-methods").catch((error: Answer) => error);
  expect(failed.stderr).toContain("unimplemented");
});
