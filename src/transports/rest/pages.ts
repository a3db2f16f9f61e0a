import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import express, { type Express, type NextFunction, type Request, type Response } from "express";
import { sendRefusal } from "./answer.ts";
import { hasBody } from "./body.ts";
import type { RestContext } from "./context.ts";
import { DOCS_PAGE, DOCS_SCRIPT, LANDING_PAGE, PAGE_POLICY } from "./page-texts.ts";
import { methodNotAllowed, noSuchPath } from "./refusals.ts";

/** What the probes answer; `checks` says more to a person, e.g. `{ database: "ok" }`. */
export interface Health {
  readonly healthy: boolean;
  readonly checks?: Readonly<Record<string, string>>;
}

export interface HealthProbes {
  /** Whether the process works at all; false makes Kubernetes restart it. */
  live(): Health | Promise<Health>;
  /** Whether it should be sent requests. */
  ready(): Health | Promise<Health>;
}

export interface Metrics {
  readonly contentType: string;
  readonly text: string;
}

export interface PageOptions {
  /** The OpenAPI document, as emitted from the operations. */
  readonly openapi: object;
  readonly health: HealthProbes;
  /** Gets the Authorization header, and throws an AppError where it does not suffice. Without it there is no /metrics. */
  readonly metrics?: ((authorization: string | undefined) => Promise<Metrics>) | undefined;
}

const ASSETS = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"];

function securityHeaders(context: RestContext) {
  return (request: Request, response: Response, next: NextFunction) => {
    response.setHeader("Content-Security-Policy", PAGE_POLICY);
    response.setHeader("X-Content-Type-Options", "nosniff");
    response.setHeader("X-Frame-Options", "DENY");
    response.setHeader("Referrer-Policy", "no-referrer");
    // Nothing here reads a body, and one that never ends should not hold the connection.
    if (context.draining || hasBody(request)) response.setHeader("Connection", "close");
    next();
  };
}

function answerHealth(probe: () => Health | Promise<Health>) {
  return async (_request: Request, response: Response) => {
    const { healthy, checks } = await probe();
    response.setHeader("Cache-Control", "no-store");
    response
      .status(healthy ? 200 : 503)
      .json({ status: healthy ? "SERVING" : "NOT_SERVING", ...(checks && { checks }) });
  };
}

/** Everything that is no operation: documentation, health, metrics, and 404 for the rest. */
export function createPages(context: RestContext, options: PageOptions): Express {
  const app = express();
  app.disable("x-powered-by");
  app.enable("strict routing");
  app.enable("case sensitive routing");
  app.set("query parser", false);
  app.use(securityHeaders(context));

  const get = (path: string, handle: (request: Request, response: Response) => unknown) => {
    app.get(path, handle);
    app.all(path, (request, response) => {
      const allow = "GET, HEAD, OPTIONS";
      if (request.method === "OPTIONS") response.setHeader("Allow", allow).status(204).end();
      else throw methodNotAllowed(request.method, allow);
    });
  };
  const openapi = JSON.stringify(options.openapi);
  const assets = dirname(createRequire(import.meta.url).resolve("swagger-ui-dist/package.json"));

  get("/", (_request, response) => response.type("html").send(LANDING_PAGE));
  get("/docs", (_request, response) => response.type("html").send(DOCS_PAGE));
  get("/docs/", (_request, response) => response.redirect(308, "../docs"));
  get("/docs/start.js", (_request, response) => response.type("js").send(DOCS_SCRIPT));
  for (const asset of ASSETS) {
    get(`/docs/${asset}`, (_request, response) => response.sendFile(join(assets, asset), { maxAge: "1h" }));
  }
  get("/openapi.json", (_request, response) => response.type("json").send(openapi));
  get("/livez", answerHealth(options.health.live));
  get("/readyz", answerHealth(options.health.ready));
  const { metrics } = options;
  if (metrics) {
    get("/metrics", async (request, response) => {
      const { contentType, text } = await metrics(request.headers.authorization);
      // Not through `send`, which would rewrite the parameters of the content type.
      response.setHeader("Content-Type", contentType).setHeader("Cache-Control", "no-store").end(text);
    });
  }

  app.use((request) => {
    throw noSuchPath(request.path);
  });
  // Express knows an error handler by its four parameters.
  app.use((thrown: unknown, request: Request, response: Response, _next: NextFunction) => {
    const problem = isBadUrl(thrown) ? noSuchPath(request.path) : thrown;
    sendRefusal(context, request, response, problem);
    if (response.statusCode === 500) context.logger.error({ err: thrown, path: request.path }, "a page failed");
  });
  return app;
}

/** Express and its static files throw these for paths they cannot decode. */
function isBadUrl(thrown: unknown): boolean {
  const status = (thrown as { status?: unknown } | null)?.status;
  return thrown instanceof Error && (status === 400 || status === 404);
}
