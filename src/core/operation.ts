import type { z } from "zod";
import type { Call } from "./call.ts";

/** How many messages go each way. `bidi` is offered over gRPC alone. */
export type OperationKind = "unary" | "serverStream" | "bidi";

interface OperationBase<Input extends z.ZodObject, Output extends z.ZodObject> {
  /** Stable name, `<domain>.<verb>`: used in logs, metrics and idempotency records. */
  readonly name: string;
  /** One sentence; becomes the comment in every emitted contract. */
  readonly summary: string;
  /** More than the summary, where a caller needs it: guarantees, errors with their reasons. */
  readonly description?: string;
  /** `Service/Method` within the package tarl.v1. */
  readonly grpc: string;
  /**
   * What the caller must hold, in the namespace its input names or else in the whole gateway. An
   * empty one asks only for a valid credential (and, within a namespace, for any grant in it).
   */
  readonly permission: string;
  readonly input: Input;
  readonly output: Output;
}

interface Routed {
  /** `VERB /path/{field}:verb`; path variables are fields of the input. */
  readonly rest: string;
  /** `query name`, `mutation name` or `subscription name`. A query marks a read. */
  readonly graphql: string;
}

export interface UnaryOperation<
  Services,
  Input extends z.ZodObject = z.ZodObject,
  Output extends z.ZodObject = z.ZodObject,
> extends OperationBase<Input, Output>,
    Routed {
  readonly kind: "unary";
  handle(services: Services, input: z.output<Input>, call: Call): Promise<z.input<Output>> | z.input<Output>;
}

export interface ServerStreamOperation<
  Services,
  Input extends z.ZodObject = z.ZodObject,
  Output extends z.ZodObject = z.ZodObject,
> extends OperationBase<Input, Output>,
    Routed {
  readonly kind: "serverStream";
  /** The output field that holds the cursor a client resumes from, and the input field that takes it. */
  readonly cursor?: { readonly output: string; readonly input: string };
  handle(services: Services, input: z.output<Input>, call: Call): AsyncIterable<z.input<Output>>;
}

export interface BidiOperation<
  Services,
  Input extends z.ZodObject = z.ZodObject,
  Output extends z.ZodObject = z.ZodObject,
> extends OperationBase<Input, Output> {
  readonly kind: "bidi";
  /** The first message is authorised by the namespace it names; the rest belong to the same session. */
  handle(services: Services, inputs: AsyncIterable<z.output<Input>>, call: Call): AsyncIterable<z.input<Output>>;
}

/** One thing the gateway does, defined once and offered over every protocol. */
export type Operation<Services = never> =
  | UnaryOperation<Services>
  | ServerStreamOperation<Services>
  | BidiOperation<Services>;

/** Any operation, where only its contract matters. */
// biome-ignore lint/suspicious/noExplicitAny: the services differ by domain and are not looked at here.
export type AnyOperation = Operation<any>;

/** Defines an operation with one answer. The first parameter of `handle` names the services it needs. */
export function operation<Services, Input extends z.ZodObject, Output extends z.ZodObject>(
  definition: Omit<UnaryOperation<Services, Input, Output>, "kind">,
): UnaryOperation<Services, Input, Output> {
  return Object.freeze({ ...definition, kind: "unary" as const });
}

/** Defines an operation that answers with many messages over time. */
export function serverStream<Services, Input extends z.ZodObject, Output extends z.ZodObject>(
  definition: Omit<ServerStreamOperation<Services, Input, Output>, "kind">,
): ServerStreamOperation<Services, Input, Output> {
  return Object.freeze({ ...definition, kind: "serverStream" as const });
}

/** Defines an operation in which both sides send many messages. */
export function bidi<Services, Input extends z.ZodObject, Output extends z.ZodObject>(
  definition: Omit<BidiOperation<Services, Input, Output>, "kind">,
): BidiOperation<Services, Input, Output> {
  return Object.freeze({ ...definition, kind: "bidi" as const });
}

/**
 * A read changes nothing: a query over GraphQL, NO_SIDE_EFFECTS over gRPC, and GET over REST, or
 * POST where what is asked for does not fit into a query string.
 */
export function isRead(operation: AnyOperation): boolean {
  return operation.kind !== "bidi" && (operation.rest.startsWith("GET ") || operation.graphql.startsWith("query "));
}

/** Whether the operation acts within the namespace that its input's `namespace` names. */
export function isNamespaced(operation: AnyOperation): boolean {
  return operation.kind === "bidi" || "namespace" in operation.input.shape;
}
