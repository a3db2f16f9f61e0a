import { type AnyOperation, isRead } from "../core/operation.ts";
import { buildModel } from "./build-model.ts";
import type { ContractModel, FieldModel, MessageModel, TypeModel } from "./model.ts";
import { camelCase, snakeCase, splitGraphqlName, splitGrpcName, splitRestRoute, takesBody } from "./names.ts";

/**
 * Throws, with everything that is wrong, where `operations` cannot be offered over all three
 * protocols: names given twice, paths that name no field, reads that fit no query string, one id
 * for two shapes. Answers the model it has read on the way.
 */
export function checkOperations(operations: readonly AnyOperation[]): ContractModel {
  const model = buildModel(operations);
  const problems = [
    ...findDuplicates(operations),
    ...operations.flatMap((operation) => operationProblems(operation, model)),
    ...[...model.messages.values()].flatMap(messageProblems),
    ...findUnspecified(model),
    ...findClashes(model),
  ];
  if (problems.length > 0) throw new Error(`The operations contradict each other:\n- ${problems.join("\n- ")}`);
  return model;
}

function findDuplicates(operations: readonly AnyOperation[]): string[] {
  const namesOf: readonly (readonly [what: string, of: (operation: AnyOperation) => string | undefined])[] = [
    ["name", ({ name }) => name],
    ["gRPC method", ({ grpc }) => grpc],
    ["GraphQL field", (operation) => (operation.kind === "bidi" ? undefined : operation.graphql)],
    [
      "REST route",
      (operation) => (operation.kind === "bidi" ? undefined : operation.rest.replaceAll(/\{[^{}]*\}/g, "{}")),
    ],
  ];
  const problems: string[] = [];
  for (const [what, of] of namesOf) {
    const takenBy = new Map<string, string>();
    for (const operation of operations) {
      const value = of(operation);
      if (value === undefined) continue;
      const other = takenBy.get(value);
      if (other !== undefined) problems.push(`${other} and ${operation.name} share the ${what} "${value}".`);
      takenBy.set(value, operation.name);
    }
  }
  return problems;
}

function operationProblems(operation: AnyOperation, model: ContractModel): string[] {
  const problems: string[] = [];
  const say = (problem: string) => problems.push(`${operation.name}: ${problem}`);
  if (!/^[a-z][A-Za-z]*\.[a-z][A-Za-z]*$/.test(operation.name)) say("its name is not of the form domain.verb.");
  const { service, method } = splitGrpcName(operation.grpc);
  if (!/^[A-Z][A-Za-z0-9]*Service$/.test(service)) say(`the gRPC service "${service}" does not end in Service.`);
  if (!/^[A-Z][A-Za-z0-9]*$/.test(method)) say(`the gRPC method "${method}" is not in PascalCase.`);
  if (operation.kind === "bidi") return problems;

  const { root } = splitGraphqlName(operation.graphql);
  const wanted = operation.kind === "serverStream" ? "subscription" : isRead(operation) ? "query" : "mutation";
  if (root !== wanted) say(`"${operation.rest}" over REST must be a ${wanted} over GraphQL, not a ${root}.`);

  const route = splitRestRoute(operation.rest);
  const input = model.input(operation);
  for (const variable of route.variables) {
    const field = input.fields.find(({ name }) => name === variable);
    if (!field || !isPlain(field.type)) say(`{${variable}} of its path is no single-valued field of its input.`);
    else if (!field.requiredInInput) say(`{${variable}} of its path is optional in its input.`);
  }
  if (new Set(route.variables).size < route.variables.length) say("its path names a variable twice.");
  if (!takesBody(route.method)) {
    for (const field of input.fields) {
      if (!fitsQuery(field.type)) say(`${field.name} cannot be written in the query string of a ${route.method}.`);
    }
  }
  if (operation.kind === "serverStream") problems.push(...cursorProblems(operation, input, model));
  return problems;
}

function cursorProblems(
  operation: Extract<AnyOperation, { kind: "serverStream" }>,
  input: MessageModel,
  model: ContractModel,
): string[] {
  if (!operation.cursor) return [];
  const has = (message: MessageModel, name: string) => message.fields.some((field) => field.name === name);
  const problems: string[] = [];
  if (!has(input, operation.cursor.input)) problems.push(`its input has no field "${operation.cursor.input}".`);
  if (!has(model.output(operation), operation.cursor.output)) {
    problems.push(`its output has no field "${operation.cursor.output}".`);
  }
  return problems.map((problem) => `${operation.name}: the cursor names a field that is not there: ${problem}`);
}

function fitsQuery(type: TypeModel): boolean {
  if (type.kind === "list") return isPlain(type.item);
  if (type.kind === "map") return type.value.kind === "scalar" && type.value.scalar === "string";
  return isPlain(type);
}

function isPlain(type: TypeModel): boolean {
  return type.kind === "enum" || (type.kind === "scalar" && type.scalar !== "json");
}

/** Names that one of the protocols would not give back as they were. */
function messageProblems(message: MessageModel): string[] {
  return message.fields.flatMap((field: FieldModel) => {
    const survives = /^[a-z][A-Za-z0-9]*$/.test(field.name) && camelCase(snakeCase(field.name)) === field.name;
    return survives ? [] : [`${message.id}.${field.name} is not in camelCase that proto gives back as it was.`];
  });
}

function findUnspecified(model: ContractModel): string[] {
  return [...model.enums.values()]
    .filter(({ values }) => values.includes("UNSPECIFIED"))
    .map(({ id }) => `${id} has the word UNSPECIFIED, which proto keeps for what was not said.`);
}

/** Messages, unions and enumerations share the names of one proto package; enum words do too. */
function findClashes(model: ContractModel): string[] {
  const services = new Set(model.operations.map(({ grpc }) => splitGrpcName(grpc).service));
  const ids = [...model.messages.keys(), ...model.unions.keys(), ...model.enums.keys()];
  return ids.filter((id) => services.has(id)).map((id) => `${id} is both a type and a gRPC service.`);
}
