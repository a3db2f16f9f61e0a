import type { IncomingCall } from "../../core/call.ts";
import type { GrpcCall } from "./grpc-call.ts";

/** A client's own name for its request, longer than which it is not taken over. */
const MAX_REQUEST_ID_LENGTH = 128;

/** Our error carries its reason; grpc-js, which ends a call at the very deadline by itself, gives none. */
const ANSWER_MARGIN_MS = 5;

/** What grpc-js knows of a call. */
export class GrpcIncomingCall implements IncomingCall {
  readonly protocol = "grpc";
  readonly authorization: string | undefined;
  readonly idempotencyKey: string | undefined;
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  readonly timeoutMs: number | undefined;
  readonly requestId: string | undefined;
  readonly peer: string;

  constructor(grpcCall: GrpcCall) {
    const { metadata } = grpcCall;
    const text = (key: string) => metadata.get(key)[0] as string | undefined;
    const requestId = text("x-request-id");
    const deadline = Number(grpcCall.getDeadline());
    this.authorization = text("authorization");
    this.idempotencyKey = text("idempotency-key");
    this.traceparent = text("traceparent");
    this.tracestate = text("tracestate");
    this.timeoutMs = Number.isFinite(deadline) ? Math.max(0, deadline - Date.now() - ANSWER_MARGIN_MS) : undefined;
    this.peer = grpcCall.getPeer();
    this.requestId = requestId && requestId.length <= MAX_REQUEST_ID_LENGTH ? requestId : undefined;
  }
}
