import { type AnyOperation, isRead } from "../core/operation.ts";
import { fieldText, permissionText, type ServiceTexts, sentences, serviceText, wrapText } from "./comment.ts";
import {
  type ContractModel,
  type EnumModel,
  hasProtoPresence,
  type MessageModel,
  type ScalarName,
  type TypeModel,
  type UnionModel,
} from "./model.ts";
import {
  PROTO_PACKAGE,
  protoEnumUnspecified,
  protoEnumValue,
  protoFileName,
  snakeCase,
  splitGrpcName,
} from "./names.ts";
import { type AssignedNumbers, assignNumbers, type CommittedNumbers, readCommittedNumbers } from "./proto-numbers.ts";
import { placeTypes, SHARED_PROTO_FILE } from "./proto-placement.ts";

const PROTO_DIRECTORY = PROTO_PACKAGE.replaceAll(".", "/");

const PROTO_SCALARS: Record<ScalarName, string> = {
  string: "string",
  int32: "int32",
  int64: "int64",
  double: "double",
  bool: "bool",
  timestamp: "google.protobuf.Timestamp",
  json: "google.protobuf.Value",
  base64: "bytes",
};

const IMPORTS: readonly (readonly [type: string, file: string])[] = [
  ["google.protobuf.Value", "google/protobuf/struct.proto"],
  ["google.protobuf.Timestamp", "google/protobuf/timestamp.proto"],
];

/**
 * The .proto files by name, e.g. `task_service.proto`. `committed` holds the texts that are there
 * now; their field numbers are kept.
 */
export function emitProto(
  model: ContractModel,
  committed: readonly string[],
  serviceTexts: ServiceTexts = {},
): Map<string, string> {
  const numbers = readCommittedNumbers(committed);
  const { services, typesOf, shares } = placeTypes(model);
  const files = new Map<string, string>();
  for (const [service, operations] of services) {
    const types = typesOf(protoFileName(service));
    const blocks = [
      serviceBlock(service, operations, model, serviceTexts),
      ...types.map((id) => typeBlock(id, model, numbers)),
    ];
    const usesShared = shares(protoFileName(service));
    files.set(protoFileName(service), fileText(blocks, usesShared));
  }
  const shared = typesOf(SHARED_PROTO_FILE);
  if (shared.length > 0) {
    files.set(
      SHARED_PROTO_FILE,
      fileText(
        shared.map((id) => typeBlock(id, model, numbers)),
        false,
      ),
    );
  }
  return files;
}

function fileText(blocks: readonly string[], usesShared: boolean): string {
  const body = blocks.join("\n\n");
  const code = body.replace(/\/\/.*$/gm, "");
  const imports = IMPORTS.filter(([type]) => code.includes(type)).map(([, file]) => file);
  if (usesShared) imports.push(`${PROTO_DIRECTORY}/${SHARED_PROTO_FILE}`);
  const head = [
    "// Emitted from the operations by `npm run contract`. Do not edit.",
    "",
    'syntax = "proto3";',
    "",
    `package ${PROTO_PACKAGE};`,
    ...(imports.length > 0 ? ["", ...imports.map((file) => `import "${file}";`)] : []),
  ];
  return `${head.join("\n")}\n\n${body}\n`;
}

function comment(text: string, indent: string): string[] {
  if (!text.trim()) return [];
  return wrapText(text, indent.length + 3).map((line) => `${indent}//${line ? ` ${line}` : ""}`);
}

function serviceBlock(
  service: string,
  operations: readonly AnyOperation[],
  model: ContractModel,
  serviceTexts: ServiceTexts,
): string {
  const lines = [...comment(serviceText(service, serviceTexts), ""), `service ${service} {`];
  operations.forEach((operation, index) => {
    if (index > 0) lines.push("");
    lines.push(...rpcLines(operation, model));
  });
  return [...lines, "}"].join("\n");
}

