/** The package of every emitted .proto file. */
export const PROTO_PACKAGE = "tarl.v1";

/** `maxTasks` → `max_tasks`, `TaskPriority` → `task_priority`. */
export function snakeCase(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1_$2")
    .toLowerCase();
}

/** `max_tasks` → `maxTasks`, as protobuf's own JSON mapping does it. */
export function camelCase(snake: string): string {
  return snake.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** `TaskPriority` → `TASK_PRIORITY`. */
export function screamingSnakeCase(name: string): string {
  return snakeCase(name).toUpperCase();
}

/** The proto name of one word of an enumeration: `TaskPriority`, `HIGH` → `TASK_PRIORITY_HIGH`. */
export function protoEnumValue(enumeration: string, value: string): string {
  return `${screamingSnakeCase(enumeration)}_${value}`;
}

/** The proto name of what an enumeration is when nothing was said. Its number is 0. */
export function protoEnumUnspecified(enumeration: string): string {
  return protoEnumValue(enumeration, "UNSPECIFIED");
}

/** The file of a gRPC service: `TaskService` → `task_service.proto`. */
export function protoFileName(service: string): string {
  return `${snakeCase(service)}.proto`;
}

/** The member of a oneof, as the JavaScript object names it: `TASK_LEASED` → `taskLeased`. */
export function unionMemberName(discriminatorValue: string): string {
  return camelCase(discriminatorValue.toLowerCase());
}

/** The GraphQL input type of a message: `Task` → `TaskInput`, `EnqueueTaskRequest` → `EnqueueTaskInput`. */
export function graphqlInputName(message: string): string {
  return `${message.replace(/(Request|Input)$/, "")}Input`;
}

/** Splits `TaskService/LeaseTasks`. */
export function splitGrpcName(grpc: string): { service: string; method: string } {
  const [service, method, ...rest] = grpc.split("/");
  if (!service || !method || rest.length > 0) throw new Error(`"${grpc}" is not of the form Service/Method.`);
  return { service, method };
}

/** Splits `mutation leaseTasks`. */
export function splitGraphqlName(graphql: string): { root: GraphqlRoot; field: string } {
  const found = /^(query|mutation|subscription) ([_A-Za-z][_A-Za-z0-9]*)$/.exec(graphql);
  if (!found) throw new Error(`"${graphql}" is not of the form "query name", "mutation name" or "subscription name".`);
  return { root: found[1] as GraphqlRoot, field: found[2]! };
}

export type GraphqlRoot = "query" | "mutation" | "subscription";

export interface RestRoute {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** As written, e.g. `/v1/tasks/{taskId}:cancel`. */
  readonly path: string;
  /** The names in braces, in their order. */
  readonly variables: readonly string[];
}

/** Splits `POST /v1/tasks/{taskId}:cancel`. */
export function splitRestRoute(rest: string): RestRoute {
  const found = /^(GET|POST|PUT|PATCH|DELETE) (\/\S*)$/.exec(rest);
  if (!found) throw new Error(`"${rest}" is not of the form VERB /path/{field}:verb.`);
  const path = found[2]!;
  return {
    method: found[1] as RestRoute["method"],
    path,
    variables: [...path.matchAll(/\{([^{}]*)\}/g)].map((match) => match[1]!),
  };
}

/** Whether the fields that are not in the path are sent as a JSON body, and not as query parameters. */
export function takesBody(method: RestRoute["method"]): boolean {
  return method !== "GET" && method !== "DELETE";
}
