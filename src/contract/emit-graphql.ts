import { buildSchema, validateSchema } from "graphql";
import type { AnyOperation } from "../core/operation.ts";
import { fieldText, permissionText, sentences, wrapText } from "./comment.ts";
import type { AnyEdge } from "./edge.ts";
import { graphqlLiteral, graphqlType, isJson } from "./graphql-types.ts";
import {
  type ContractModel,
  type Direction,
  type FieldModel,
  isRequired,
  type MessageModel,
  type TypeModel,
} from "./model.ts";
import { type GraphqlRoot, graphqlInputName, splitGraphqlName } from "./names.ts";

type Routed = Exclude<AnyOperation, { kind: "bidi" }>;

const SCALARS = `"""An instant as RFC 3339 text in UTC, e.g. \`2027-01-31T09:30:00.000Z\`."""
scalar DateTime @specifiedBy(url: "https://www.rfc-editor.org/rfc/rfc3339")

"""Any JSON value."""
scalar JSON @specifiedBy(url: "https://www.rfc-editor.org/rfc/rfc8259")

"""A whole number between -(2^53 - 1) and 2^53 - 1."""
scalar SafeInt

"""Bytes as base64 text."""
scalar Base64 @specifiedBy(url: "https://www.rfc-editor.org/rfc/rfc4648#section-4")`;

const ROOTS: readonly (readonly [root: GraphqlRoot, type: string, description: string])[] = [
  ["query", "Query", "Reads. A field is null only where it failed, so that the others still have their answers."],
  ["mutation", "Mutation", "Changes. They are made one after another; a field is null only where it failed."],
  ["subscription", "Subscription", "What happens, as it happens."],
];

/** A type must have fields; this stands in those that have nothing to say. */
const EMPTY_FIELD = '  """Nothing is said here: this is always null."""\n  _: Boolean';

/**
 * The schema in GraphQL's own language. A query or subscription takes the input's fields as its
 * arguments, a mutation takes one `input`.
 */
export function emitGraphql(model: ContractModel, edges: readonly AnyEdge[]): string {
  const routed = model.operations.filter((operation): operation is Routed => operation.kind !== "bidi");
  const reached = reachTypes(model, routed);
  const blocks = [
    "# Emitted from the operations by `npm run contract`. Do not edit.",
    SCALARS,
    ...ROOTS.map(([root, type, description]) => rootBlock(model, routed, root, type, description)),
    ...[...reached.output].map((id) => outputBlock(model, id, edges)),
    ...[...reached.input].map((id) => inputBlock(model, id)),
    ...[...reached.enums].map((id) => enumBlock(model, id)),
  ];
  const text = `${blocks.filter((block) => block !== "").join("\n\n")}\n`;
  refuseBroken(text, reached, edges);
  return text;
}

interface Reached {
  readonly output: Set<string>;
  readonly input: Set<string>;
  readonly enums: Set<string>;
}

/** What operations need, in the order in which they need it. */
function reachTypes(model: ContractModel, operations: readonly Routed[]): Reached {
  const reached: Reached = { output: new Set(), input: new Set(), enums: new Set() };

  function reachFields(message: MessageModel, direction: Direction): void {
    for (const field of message.fields) reachType(field.type, direction);
  }
  function reachType(type: TypeModel, direction: Direction): void {
    if (type.kind === "enum") reached.enums.add(type.id);
    else if (type.kind === "list") reachType(type.item, direction);
    else if (type.kind === "message" || type.kind === "union") reachId(type.id, direction);
  }
  function reachId(id: string, direction: Direction): void {
    if (reached[direction].has(id)) return;
    reached[direction].add(id);
    const union = model.unions.get(id);
    if (union) for (const member of union.members) reachId(member.message, direction);
    else reachFields(model.messages.get(id)!, direction);
  }

  for (const operation of operations) {
    reachId(model.output(operation).id, "output");
    const input = model.input(operation);
    if (splitGraphqlName(operation.graphql).root !== "mutation") reachFields(input, "input");
    else if (input.fields.length > 0) reachId(input.id, "input");
  }
  return reached;
}