function rpcLines(operation: AnyOperation, model: ContractModel): string[] {
  const { method } = splitGrpcName(operation.grpc);
  const request = `${operation.kind === "bidi" ? "stream " : ""}${model.input(operation).id}`;
  const response = `${operation.kind === "unary" ? "" : "stream "}${model.output(operation).id}`;
  const signature = `  rpc ${method}(${request}) returns (${response})`;
  const text = sentences(operation.summary, operation.description, permissionText(operation.permission));
  const body = isRead(operation)
    ? [`${signature} {`, "    option idempotency_level = NO_SIDE_EFFECTS;", "  }"]
    : [`${signature};`];
  return [...comment(text, "  "), ...body];
}

function typeBlock(id: string, model: ContractModel, numbers: (id: string) => CommittedNumbers): string {
  const enumeration = model.enums.get(id);
  if (enumeration) return enumBlock(enumeration, numbers(id));
  const union = model.unions.get(id);
  if (union) return unionBlock(union, numbers(id));
  return messageBlock(model.messages.get(id)!, numbers(id));
}

function messageBlock(message: MessageModel, before: CommittedNumbers): string {
  // A literal says nothing that the message's own type, or the oneof it stands in, does not say.
  const fields = message.fields.filter((field) => field.type.kind !== "literal");
  const assigned = assignNumbers(
    fields.map((field) => snakeCase(field.name)),
    before,
    1,
  );
  const lines = [...reservedLines(assigned)];
  for (const field of fields) {
    const name = snakeCase(field.name);
    const label = hasProtoPresence(message, field) ? "optional " : "";
    lines.push(
      ...comment(fieldText(field), "  "),
      `  ${label}${protoType(field.type)} ${name} = ${assigned.numberOf(name)};`,
    );
  }
  return block(message.description, `message ${message.id}`, lines);
}

function unionBlock(union: UnionModel, before: CommittedNumbers): string {
  const names = union.members.map((member) => snakeCase(member.name));
  const assigned = assignNumbers(names, before, 1);
  const lines = [
    ...reservedLines(assigned),
    "  // Exactly one of these.",
    `  oneof ${snakeCase(union.discriminator)} {`,
  ];
  for (const member of union.members) {
    const name = snakeCase(member.name);
    lines.push(`    ${member.message} ${name} = ${assigned.numberOf(name)};`);
  }
  return block(union.description, `message ${union.id}`, [...lines, "  }"]);
}

function enumBlock(enumeration: EnumModel, before: CommittedNumbers): string {
  const unspecified = protoEnumUnspecified(enumeration.id);
  const names = enumeration.values.map((value) => protoEnumValue(enumeration.id, value));
  const assigned = assignNumbers([unspecified, ...names], before, 0);
  const lines = [
    ...reservedLines(assigned),
    `  ${unspecified} = ${assigned.numberOf(unspecified)};`,
    ...names.flatMap((name, index) => [
      ...comment(enumeration.valueDescriptions[enumeration.values[index]!] ?? "", "  "),
      `  ${name} = ${assigned.numberOf(name)};`,
    ]),
  ];
  return block(enumeration.description, `enum ${enumeration.id}`, lines);
}

function reservedLines({ reservedNumbers, reservedNames }: AssignedNumbers): string[] {
  const lines: string[] = [];
  if (reservedNumbers.length > 0) lines.push(`  reserved ${reservedNumbers.join(", ")};`);
  if (reservedNames.length > 0) lines.push(`  reserved ${reservedNames.map((name) => `"${name}"`).join(", ")};`);
  return lines;
}

function block(description: string, head: string, lines: readonly string[]): string {
  const body = lines.length > 0 ? [`${head} {`, ...lines, "}"] : [`${head} {}`];
  return [...comment(description, ""), ...body].join("\n");
}

function protoType(type: TypeModel): string {
  switch (type.kind) {
    case "scalar":
      return PROTO_SCALARS[type.scalar];
    case "list":
      return `repeated ${protoType(type.item)}`;
    case "map":
      return `map<string, ${protoType(type.value)}>`;
    case "literal":
      return "string";
    default:
      return type.id;
  }
}
