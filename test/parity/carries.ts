import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { buildSchema, coerceInputValue, type GraphQLSchema } from "graphql";
import { splitGraphqlName, splitRestRoute, takesBody } from "../../src/contract/names.ts";
import { compileTextFields, type TextFields } from "../../src/transports/rest/text-input.ts";
import { createGrpcWire } from "../support/clients-grpc.ts";
import { type Input, type ProtocolName, routedOperation } from "../support/clients-model.ts";

/**
 * How well a protocol can say an input: `whole` as it is; `refused` where it can, but the protocol's
 * own types object before validation does; `not` where something else would arrive.
 */
export type Carriage = "whole" | "refused" | "not";

export type Carries = (protocol: ProtocolName, operation: string, input: Input) => Carriage;

export function createCarriage(): Carries {
  const wire = createGrpcWire();
  const schema = buildSchema(readFileSync(join(import.meta.dirname, "../../schema/schema.graphql"), "utf8"));
  return (protocol, operation, input) => {
    if (protocol === "grpc") return overGrpc(wire, operation, input);
    if (!isDeepStrictEqual(JSON.parse(JSON.stringify(input)), input)) return "not";
    return protocol === "rest" ? overRest(operation, input) : overGraphql(schema, operation, input);
  };
}

function overGrpc(wire: ReturnType<typeof createGrpcWire>, operation: string, input: Input): Carriage {
  let received: unknown;
  try {
    received = wire.received(operation, wire.encode(operation, input));
  } catch {
    return "not";
  }
  if (isDeepStrictEqual(received, input)) return "whole";
  const { input: schema } = routedOperation(operation);
  // A required field that is missing arrives as its zero: refused as well, in other words.
  const isMissingOne = Object.keys(schema.shape).some((name) => !(name in input) && name in (received as Input));
  return isMissingOne && !schema.safeParse(received).success ? "refused" : "not";
}

function overRest(operation: string, input: Input): Carriage {
  const { rest, input: schema } = routedOperation(operation);
  const { method, variables } = splitRestRoute(rest);
  const isPathText = (value: unknown) => typeof value === "string" && value !== "" && value.isWellFormed();
  if (!variables.every((name) => isPathText(input[name]))) return "not";
  if (takesBody(method)) return "whole";
  const fields = compileTextFields(schema);
  return Object.entries(input).every(([name, value]) => variables.includes(name) || isQueryValue(fields, name, value))
    ? "whole"
    : "not";
}

function isQueryValue(fields: TextFields, name: string, value: unknown): boolean {
  const field = fields.get(name);
  const isOne = (part: unknown) => {
    if (typeof part === "string") {
      const isTaken =
        field?.scalar === "number" ? /^-?[0-9]/.test(part) : field?.scalar === "boolean" && /^(true|false)$/.test(part);
      return part.isWellFormed() && !isTaken;
    }
    return typeof part === field?.scalar;
  };
  if (field?.shape === "list") return Array.isArray(value) && value.length > 0 && value.every(isOne);
  if (field?.shape === "map") {
    return (
      typeof value === "object" &&
      value !== null &&
      !Array.isArray(value) &&
      Object.entries(value).length > 0 &&
      Object.entries(value).every(
        ([key, part]) => key !== "" && key !== "__proto__" && key.isWellFormed() && isOne(part),
      )
    );
  }
  return isOne(value);
}

function overGraphql(schema: GraphQLSchema, operation: string, input: Input): Carriage {
  const { root, field: name } = splitGraphqlName(routedOperation(operation).graphql);
  const type = {
    query: schema.getQueryType(),
    mutation: schema.getMutationType(),
    subscription: schema.getSubscriptionType(),
  }[root]!;
  const field = type!.getFields()[name]!;
  let isRefused = false;
  const coerce = (value: unknown, argument: string) => {
    const { type: wanted } = field.args.find((arg) => arg.name === argument)!;
    return coerceInputValue(value, wanted, () => {
      isRefused = true;
    });
  };
  if (root === "mutation") {
    // One without fields takes no argument.
    const seen = field.args.length === 0 ? {} : coerce(input, "input");
    if (isRefused) return "refused";
    return sameAsSent(seen, input) ? "whole" : "not";
  }
  const known = new Set(field.args.map((arg) => arg.name));
  if (!Object.keys(input).every((key) => known.has(key))) return "not";
  const isMissing = field.args.some((arg) => String(arg.type).endsWith("!") && input[arg.name] === undefined);
  const seen = Object.fromEntries(Object.entries(input).map(([key, value]) => [key, coerce(value, key)]));
  if (isRefused || isMissing) return "refused";
  return sameAsSent(seen, input) ? "whole" : "not";
}

/** Defaults may have come in; nothing else may differ, and a null would count as absent. */
function sameAsSent(seen: unknown, sent: unknown): boolean {
  // JSON is passed on as it is, with the nulls in it.
  if (seen === sent && sent !== null) return true;
  if (Array.isArray(sent)) {
    return (
      Array.isArray(seen) && seen.length === sent.length && sent.every((item, index) => sameAsSent(seen[index], item))
    );
  }
  if (typeof sent === "object" && sent !== null) {
    if (typeof seen !== "object" || seen === null || Array.isArray(seen)) return false;
    return Object.entries(sent).every(([key, value]) => sameAsSent((seen as Input)[key], value));
  }
  return sent !== null && isDeepStrictEqual(seen, sent);
}
