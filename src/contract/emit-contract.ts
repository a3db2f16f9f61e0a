import type { AnyOperation } from "../core/operation.ts";
import type { ServiceTexts } from "./comment.ts";
import type { AnyEdge } from "./edge.ts";
import { emitGraphql } from "./emit-graphql.ts";
import { emitOpenapi } from "./emit-openapi.ts";
import { emitProto } from "./emit-proto.ts";
import { PROTO_PACKAGE, splitGrpcName } from "./names.ts";
import { checkOperations } from "./registry.ts";

/** Where the .proto files are committed, from the root of the repository. */
export const PROTO_FOLDER = `protos/${PROTO_PACKAGE.replaceAll(".", "/")}`;

export interface ContractSource {
  readonly operations: readonly AnyOperation[];
  readonly edges: readonly AnyEdge[];
  /** What each service is for. Every service needs a text. */
  readonly services: ServiceTexts;
  /** The gateway's own version. */
  readonly version: string;
  /** The texts of the .proto files that are committed now. */
  readonly committedProtos: readonly string[];
}

/** Everything the operations make, by path from the root of the repository. */
export function emitContract(source: ContractSource): Map<string, string> {
  const model = checkOperations(source.operations);
  const files = new Map<string, string>();
  const { services } = source;
  refuseUndescribed(source.operations, services);
  for (const [name, text] of emitProto(model, source.committedProtos, services))
    files.set(`${PROTO_FOLDER}/${name}`, text);
  files.set("schema/schema.graphql", emitGraphql(model, source.edges));
  files.set("schema/openapi.json", emitOpenapi(model, source.version, services));
  return files;
}

function refuseUndescribed(operations: readonly AnyOperation[], services: ServiceTexts): void {
  for (const { grpc } of operations) {
    const { service } = splitGrpcName(grpc);
    if (!services[service]) throw new Error(`Nothing says what ${service} is for. Say it in src/operations.ts.`);
  }
}
