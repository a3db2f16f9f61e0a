import type { IncomingMessage, ServerResponse } from "node:http";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

const DEFAULT_QUERY = `# TARL Gateway
#
# 1. Paste your key into the "Headers" tab below:
#    { "Authorization": "Bearer tarl_…" }
# 2. Run with Ctrl-Enter, complete with Ctrl-Space.
#    The book on the left is the documentation.

query WhatIsThere {
  __schema {
    queryType { fields { name description } }
    mutationType { fields { name } }
    subscriptionType { fields { name } }
  }
}
`;

const HEADERS_HINT = JSON.stringify({ Authorization: "Bearer " }, null, 2);

/** The page brings its scripts along as text and as blobs, and talks to nobody but its own origin. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'unsafe-inline' 'unsafe-eval' blob:",
  "worker-src blob:",
  "style-src 'unsafe-inline'",
  "img-src data: 'self'",
  "font-src data:",
  "connect-src 'self' ws: wss:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

interface Page {
  readonly plain: Buffer;
  readonly compressed: Buffer;
}

/** Whether a browser asks for a page, and not for an answer. */
export function wantsPage(request: IncomingMessage): boolean {
  return request.method === "GET" && (request.headers.accept ?? "").includes("text/html");
}

/** Serves GraphiQL. The page has nine megabytes, so it is made when it is first asked for. */
export function createGraphiqlPage(
  endpoint: string,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  let page: Promise<Page> | undefined;
  return async (request, response) => {
    page ??= renderPage(endpoint);
    const { plain, compressed } = await page;
    const takesGzip = /\bgzip\b/.test(String(request.headers["accept-encoding"] ?? ""));
    const body = takesGzip ? compressed : plain;
    response.writeHead(200, {
      "Content-Type": "text/html; charset=utf-8",
      "Content-Length": body.length,
      ...(takesGzip && { "Content-Encoding": "gzip" }),
      Vary: "Accept, Accept-Encoding",
      "Cache-Control": "no-cache",
      "Content-Security-Policy": CONTENT_SECURITY_POLICY,
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
    });
    response.end(body);
  };
}

async function renderPage(endpoint: string): Promise<Page> {
  const { renderGraphiQL } = await import("@graphql-yoga/render-graphiql");
  const html = await renderGraphiQL({
    title: "TARL Gateway: GraphiQL",
    endpoint,
    defaultQuery: DEFAULT_QUERY,
    headers: HEADERS_HINT,
    shouldPersistHeaders: false,
  });
  const plain = Buffer.from(String(html));
  return { plain, compressed: await promisify(gzip)(plain) };
}
