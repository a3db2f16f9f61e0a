import type { AnyOperation } from "../../core/operation.ts";
import { type PathVariable, pathVariables } from "./path-input.ts";
import { parseRoutePattern, type RoutePattern } from "./route-pattern.ts";
import { createRouteTable, type RouteTable } from "./route-table.ts";
import { compileTextFields, type TextFields } from "./text-input.ts";

/** An operation that is offered over REST. */
export type RoutedOperation = Exclude<AnyOperation, { kind: "bidi" }>;

/** What is known of an operation before any request comes. */
export interface Route {
  readonly operation: RoutedOperation;
  readonly pattern: RoutePattern;
  readonly variables: readonly PathVariable[];
  readonly fields: TextFields;
}

function compileRoute(operation: RoutedOperation): Route {
  const pattern = parseRoutePattern(operation.rest);
  const fields = compileTextFields(operation.input);
  if (!/^\/v[0-9]+\//.test(pattern.path)) {
    throw new Error(`${operation.name}: the route "${operation.rest}" must begin with a version such as /v1/.`);
  }
  for (const { name } of pathVariables(pattern)) {
    if (fields.get(name)?.shape !== "one") {
      throw new Error(`${operation.name}: {${name}} of its route is not a single-valued field of its input.`);
    }
  }
  return { operation, pattern, variables: pathVariables(pattern), fields };
}

/** Compiles the routes of all operations; throws where one is wrong or two are ambiguous. */
export function compileRoutes(operations: readonly AnyOperation[]): RouteTable<Route> {
  const routes = operations.filter((operation): operation is RoutedOperation => operation.kind !== "bidi");
  return createRouteTable(
    routes.map((operation) => {
      const route = compileRoute(operation);
      return { pattern: route.pattern, target: route };
    }),
  );
}
