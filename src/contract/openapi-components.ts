import { ERROR_CODES } from "../core/errors.ts";
import type { JsonObject } from "./openapi-schema.ts";

const PROBLEM_CONTENT: JsonObject = {
  "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } },
};

/** RFC 9457, with what every protocol says about an error. */
export const PROBLEM_SCHEMA: JsonObject = {
  type: "object",
  description: "What went wrong (RFC 9457).",
  properties: {
    type: { type: "string", format: "uri", description: "Names the kind of problem." },
    title: { type: "string", description: "The same words for every problem with this code." },
    status: { type: "integer", format: "int32", description: "The HTTP status." },
    detail: { type: "string", description: "What was wrong and how to mend it, for people." },
    instance: { type: "string", description: "The path that was asked for." },
    code: { type: "string", enum: [...ERROR_CODES], description: "The canonical gRPC code." },
    reason: { type: "string", description: "A stable word for programs, e.g. `LEASE_LOST`." },
    errors: {
      type: "array",
      description: "Every field that was refused.",
      items: {
        type: "object",
        properties: {
          field: { type: "string", description: "Its path, e.g. `tasks[3].runAt`." },
          message: { type: "string", description: "What is wrong with it." },
        },
        required: ["field", "message"],
      },
    },
    quota: {
      type: "object",
      description: "The limit that was hit.",
      properties: {
        subject: { type: "string", description: "What is limited, e.g. `namespaces/default`." },
        description: { type: "string", description: "Which limit it was." },
      },
      required: ["subject", "description"],
    },
    metadata: {
      type: "object",
      additionalProperties: { type: "string" },
      description: "More for programs to read.",
    },
    retryAfterMs: { type: "number", description: "When to try again, in milliseconds from now." },
    requestId: { type: "string", description: "Finds the request in the gateway's log." },
  },
  required: ["type", "title", "status", "detail", "code", "reason"],
};

export const RESPONSES: Readonly<Record<string, JsonObject>> = {
  Problem: { description: "It failed: `code` and `reason` say why.", content: PROBLEM_CONTENT },
  InvalidArgument: {
    description: "A field was refused, or the state does not allow it; `errors` names each field.",
    content: PROBLEM_CONTENT,
  },
  Unauthenticated: { description: "There is no valid credential.", content: PROBLEM_CONTENT },
  PermissionDenied: { description: "The credential does not allow it.", content: PROBLEM_CONTENT },
  NotFound: { description: "It is not there, or not for this caller to know.", content: PROBLEM_CONTENT },
  Conflict: {
    description: "It exists already, or somebody else was first (a stale fence).",
    content: PROBLEM_CONTENT,
  },
  ResourceExhausted: {
    description: "A limit or quota was reached.",
    headers: {
      "Retry-After": { schema: { type: "integer" }, description: "Seconds until another try makes sense." },
      RateLimit: { schema: { type: "string" }, description: "What is left of the limit." },
      "RateLimit-Policy": { schema: { type: "string" }, description: "The limit itself." },
    },
    content: PROBLEM_CONTENT,
  },
};

export const HEADER_PARAMETERS: Readonly<Record<string, JsonObject>> = {
  IdempotencyKey: {
    name: "Idempotency-Key",
    in: "header",
    description:
      "A repeat with the same key and input within a day answers as the first did; with another input it is refused.",
    schema: { type: "string", minLength: 1, maxLength: 255 },
  },
  LastEventId: {
    name: "Last-Event-ID",
    in: "header",
    description: "The `id` of the last event received; the stream goes on after it.",
    schema: { type: "string" },
  },
};

export const SECURITY_SCHEMES: Readonly<Record<string, JsonObject>> = {
  bearer: { type: "http", scheme: "bearer", description: "An API key or a JWT: `Authorization: Bearer …`." },
};
