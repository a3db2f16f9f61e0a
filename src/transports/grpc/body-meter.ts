import type { Http2Session, ServerHttp2Stream } from "node:http2";
import { AppError } from "../../core/errors.ts";
import { type BodyBudget, createBodyBudget, noRoomForBody } from "../body-budget.ts";
import { createFrameCounter } from "./frame-counter.ts";
import type { BegunCall } from "./grpc-js-internals.ts";

export interface BodyLimits {
  /** What the calls of one connection may have sent of messages that are not whole, or wait to be read. */
  readonly maxConnectionBodyBytes: number;
  /** How long a message may take to arrive. */
  readonly bodyTimeoutMs: number;
}

/** Counts what clients send until it is handed over, and ends calls that would have too much of it held. */
export interface BodyMeter {
  begin(call: BegunCall): void;
  /** A message of a call with many of them was handed over. */
  taken(stream: object): void;
}

export function createBodyMeter(
  limits: BodyLimits,
  gateway: BodyBudget,
  fail: (call: BegunCall, error: AppError) => void,
): BodyMeter {
  const connections = new WeakMap<Http2Session, BodyBudget>();
  const onTaken = new WeakMap<object, () => void>();

  function budgetOf({ session }: ServerHttp2Stream): BodyBudget {
    let budget = session && connections.get(session);
    if (!budget) {
      budget = createBodyBudget(limits.maxConnectionBodyBytes);
      if (session) connections.set(session, budget);
    }
    return budget;
  }

  return {
    begin(call) {
      const { stream } = call;
      const connection = budgetOf(stream);
      const frames = call.hasManyRequests ? createFrameCounter() : undefined;
      let heldBytes = 0;
      let timer: NodeJS.Timeout | undefined;

      const giveBack = (bytes: number) => {
        heldBytes -= bytes;
        connection.giveBack(bytes);
        gateway.giveBack(bytes);
      };
      const finish = () => {
        clearTimeout(timer);
        timer = undefined;
        giveBack(heldBytes);
      };
      const startTimer = () => {
        timer ??= setTimeout(() => fail(call, bodyTooSlow(limits.bodyTimeoutMs)), limits.bodyTimeoutMs);
      };

      function hold(bytes: number): void {
        const hasConnectionRoom = connection.take(bytes);
        if (hasConnectionRoom && gateway.take(bytes)) {
          heldBytes += bytes;
          return;
        }
        if (hasConnectionRoom) connection.giveBack(bytes);
        fail(call, noRoomForBody(hasConnectionRoom ? "gateway" : "connection"));
      }

      stream.on("data", (chunk: Buffer) => {
        hold(chunk.length);
        if (!frames) return;
        frames.add(chunk);
        if (frames.isWithinMessage) startTimer();
        else {
          clearTimeout(timer);
          timer = undefined;
        }
      });
      stream.once("close", finish);
      if (frames) onTaken.set(stream, () => giveBack(Math.min(heldBytes, frames.take())));
      else {
        startTimer();
        stream.once("end", finish);
      }
    },
    taken: (stream) => onTaken.get(stream)?.(),
  };
}

function bodyTooSlow(timeoutMs: number): AppError {
  return new AppError(
    "DEADLINE_EXCEEDED",
    "REQUEST_TOO_SLOW",
    `The request did not arrive within ${timeoutMs} ms. Send it again, faster or in smaller pieces.`,
  );
}
