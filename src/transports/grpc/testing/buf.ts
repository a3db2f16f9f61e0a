import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** buf's command, to be run by node: a compiler and a gRPC client that share nothing with grpc-js or protobufjs. */
export const BUF = join(dirname(createRequire(import.meta.url).resolve("@bufbuild/buf/package.json")), "bin/buf");
