import type { handleUnaryCall, Metadata } from "@grpc/grpc-js";
import { Call } from "../../core/call.ts";
import { AppError } from "../../core/errors.ts";
import type { UnaryOperation } from "../../core/operation.ts";
import type { ActiveCall } from "./active-calls.ts";
import { type CallContext, cancellation, errorStatus } from "./call-context.ts";
import { wasDelivered } from "./grpc-js-internals.ts";
import { GrpcIncomingCall } from "./incoming-call.ts";
import type { Method } from "./method.ts";
import { responseMetadata } from "./response-metadata.ts";

// biome-ignore lint/suspicious/noExplicitAny: transports do not know the services behind an operation.
export type UnaryMethod = Method<UnaryOperation<any>>;

/** Answers a call with one request and one answer. */
export function createUnaryHandler(method: UnaryMethod, context: CallContext): handleUnaryCall<unknown, Buffer> {
  const { dispatcher, activeCalls } = context;

  return (grpcCall, respond) => {
    const call = new Call(new GrpcIncomingCall(grpcCall));
    let settled = false;

    const active: ActiveCall = {
      kind: "unary",
      fail(error) {
        call.abort(error);
        fail(error);
      },
    };

    function settle(): boolean {
      if (settled) return false;
      settled = true;
      activeCalls.delete(active);
      return true;
    }

    function fail(thrown: unknown): void {
      call.undelivered();
      if (settle()) respond(errorStatus(thrown, call, method.definition.path, context));
    }

    function succeed(output: unknown): void {
      if (settled) return;
      let bytes: Buffer;
      let headers: Metadata;
      try {
        bytes = method.encode(output);
        headers = responseMetadata(call);
      } catch (error) {
        fail(error);
        return;
      }
      settle();
      grpcCall.sendMetadata(headers);
      respond(null, bytes);
    }

    activeCalls.add(active);
    // grpc-js says this after every call, also after one that was answered.
    grpcCall.on("cancelled", () => {
      if (settle()) call.abort(cancellation(grpcCall));
      if (wasDelivered(grpcCall)) call.delivered();
      else call.undelivered();
    });
    if (grpcCall.request instanceof AppError) {
      context.onRefused(grpcCall.request.code);
      fail(grpcCall.request);
    } else dispatcher.unary(method.operation, grpcCall.request, call).then(succeed, fail);
  };
}
