import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";
import { answerHeaders, sendRefusal } from "./answer.ts";
import type { RestContext } from "./context.ts";
import { methodNotAllowed, urlTooLong } from "./refusals.ts";
import type { Route } from "./route.ts";
import type { RouteTable } from "./route-table.ts";
import { serveOperation } from "./serve-operation.ts";

const ORIGIN = /^https?:\/\/[^/?]*/i;

/** `GET, HEAD, OPTIONS`, as the path is served. */
function allowHeader(methods: readonly string[], hasHead: boolean): string {
  return [...methods, ...(hasHead ? ["HEAD"] : []), "OPTIONS"].sort().join(", ");
}

function answerOptions(context: RestContext, request: IncomingMessage, response: ServerResponse, allow: string): void {
  const headers = answerHeaders(context, request, undefined);
  headers.Allow = allow;
  if (request.headers["access-control-request-method"] !== undefined) {
    context.cors?.allowPreflight(request.headers.origin, allow, headers);
  }
  response.writeHead(204, headers).end();
}

/** Finds the operation of each request. What is no operation's path goes to `pages`. */
export function createRequestHandler(
  context: RestContext,
  routes: RouteTable<Route>,
  pages: RequestListener,
): RequestListener {
  const { maxUrlBytes } = context.limits;

  const answerOthers = (request: IncomingMessage, response: ServerResponse, segments: readonly string[]): void => {
    const methods = routes.methods(segments);
    if (methods.length === 0) {
      pages(request, response);
      return;
    }
    const hasHead = routes.match("GET", segments)?.operation.kind === "unary";
    const allow = allowHeader(methods, hasHead);
    if (request.method === "OPTIONS") answerOptions(context, request, response, allow);
    else sendRefusal(context, request, response, methodNotAllowed(request.method ?? "", allow));
  };

  return (request, response) => {
    const target = request.url ?? "/";
    if (target.length > maxUrlBytes) {
      sendRefusal(context, request, response, urlTooLong(maxUrlBytes));
      return;
    }
    // A proxy may send the whole URL (RFC 9112 section 3.2.2).
    const url = target.startsWith("/") ? target : target.replace(ORIGIN, "");
    const queryAt = url.indexOf("?");
    const path = queryAt === -1 ? url : url.slice(0, queryAt);
    const query = queryAt === -1 ? "" : url.slice(queryAt + 1);
    const segments = path.split("/");
    const method = request.method === "HEAD" ? "GET" : (request.method ?? "");
    const route = routes.match(method, segments);
    if (route === undefined) answerOthers(request, response, segments);
    else void serveOperation(context, request, response, route, segments, query);
  };
}
