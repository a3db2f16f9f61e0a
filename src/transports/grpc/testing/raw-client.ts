import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type OutgoingHttpHeaders } from "node:http2";
import type { Metadata } from "@grpc/grpc-js";
import { richStatus } from "./rich-status.ts";

/** What came back of one call. */
export interface RawAnswer {
  readonly status: number;
  readonly reason: unknown;
  readonly rstCode: number;
  readonly headers: Record<string, unknown>;
}

/** A client that says what it likes, because it speaks HTTP/2 without a gRPC library. */
export interface RawClient {
  readonly session: ClientHttp2Session;
  /** Opens a call and sends no body yet. */
  open(path: string, headers?: OutgoingHttpHeaders): ClientHttp2Stream;
  close(): void;
}

export async function connectRaw(address: string): Promise<RawClient> {
  const session = connect(`http://${address}`);
  session.on("error", () => {});
  await once(session, "remoteSettings");
  return {
    session,
    open(path, headers = {}) {
      const type = { "content-type": "application/grpc", te: "trailers" };
      const stream = session.request({ ":method": "POST", ":path": path, ...type, ...headers });
      stream.on("error", () => {});
      stream.resume();
      return stream;
    },
    close: () => session.destroy(),
  };
}

/** A message as it travels; with `declaredBytes` it says that it is longer than it is. */
export function frame(message: Uint8Array, declaredBytes = message.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(declaredBytes, 1);
  return Buffer.concat([prefix, message]);
}

/** Resolves once the stream has closed, with what it was answered. */
export async function answerOf(stream: ClientHttp2Stream): Promise<RawAnswer> {
  let headers: Record<string, unknown> = {};
  stream.on("response", (received) => {
    headers = { ...headers, ...received };
  });
  stream.on("trailers", (received) => {
    headers = { ...headers, ...received };
  });
  await once(stream, "close");
  const details = headers["grpc-status-details-bin"];
  const metadata = { get: () => [Buffer.from(String(details), "base64")] } as unknown as Metadata;
  return {
    status: Number(headers["grpc-status"]),
    reason: details === undefined ? undefined : richStatus({ metadata }).ErrorInfo?.reason,
    rstCode: stream.rstCode ?? 0,
    headers,
  };
}
