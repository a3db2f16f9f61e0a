import type { Options } from "@grpc/proto-loader";

/**
 * How @grpc/proto-loader must load the emitted files for the codec to understand its objects.
 * int64 comes as a number: what is beyond 2^53 is rounded to 2^53 or more, and `z.int()` refuses
 * all of those, so nothing is rounded silently. Absent fields stay absent; bytes are Buffers.
 */
export const PROTO_LOADER_OPTIONS: Readonly<Options> = Object.freeze({
  keepCase: false,
  longs: Number,
  enums: String,
  defaults: false,
  arrays: false,
  objects: false,
  oneofs: false,
});
