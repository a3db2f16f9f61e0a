import { type AnyOperation, isRead } from "../core/operation.ts";
import { permissionText, type ServiceTexts, sentences, serviceText } from "./comment.ts";
import type { ContractModel, FieldModel } from "./model.ts";
import { isRequired } from "./model.ts";
import { type RestRoute, splitGrpcName, splitRestRoute, takesBody } from "./names.ts";
import { HEADER_PARAMETERS, PROBLEM_SCHEMA, RESPONSES, SECURITY_SCHEMES } from "./openapi-components.ts";
import { createSchemaWriter, type JsonObject, type SchemaWriter } from "./openapi-schema.ts";

type Routed = Exclude<AnyOperation, { kind: "bidi" }>;

/** The OpenAPI 3.1 document, as JSON text. `version` is the gateway's own. */
export function emitOpenapi(model: ContractModel, version: string, serviceTexts: ServiceTexts = {}): string {
  const writer = createSchemaWriter(model);
  const routed = model.operations.filter((operation): operation is Routed => operation.kind !== "bidi");
  const paths: Record<string, JsonObject> = {};
  for (const operation of routed) {
    const route = splitRestRoute(operation.rest);
    paths[route.path] ??= {};
    paths[route.path]![route.method.toLowerCase()] = operationObject(model, writer, operation, route);
  }
  const tags = [...new Set(routed.map((operation) => splitGrpcName(operation.grpc).service))];
  const document = {
    openapi: "3.1.0",
    info: {
      title: "TARL Gateway",
      version,
      description: "One control plane for AI and ML work. The same operations are offered over gRPC and GraphQL.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/" }],
    security: [{ bearer: [] }],
    tags: tags.map((name) => ({ name, description: serviceText(name, serviceTexts) })),
    paths,
    components: {
      securitySchemes: SECURITY_SCHEMES,
      parameters: HEADER_PARAMETERS,
      responses: RESPONSES,
      schemas: { ...writer.components, Problem: PROBLEM_SCHEMA },
    },
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

function operationObject(model: ContractModel, writer: SchemaWriter, operation: Routed, route: RestRoute): JsonObject {
  const { service, method } = splitGrpcName(operation.grpc);
  const description = sentences(operation.description, permissionText(operation.permission));
  const parameters = parametersOf(model, writer, operation, route);
  return {
    operationId: `${service}_${method}`,
    tags: [service],
    summary: operation.summary,
    ...(description ? { description } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...requestBody(model, writer, operation, route),
    responses: {
      "200":
        operation.kind === "unary" ? unaryResponse(model, writer, operation) : streamResponse(model, writer, operation),
      "400": response("InvalidArgument"),
      "401": response("Unauthenticated"),
      "403": response("PermissionDenied"),
      ...(route.variables.length > 0 ? { "404": response("NotFound") } : {}),
      ...(isRead(operation) ? {} : { "409": response("Conflict") }),
      "429": response("ResourceExhausted"),
      default: response("Problem"),
    },
  };
}

function response(name: keyof typeof RESPONSES): JsonObject {
  return { $ref: `#/components/responses/${name}` };
}

function parametersOf(model: ContractModel, writer: SchemaWriter, operation: Routed, route: RestRoute): JsonObject[] {
  const input = model.input(operation);
  const inPath = input.fields
    .filter((field) => route.variables.includes(field.name))
    .map((field) => ({ ...parameter(writer, field, "path"), required: true }));
  const inQuery = takesBody(route.method)
    ? []
    : input.fields
        .filter((field) => !route.variables.includes(field.name))
        .map((field) => parameter(writer, field, "query"));
  const headers: string[] = [];
  if (operation.kind === "unary" && !isRead(operation)) headers.push("IdempotencyKey");
  if (operation.kind === "serverStream" && operation.cursor) headers.push("LastEventId");
  return [...inPath, ...inQuery, ...headers.map((name) => ({ $ref: `#/components/parameters/${name}` }))];
}

/** A list is a repeated parameter, a map is `labels[key]=value`. */
function parameter(writer: SchemaWriter, field: FieldModel, place: "path" | "query"): JsonObject {
  const { description, ...schema } = writer.fieldSchema(field, "input");
  const style: JsonObject =
    field.type.kind === "list"
      ? { style: "form", explode: true }
      : field.type.kind === "map"
        ? { style: "deepObject", explode: true }
        : {};
  return {
    name: field.name,
    in: place,
    ...(description === undefined ? {} : { description }),
    ...(isRequired(field, "input") ? { required: true } : {}),
    ...style,
    schema,
  };
}

function requestBody(model: ContractModel, writer: SchemaWriter, operation: Routed, route: RestRoute): JsonObject {
  if (!takesBody(route.method)) return {};
  const schema = writer.messageSchema(model.input(operation), "input", route.variables);
  if (Object.keys(schema.properties as JsonObject).length === 0) return {};
  const required = "required" in schema;
  return { requestBody: { ...(required ? { required } : {}), content: { "application/json": { schema } } } };
}

function unaryResponse(model: ContractModel, writer: SchemaWriter, operation: Routed): JsonObject {
  const output = model.output(operation);
  return {
    description: output.description || "The answer.",
    content: { "application/json": { schema: writer.reference(output.id, "output") } },
  };
}

function streamResponse(model: ContractModel, writer: SchemaWriter, operation: Routed): JsonObject {
  const output = model.output(operation);
  const result = writer.reference(output.id, "output");
  return {
    description: sentences(
      output.description,
      "A stream of these: Server-Sent Events, or newline-delimited JSON where `Accept` prefers it. It always closes with an `end` or `error` record",
    ),
    content: {
      // The schema is that of one event's data.
      "text/event-stream": { schema: result },
      "application/x-ndjson": { schema: ndjsonLine(result) },
    },
  };
}

/** One line of newline-delimited JSON: a result, a sign of life, the end or an error. */
function ndjsonLine(result: JsonObject): JsonObject {
  return {
    type: "object",
    properties: {
      result,
      cursor: { type: "string", description: "Where to go on from." },
      heartbeat: { type: "boolean", description: "Says only that the stream is alive." },
      end: { type: "boolean", description: "True on the last line." },
      reason: { type: "string", description: "Why it ended, e.g. `GATEWAY_DRAINING`." },
      error: { $ref: "#/components/schemas/Problem" },
    },
  };
}
