import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import type { BodyBudget } from "../body-budget.ts";
import { OPEN_BODY_BYTES } from "../http/read-bytes.ts";

/** RFC 6455 section 7.4.1, and IANA for the second. */
const MESSAGE_TOO_BIG = 1009;
const TRY_AGAIN_LATER = 1013;
/** What frames a ping or pong of a client: two bytes of header, four of mask. */
const CONTROL_FRAME_BYTES = 6;

export interface SocketMeterOptions {
  /** What all bodies and messages that are being taken in may take together. */
  readonly budget: BodyBudget;
  /** Whether the socket has shown a good credential; without one, its messages are short. */
  isKnown(): boolean;
}

/** Counts what comes of a message until it is whole, and ends a socket that would have too much of it held. */
export function meterSocket(socket: WebSocket, connection: Duplex, { budget, isKnown }: SocketMeterOptions): void {
  let heldBytes = 0;

  const release = (bytes = heldBytes) => {
    const released = Math.min(bytes, heldBytes);
    heldBytes -= released;
    budget.giveBack(released);
  };
  const end = (code: number, reason: string) => {
    connection.off("data", hold);
    socket.close(code, reason);
    // Nothing more is read of it, as waiting for its farewell would.
    (connection as Duplex & { destroySoon(): void }).destroySoon();
  };
  const hold = (chunk: Buffer) => {
    if (!isKnown() && heldBytes + chunk.length > OPEN_BODY_BYTES) {
      end(MESSAGE_TOO_BIG, "Show a credential before large messages");
    } else if (!budget.take(chunk.length)) end(TRY_AGAIN_LATER, "Too many bytes of requests at a time");
    else heldBytes += chunk.length;
  };

  // Before ws itself, so that a message is counted when it is told of.
  connection.prependListener("data", hold);
  socket.on("message", () => release());
  for (const control of ["ping", "pong"] as const) {
    socket.on(control, (data) => release(CONTROL_FRAME_BYTES + data.length));
  }
  socket.once("close", () => {
    connection.off("data", hold);
    release();
  });
}
