import {
  constants,
  type Http2SecureServer,
  type Http2Server,
  type Http2Stream,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from "node:http2";
import type {
  Server,
  ServerCredentials,
  ServerDuplexStream,
  ServerInterceptingCall,
  ServerInterceptor,
  StatusObject,
} from "@grpc/grpc-js";
import type { GrpcCall } from "./grpc-call.ts";

// grpc-js has no option for what is done here. It is kept in one place, and each has a test that
// fails when a new version of grpc-js moves what it reaches for.

export interface Http2Options {
  /** Request headers of more bytes in all are refused; grpc-js would leave Node's 64 KiB. */
  readonly maxHeaderBytes: number;
  /** How long a TLS handshake may take; Node's default is two minutes. */
  readonly handshakeTimeoutMs: number;
}

/** Sets what grpc-js has no options for on the HTTP/2 servers that it makes. */
export function setHttp2Options(server: Server, { maxHeaderBytes, handshakeTimeoutMs }: Http2Options): void {
  const options = Reflect.get(server, "commonServerOptions") as { settings?: object; handshakeTimeout?: number };
  options.settings = { ...options.settings, maxHeaderListSize: maxHeaderBytes };
  options.handshakeTimeout = handshakeTimeoutMs;
}

/** Shows each HTTP/2 server that grpc-js makes to `tune`, before it listens. */
export function onHttp2Server(server: Server, tune: (http2Server: Http2Server | Http2SecureServer) => void): void {
  const create = (Reflect.get(server, "createHttp2Server") as (from: ServerCredentials) => Http2Server).bind(server);
  Reflect.set(server, "createHttp2Server", (credentials: ServerCredentials) => {
    const http2Server = create(credentials);
    tune(http2Server);
    return http2Server;
  });
}

/** Sees a call's headers before grpc-js does: it begins when, and if, `proceed` is called. */
export type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, proceed: () => void) => void;

export function onStream(server: Server, guard: OnStream): void {
  const handle = Reflect.get(server, "_streamHandler") as (...values: unknown[]) => void;
  Reflect.set(
    server,
    "_streamHandler",
    (interceptors: unknown, stream: ServerHttp2Stream, headers: IncomingHttpHeaders) =>
      guard(stream, headers, () => handle.call(server, interceptors, stream, headers)),
  );
}

/**
 * Resets the HTTP/2 stream of a client that stopped reading. A status would wait behind the
 * messages it does not read, and they would stay in memory for as long as it likes.
 */
export function resetUnreadStream(grpcCall: GrpcCall): void {
  http2Stream(grpcCall).close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

/** What to say in place of a status that grpc-js would send; undefined leaves it. */
export type OwnStatus = (status: Parameters<ServerInterceptingCall["sendStatus"]>[0]) => StatusObject | undefined;

/** A call that grpc-js has begun and has read nothing of yet. */
export interface BegunCall {
  readonly stream: ServerHttp2Stream;
  readonly path: string;
  readonly hasManyRequests: boolean;
  /** Takes no larger messages of this one. */
  limitMessages(bytes: number): void;
  /** Answers it, whatever has arrived of it. */
  end(status: StatusObject): void;
}

/** The innermost call of grpc-js. */
interface InnermostCall extends ServerInterceptingCall {
  readonly stream: ServerHttp2Stream;
  readonly decoder: { maxReadMessageLength: number };
  readonly metadataSent: boolean;
  readonly receivedHalfClose: boolean;
  maxReceiveMessageSize: number;
}

/**
 * Tells of each call that begins, and lets `own` replace statuses on their way out. An interceptor's
 * own hook sees only what handlers send; what grpc-js sends by itself, e.g. for a message that is too
 * large, begins at the innermost call, which is the one that the innermost interceptor is given.
 */
export function createCallInterceptor(own: OwnStatus, begun: (call: BegunCall) => void): ServerInterceptor {
  return ({ path, requestStream }, nextCall) => {
    const call = nextCall as unknown as InnermostCall;
    const sendStatus = call.sendStatus.bind(call);
    call.sendStatus = (status) => {
      sendStatus(own(status) ?? status);
      resetOnceAnswered(call);
    };
    begun({
      stream: call.stream,
      path,
      hasManyRequests: requestStream,
      limitMessages(bytes) {
        call.maxReceiveMessageSize = bytes;
        call.decoder.maxReadMessageLength = bytes;
      },
      end: (status) => call.sendStatus(status),
    });
    return call;
  };
}

/** A client that does not end its side of an answered call would keep the call's place on the connection. */
function resetOnceAnswered({ stream, metadataSent, receivedHalfClose }: InnermostCall): void {
  if (receivedHalfClose || stream.destroyed) return;
  const reset = () => stream.close(constants.NGHTTP2_NO_ERROR);
  // grpc-js listens for this too, and Node sends the trailers that it then gives in an immediate of its own.
  if (metadataSent) stream.once("wantTrailers", () => setImmediate(reset));
  else reset();
}

/** Asks `refuse` for the status of calls whose path no service has. */
export function onUnknownMethod(server: Server, refuse: (path: string) => StatusObject): void {
  const handlers = Reflect.get(server, "handlers") as Map<string, object>;
  const asIs = (bytes: Buffer) => bytes;
  Reflect.set(server, "_retrieveHandler", (path: string) => {
    const func = (stream: ServerDuplexStream<Buffer, Buffer>) => stream.emit("error", refuse(path));
    return handlers.get(path) ?? { func, path, type: "bidi", serialize: asIs, deserialize: asIs };
  });
}

/** Whether the client broke off; "cancelled" then follows and says so. */
export function wasReset(grpcCall: GrpcCall): boolean {
  const stream = http2Stream(grpcCall);
  return stream.aborted || stream.destroyed || Boolean(stream.rstCode);
}

/** Whether everything, the status included, has been handed to the connection. */
export function wasDelivered(grpcCall: GrpcCall): boolean {
  return (http2Stream(grpcCall) as ServerHttp2Stream & { readonly sentTrailers?: object }).sentTrailers !== undefined;
}

/** The HTTP/2 stream beneath a call. */
export function http2Stream(grpcCall: GrpcCall): Http2Stream {
  return (Reflect.get(grpcCall, "call") as { readonly stream: Http2Stream }).stream;
}
