import type { ServerUnaryCall } from "@grpc/grpc-js";

/** What the calls of all kinds have in common in grpc-js, which does not export its own name for it. */
export type GrpcCall = Pick<ServerUnaryCall<unknown, unknown>, "metadata" | "getDeadline" | "getPeer">;
