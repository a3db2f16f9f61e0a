import { expect, test } from "vitest";
import { z } from "zod";
import { Call } from "../core/call.ts";
import { AppError } from "../core/errors.ts";
import type { Exchange } from "../core/exchange.ts";
import { operation } from "../core/operation.ts";
import { ANONYMOUS } from "../core/principal.ts";
import { guardStreams } from "./guard-streams.ts";

const poll = operation({
  name: "things.poll",
  summary: "Waits.",
  rest: "POST /v1/things:poll",
  grpc: "ThingService/Poll",
  graphql: "mutation poll",
  permission: "",
  input: z.strictObject({ waitMs: z.int().optional() }),
  output: z.strictObject({}),
  handle: () => ({}),
});

/** A guard whose callers have all been revoked meanwhile. */
const guard = guardStreams({
  authenticator: {
    peek: () => undefined,
    authenticate: () => Promise.reject(new AppError("UNAUTHENTICATED", "CREDENTIALS_INVALID", "Revoked.")),
  },
  directory: { peek: () => undefined, get: () => Promise.resolve(undefined) } as never,
  recheckMs: 1,
});

test("a long poll ends when its key is revoked, before anything is granted to it", async () => {
  const call = new Call({ protocol: "rest" });
  call.principal = ANONYMOUS;
  const exchange: Exchange = { operation: poll, call, input: { waitMs: 30_000 } };
  const ended = new Promise((resolve) => call.onAbort(resolve));
  void guard(exchange, () => new Promise(() => {}));
  expect(await ended).toMatchObject({ reason: "CREDENTIALS_INVALID" });
});

test("a call that does not wait is not looked at again", async () => {
  const call = new Call({ protocol: "rest" });
  expect(await guard({ operation: poll, call, input: {} }, () => Promise.resolve("answer"))).toBe("answer");
  expect(call.abortReason).toBeUndefined();
});
