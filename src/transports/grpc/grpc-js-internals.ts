import { constants, type Http2Stream } from "node:http2";
import type { Server } from "@grpc/grpc-js";
import type { GrpcCall } from "./grpc-call.ts";

// grpc-js has no option for what is done here. It is kept in one place, and each has a test that
// fails when a new version of grpc-js moves what it reaches for.

/** Refuses request headers of more than `bytes` in all; grpc-js would leave Node's 64 KiB. */
export function limitMetadata(server: Server, bytes: number): void {
  const options = Reflect.get(server, "commonServerOptions") as { settings?: object };
  options.settings = { ...options.settings, maxHeaderListSize: bytes };
}

/**
 * Resets the HTTP/2 stream of a client that stopped reading. A status would wait behind the
 * messages it does not read, and they would stay in memory for as long as it likes.
 */
export function resetUnreadStream(grpcCall: GrpcCall): void {
  http2Stream(grpcCall).close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

/** Whether the client broke off; "cancelled" then follows and says so. */
export function wasReset(grpcCall: GrpcCall): boolean {
  const stream = http2Stream(grpcCall);
  return stream.aborted || stream.destroyed || Boolean(stream.rstCode);
}

function http2Stream(grpcCall: GrpcCall): Http2Stream {
  return (Reflect.get(grpcCall, "call") as { readonly stream: Http2Stream }).stream;
}
