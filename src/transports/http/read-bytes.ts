import type { IncomingMessage } from "node:http";
import { AppError } from "../../core/errors.ts";
import { type BodyBudget, noRoomForBody } from "../body-budget.ts";
import { bodyTooLarge } from "./http-error.ts";

/** A body of up to this size is taken in from anybody, as headers are. */
export const OPEN_BODY_BYTES = 16 * 1024;

/** Whether the request announces, or may have, a body that is taken in only from those with a credential. */
export function hasGuardedBody({ headers }: IncomingMessage): boolean {
  const length = headers["content-length"];
  return length === undefined ? headers["transfer-encoding"] !== undefined : Number(length) > OPEN_BODY_BYTES;
}

export interface ReadBytesOptions {
  readonly maxBytes: number;
  /** What all bodies that are being taken in may take together. */
  readonly budget: BodyBudget;
}

/** Collects the body's bytes. Where there are too many it stops reading: what is left of them is the caller's. */
export function readBytes(request: IncomingMessage, { maxBytes, budget }: ReadBytesOptions): Promise<Buffer> {
  if (Number(request.headers["content-length"]) > maxBytes) return Promise.reject(bodyTooLarge(maxBytes));
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    let heldBytes = 0;
    const release = () => {
      budget.giveBack(heldBytes);
      heldBytes = 0;
    };
    const refuse = (error: AppError) => {
      request.off("data", onData);
      request.pause();
      chunks.length = 0;
      release();
      reject(error);
    };
    const onData = (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) refuse(bodyTooLarge(maxBytes));
      else if (!budget.take(chunk.length)) refuse(noRoomForBody("gateway"));
      else {
        heldBytes += chunk.length;
        chunks.push(chunk);
      }
    };
    const onGone = () => {
      release();
      reject(new AppError("CANCELLED", "CLIENT_CLOSED", "The client went away before its body ended."));
    };
    request.on("data", onData);
    request.once("end", () => {
      // Every request closes in the end: an error for each of them would cost more than the body.
      request.off("close", onGone);
      release();
      resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
    });
    request.once("error", onGone);
    request.once("close", onGone);
  });
}
