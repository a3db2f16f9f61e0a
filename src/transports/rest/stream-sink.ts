import type { ServerResponse } from "node:http";
import type { RestLimits } from "./limits.ts";

/** The writing half of a stream: status line, heartbeats and back-pressure. */
export interface StreamSink {
  /** Writes one record; resolves when the client has room for another. */
  write(record: string): Promise<void> | undefined;
  /** Writes the last record and ends the answer. */
  close(record: string): void;
  /** Stops the timers without writing anything more. */
  dispose(): void;
}

/**
 * `sendHead` is called once, before the first record or after a short quiet time, whichever comes
 * first: until then an early failure can still have a real status. `onStalled` is called when the
 * client has not read what is buffered for it in time.
 */
export function createStreamSink(
  response: ServerResponse,
  limits: RestLimits,
  heartbeat: string,
  sendHead: () => void,
  onStalled: () => void,
): StreamSink {
  let hasWritten = false;
  let stallTimer: NodeJS.Timeout | undefined;
  let waiting: (() => void) | undefined;

  const settle = () => {
    clearTimeout(stallTimer);
    stallTimer = undefined;
    waiting?.();
    waiting = undefined;
  };
  const push = (record: string) => {
    if (!response.headersSent) sendHead();
    hasWritten = true;
    if (!response.write(record)) stallTimer ??= setTimeout(onStalled, limits.streamStallMs);
  };
  const beat = () => {
    // A client with a backlog has bytes to see that it is connected; more of them would not help it.
    if (!hasWritten && !response.writableNeedDrain) push(heartbeat);
    hasWritten = false;
  };
  const quietTimer = setTimeout(beat, limits.streamQuietMs);
  const heartbeatTimer = setInterval(beat, limits.streamHeartbeatMs);
  response.on("drain", settle);
  const dispose = () => {
    clearTimeout(quietTimer);
    clearInterval(heartbeatTimer);
    settle();
  };

  return {
    write(record) {
      clearTimeout(quietTimer);
      push(record);
      if (!response.writableNeedDrain || response.writableLength <= limits.streamBufferBytes) return undefined;
      return new Promise((resolve) => {
        waiting = resolve;
      });
    },
    close(record) {
      if (!response.headersSent) sendHead();
      dispose();
      response.end(record);
    },
    dispose,
  };
}
