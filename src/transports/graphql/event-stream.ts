import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { ExecutionResult } from "graphql";
import { toWireResult, type WireResult } from "./answer.ts";
import type { GraphqlContext } from "./context.ts";
import { toGraphqlError } from "./errors.ts";
import { EVENT_STREAM_TYPE } from "./media-type.ts";

const CURSOR = /^[\x21-\x7e]{1,1024}$/;

/** An open answer in server-sent events, as the graphql-sse protocol has them ("distinct connections"). */
export interface EventStream {
  /** Writes one result and waits until the client has room for the next; false where it has gone. */
  next(result: WireResult, cursor: string | undefined): Promise<boolean>;
  /** Says that nothing follows, so that a cut stream is not taken for a finished one. */
  complete(): void;
}

/** Begins the stream. A client that lets two heartbeats go by without reading is cut off. */
export function openEventStream(
  response: ServerResponse,
  headers: OutgoingHttpHeaders,
  heartbeatMs: number,
): EventStream {
  response.writeHead(200, {
    ...headers,
    "Content-Type": `${EVENT_STREAM_TYPE}; charset=utf-8`,
    "X-Accel-Buffering": "no",
  });
  response.write(":\n\n");
  let missed = 0;
  const timer = setInterval(() => {
    if (!response.writableNeedDrain) {
      missed = 0;
      response.write(":\n\n");
    } else if (++missed >= 2) {
      response.destroy();
    }
  }, heartbeatMs);
  response.once("close", () => clearInterval(timer));

  return {
    async next(result, cursor) {
      if (response.destroyed) return false;
      const id = cursor !== undefined && CURSOR.test(cursor) ? `id: ${cursor}\n` : "";
      if (!response.write(`${id}event: next\ndata: ${JSON.stringify(result)}\n\n`)) {
        await drained(response);
      }
      return !response.destroyed;
    },
    complete() {
      clearInterval(timer);
      if (!response.destroyed) response.end("event: complete\ndata:\n\n");
    },
  };
}

/** Resolves when there is room again, or when the client has gone. */
function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const settle = () => {
      response.off("drain", settle);
      response.off("close", settle);
      resolve();
    };
    response.on("drain", settle);
    response.on("close", settle);
  });
}

/** Sends every result of a subscription, at last the error that ended it, if one did. */
export async function sendSubscription(
  stream: EventStream,
  results: AsyncIterableIterator<ExecutionResult>,
  context: GraphqlContext,
): Promise<void> {
  const { requestId } = context.facts;
  try {
    for await (const result of results) {
      if (!(await stream.next(toWireResult(result, requestId), context.cursor))) return;
    }
  } catch (error) {
    await stream.next(toWireResult({ errors: [toGraphqlError(error, requestId)] }, requestId), undefined);
  }
  stream.complete();
}
