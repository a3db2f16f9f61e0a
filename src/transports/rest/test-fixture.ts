import { connect } from "node:net";
import { z } from "zod";
import type { Call } from "../../core/call.ts";
import { systemClock } from "../../core/clock.ts";
import { AppError, ERROR_CODES, type ErrorCode } from "../../core/errors.ts";
import type { Dispatcher } from "../../core/exchange.ts";
import { createIdGenerator } from "../../core/ids.ts";
import { json } from "../../core/json.ts";
import { type AnyOperation, operation, serverStream } from "../../core/operation.ts";
import { message } from "../../core/schema.ts";
import { parseInput } from "../../interceptors/violations.ts";
import { createRestTransport, type RestTransport, type RestTransportOptions } from "./rest-transport.ts";

const Echo = z.object({ echo: z.unknown() });
const namespace = z.string();
const thingId = z.string();
const echo = (_services: unknown, input: object) => ({ echo: input });

/** What the streaming fixture does; each test puts its own here. */
export interface StreamScript {
  run(input: { cursor?: string | undefined }, call: Call): AsyncIterable<{ cursor: string; text: string }>;
}

/** Operations that echo their input, one for every shape of route. */
export function fixtureOperations(script: StreamScript): AnyOperation[] {
  const base = { grpc: "ThingService/Any", graphql: "query any", permission: "things.any", summary: "A fixture." };
  const things = "/v1/namespaces/{namespace}/things";
  const item = message("Item", "A fixture.", { name: z.string().max(50), size: z.int().optional() });
  return [
    operation({
      ...base,
      name: "things.get",
      rest: `GET ${things}/{thingId}`,
      input: message("Get", "A fixture.", { namespace, thingId }),
      output: z.object({ thingId: z.string(), etag: z.string() }),
      handle: (_services, input) => ({ thingId: input.thingId, etag: "v7" }),
    }),
    operation({
      ...base,
      name: "things.list",
      rest: `GET ${things}`,
      input: message("List", "A fixture.", {
        namespace,
        pageSize: z.int().min(1).max(1000).default(50),
        states: z.array(z.enum(["READY", "DONE"])).optional(),
        labels: z.record(z.string(), z.string()).optional(),
        deep: z.boolean().optional(),
        query: z.string().optional(),
      }),
      output: Echo,
      handle: echo,
    }),
    operation({
      ...base,
      name: "things.create",
      rest: `POST ${things}`,
      input: message("Create", "A fixture.", {
        namespace,
        name: z.string().max(50).optional(),
        payload: json("Anything.").optional(),
        items: z.array(item).optional(),
      }),
      output: Echo,
      handle: echo,
    }),
    operation({
      ...base,
      name: "things.delete",
      rest: `DELETE ${things}/{thingId}`,
      input: message("Delete", "A fixture.", { namespace, thingId, force: z.boolean().optional() }),
      output: Echo,
      handle: echo,
    }),
    ...["POST /{thingId}:cancel", "POST /{thingId}:retry", "POST :batch"].map((rest) => {
      const suffix = rest.slice("POST ".length);
      const shape = { namespace, ...(suffix.startsWith("/") && { thingId }), note: z.string().optional() };
      return operation({
        ...base,
        name: `things${suffix}`,
        rest: `POST ${things}${suffix}`,
        input: message(`Verb${suffix}`, "A fixture.", shape),
        output: Echo,
        handle: (_services: unknown, input) => ({ echo: { ...input, verb: suffix } }),
      });
    }),
    operation({
      ...base,
      name: "fail",
      rest: "GET /v1/fail/{code}",
      input: message("Fail", "A fixture.", { code: z.enum(ERROR_CODES) }),
      output: Echo,
      handle: (_services, input) => {
        throw new AppError(input.code as ErrorCode, "FIXTURE_REASON", "A fixture failed.", { retryAfterMs: 1_200 });
      },
    }),
    operation({
      ...base,
      name: "wait",
      rest: "POST /v1/wait",
      input: message("Wait", "A fixture.", {}),
      output: Echo,
      handle: (_services, _input, call) =>
        new Promise<never>((_resolve, reject) => {
          call.signal.addEventListener("abort", () => reject(call.signal.reason));
        }),
    }),
    serverStream({
      ...base,
      name: "things.watch",
      rest: `GET ${things}:watch`,
      graphql: "subscription any",
      cursor: { output: "cursor", input: "cursor" },
      input: message("Watch", "A fixture.", { namespace, cursor: z.string().optional() }),
      output: z.object({ cursor: z.string(), text: z.string() }),
      handle: (_services, input, call) => script.run(input, call),
    }),
  ];
}

export interface FakeDispatcher extends Dispatcher {
  /** Every call that came in, in its order. */
  readonly calls: Call[];
}

/** Validates and runs the operation, with a rate limit in each answer; nothing else of the real one. */
export function createFakeDispatcher(): FakeDispatcher {
  const calls: Call[] = [];
  const enter = (call: Call) => {
    calls.push(call);
    call.rateLimit = { limit: 100, windowSeconds: 60, remaining: 41, resetSeconds: 13 };
  };
  return {
    calls,
    async unary(operation, input, call) {
      enter(call);
      return operation.handle({}, parseInput(operation, input) as never, call);
    },
    async *serverStream(operation, input, call) {
      enter(call);
      yield* operation.handle({}, parseInput(operation, input) as never, call);
    },
    // biome-ignore lint/correctness/useYield: REST offers no such operation.
    async *bidi() {
      throw new Error("REST never calls this");
    },
  };
}

export interface RestFixture {
  readonly transport: RestTransport;
  readonly calls: Call[];
  readonly script: StreamScript;
  readonly url: string;
  readonly port: number;
}

/** A started transport on a free port. The caller stops it. */
export async function startFixture(options: Partial<RestTransportOptions> = {}): Promise<RestFixture> {
  const script: StreamScript = {
    run: async function* () {
      yield { cursor: "c1", text: "one" };
    },
  };
  const dispatcher = createFakeDispatcher();
  const transport = createRestTransport({
    host: "127.0.0.1",
    port: 0,
    operations: fixtureOperations(script),
    dispatcher,
    ids: createIdGenerator(systemClock),
    logger: { warn: () => undefined, error: () => undefined },
    openapi: { openapi: "3.1.0", info: { title: "Fixture", version: "1" }, paths: {} },
    health: { live: () => ({ healthy: true }), ready: () => ({ healthy: false, checks: { database: "down" } }) },
    ...options,
  });
  await transport.start();
  return { transport, calls: dispatcher.calls, script, url: transport.address.url, port: transport.address.port };
}

/** Sends bytes as they are and answers all that comes back until the connection closes. */
export function sendRaw(port: number, request: string | Uint8Array): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = connect(port, "127.0.0.1", () => socket.write(request));
    socket.on("data", (chunk) => chunks.push(chunk));
    socket.on("error", reject);
    socket.on("close", () => resolve(Buffer.concat(chunks).toString()));
  });
}
