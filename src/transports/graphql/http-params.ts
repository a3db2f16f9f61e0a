import { badParameter, HttpError } from "../http/http-error.ts";
import type { GraphqlParams } from "./engine.ts";

export interface HttpParams extends GraphqlParams {
  readonly extensions?: Readonly<Record<string, unknown>> | null | undefined;
}

const PARAMETERS = ["query", "operationName", "variables", "extensions"];

/** The parameters in a JSON body. */
export function parseBody(body: string): HttpParams {
  const value = parseJson(body, "The request body");
  if (Array.isArray(value)) {
    throw new HttpError(
      400,
      "INVALID_ARGUMENT",
      "GRAPHQL_BATCH_TOO_LARGE",
      `Batches of requests: the limit is 1, the body is a list of ${value.length}. Put several fields into one query instead.`,
      { details: { metadata: { limit: "1", actual: String(value.length) } } },
    );
  }
  if (typeof value !== "object" || value === null) {
    throw badParameter("query", `is required; the body must be a JSON object like {"query": "{ __typename }"}`);
  }
  return checkParams(value as Record<string, unknown>);
}

/** The parameters in the query part of a GET. */
export function parseSearch(url: string): HttpParams {
  const at = url.indexOf("?");
  const search = new URLSearchParams(at === -1 ? "" : url.slice(at + 1));
  const params: Record<string, unknown> = {};
  for (const [name, value] of search) {
    if (Object.hasOwn(params, name)) throw badParameter(name, "must be given once");
    const isJson = name === "variables" || name === "extensions";
    params[name] = isJson && value !== "" ? parseJson(value, `The parameter ${name}`) : value || undefined;
  }
  return checkParams(params);
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new HttpError(
      400,
      "INVALID_ARGUMENT",
      "INVALID_JSON",
      `${what} is not valid JSON. Check its quotes and commas.`,
    );
  }
}

function checkParams(params: Record<string, unknown>): HttpParams {
  for (const name of Object.keys(params)) {
    if (!PARAMETERS.includes(name)) {
      throw badParameter(
        name.slice(0, 64).toWellFormed(),
        `is not a known parameter; there are ${PARAMETERS.join(", ")}`,
      );
    }
  }
  const { query, operationName, variables, extensions } = params;
  if (typeof query !== "string" || query === "") throw badParameter("query", "is required and must be text");
  if (operationName !== undefined && operationName !== null && typeof operationName !== "string") {
    throw badParameter("operationName", "must be text");
  }
  if (!isMapOrAbsent(variables)) throw badParameter("variables", "must be an object");
  if (!isMapOrAbsent(extensions)) throw badParameter("extensions", "must be an object");
  return { query, operationName, variables, extensions };
}

function isMapOrAbsent(value: unknown): value is Record<string, unknown> | null | undefined {
  return value === undefined || (typeof value === "object" && !Array.isArray(value));
}
