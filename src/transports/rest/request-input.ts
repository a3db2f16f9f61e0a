import type { IncomingMessage, ServerResponse } from "node:http";
import { AppError, invalidArgument } from "../../core/errors.ts";
import type { ReadBytesOptions } from "../http/read-bytes.ts";
import { hasBody, readJsonBody } from "./body.ts";
import { readPathInput } from "./path-input.ts";
import { parseQuery, readQueryInput } from "./query-input.ts";
import type { Route } from "./route.ts";

type Input = Record<string, unknown>;

function refuseQuery(query: string): void {
  const names = new Set(parseQuery(query).map(([name]) => name));
  if (names.size === 0) return;
  throw invalidArgument(
    [...names].map((field) => ({ field, message: "is not read from the query here: put it into the JSON body" })),
  );
}

/** Puts what the URL says into the body. A field that both name must be the same in both. */
function mergeIntoBody(body: Input, fromUrl: Input): Input {
  const differing = Object.keys(fromUrl).filter((name) => Object.hasOwn(body, name) && body[name] !== fromUrl[name]);
  if (differing.length > 0) {
    throw invalidArgument(
      differing.map((field) => ({ field, message: "differs from the one in the URL: leave it out of the body" })),
    );
  }
  return Object.assign(body, fromUrl);
}

/** The whole input of an operation, from path, query and body, not yet validated. */
export function readInput(
  request: IncomingMessage,
  response: ServerResponse,
  route: Route,
  segments: readonly string[],
  query: string,
  bodyOptions: ReadBytesOptions,
): Input | Promise<Input> {
  const fromUrl = readPathInput(route.variables, segments, route.fields);
  const { method } = route.pattern;
  if (method === "GET" || method === "DELETE") {
    if (query !== "") readQueryInput(query, route.fields, fromUrl);
  } else if (query !== "") refuseQuery(query);
  if (method !== "GET") {
    return readJsonBody(request, response, bodyOptions).then((body) => mergeIntoBody(body, fromUrl));
  }
  if (hasBody(request)) {
    throw new AppError(
      "INVALID_ARGUMENT",
      "UNEXPECTED_BODY",
      "A GET request takes no body. Write its fields as query parameters.",
    );
  }
  return fromUrl;
}