function describe(text: string, indent: string): string {
  if (!text.trim()) return "";
  const lines = wrapText(text.replaceAll('"""', '\\"""'), indent.length);
  const oneLine = lines.length === 1 && lines[0]!.length + indent.length + 6 <= 100 && !/["\\]$/.test(lines[0]!);
  if (oneLine) return `${indent}"""${lines[0]}"""\n`;
  return `${[`${indent}"""`, ...lines.map((line) => (line ? indent + line : "")), `${indent}"""`].join("\n")}\n`;
}

function block(description: string, head: string, members: readonly string[]): string {
  return `${describe(description, "")}${head} {\n${members.length > 0 ? members.join("\n\n") : EMPTY_FIELD}\n}`;
}

function rootBlock(
  model: ContractModel,
  operations: readonly Routed[],
  root: GraphqlRoot,
  type: string,
  description: string,
): string {
  const fields = operations
    .filter((operation) => splitGraphqlName(operation.graphql).root === root)
    .map((operation) => rootField(model, operation));
  // A schema must have queries; the others may be missing.
  return fields.length > 0 || root === "query" ? block(description, `type ${type}`, fields) : "";
}

function rootField(model: ContractModel, operation: Routed): string {
  const { root, field } = splitGraphqlName(operation.graphql);
  const input = model.input(operation);
  const text = sentences(operation.summary, operation.description, permissionText(operation.permission));
  const head = `${describe(text, "  ")}  ${field}`;
  const returns = model.output(operation).id;
  if (input.fields.length === 0) return `${head}: ${returns}`;
  if (root === "mutation") return `${head}(input: ${graphqlInputName(input.id)}!): ${returns}`;
  const args = input.fields.map((argument) => inputField(model, argument, "    "));
  return `${head}(\n${args.join("\n")}\n  ): ${returns}`;
}

function inputField(model: ContractModel, field: FieldModel, indent: string): string {
  const required = isRequired(field, "input") ? "!" : "";
  const literal = field.defaultValue === undefined ? undefined : graphqlLiteral(field.defaultValue, field.type, model);
  const type = `${graphqlType(field.type, field.name, "input")}${required}`;
  return `${describe(field.description, indent)}${indent}${field.name}: ${type}${literal === undefined ? "" : ` = ${literal}`}`;
}

function outputBlock(model: ContractModel, id: string, edges: readonly AnyEdge[]): string {
  const union = model.unions.get(id);
  if (union) {
    const members = union.members.map((member) => member.message).join(" | ");
    return `${describe(union.description, "")}union ${id} = ${members}`;
  }
  const message = model.messages.get(id)!;
  const fields = message.fields.map((field) => {
    // JSON may be null where it is there, and what only some may see is absent for the others.
    const required = isRequired(field, "output") && !isJson(field.type) ? "!" : "";
    return `${describe(fieldText(field), "  ")}  ${field.name}: ${graphqlType(field.type, field.name, "output")}${required}`;
  });
  const relations = edges.filter((edge) => edge.type === id).map(edgeField);
  return block(message.description, `type ${id}`, [...fields, ...relations]);
}

function edgeField(edge: AnyEdge): string {
  const text = sentences(edge.description, permissionText(edge.permission));
  const args = edge.arguments ? `(${edge.arguments})` : "";
  return `${describe(text, "  ")}  ${edge.field}${args}: ${edge.returns}`;
}

function inputBlock(model: ContractModel, id: string): string {
  const union = model.unions.get(id);
  if (union) {
    const members = union.members.map(({ name, message }) => `  ${name}: ${graphqlInputName(message)}`);
    return block(
      sentences(union.description, "Exactly one of these."),
      `input ${graphqlInputName(id)} @oneOf`,
      members,
    );
  }
  const message = model.messages.get(id)!;
  // Where a literal tells the members of a union apart, the name in the @oneOf input does it already.
  const fields = message.fields.filter((field) => field.type.kind !== "literal");
  const members = fields.map((field) => inputField(model, field, "  "));
  return block(message.description, `input ${graphqlInputName(id)}`, members);
}

function enumBlock(model: ContractModel, id: string): string {
  const { description, values, valueDescriptions } = model.enums.get(id)!;
  const lines = values.map((value) => `${describe(valueDescriptions[value] ?? "", "  ")}  ${value}`);
  return `${describe(description, "")}enum ${id} {\n${lines.join("\n")}\n}`;
}

/** graphql-js has the last word: two inputs of one name, an edge to a type that is not there. */
function refuseBroken(text: string, reached: Reached, edges: readonly AnyEdge[]): void {
  const lost = edges.find((edge) => !reached.output.has(edge.type));
  if (lost) throw new Error(`The edge ${lost.type}.${lost.field} is on a type that no operation answers with.`);
  let problems: readonly Error[];
  try {
    problems = validateSchema(buildSchema(text));
  } catch (error) {
    problems = [error as Error];
  }
  if (problems.length > 0) {
    throw new Error(
      `The operations and edges make no GraphQL schema: ${problems.map(({ message }) => message).join(" ")}`,
    );
  }
}
