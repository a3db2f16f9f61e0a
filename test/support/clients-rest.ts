import { splitRestRoute, takesBody } from "../../src/contract/names.ts";
import { STATUS_BY_CODE } from "../../src/transports/http/status.ts";
import {
  createHttpAgent,
  type HttpAnswer,
  type HttpRequest,
  openHttp,
  readEvents,
  readParts,
  sendHttp,
} from "./clients-http.ts";
import { createMailbox, feed } from "./clients-mailbox.ts";
import {
  type CallOptions,
  type Failure,
  type Input,
  type Outcome,
  type ProtocolClient,
  routedOperation,
  type StreamItem,
  type StreamReader,
} from "./clients-model.ts";

/** Statuses of refusals that only HTTP knows. */
const HTTP_ONLY: Readonly<Record<string, number>> = {
  BODY_TOO_LARGE: 413,
  URL_TOO_LONG: 414,
  PATH_NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  UNSUPPORTED_MEDIA_TYPE: 415,
  HEADERS_TOO_LARGE: 431,
};

export function createRestClient(base: string): ProtocolClient {
  const agent = createHttpAgent();
  const stream =
    (accept: string, read: typeof readSse) =>
    (operation: string, input: Input, options: CallOptions = {}): StreamReader => {
      const wanted = restRequest(operation, input, options);
      const opened = openHttp(base, agent, { ...wanted, headers: { ...wanted.headers, accept } });
      const mailbox = createMailbox(`${operation} as ${accept}`, opened.abort);
      feed(
        mailbox,
        (async function* () {
          const answer = await opened.answer;
          if (answer.statusCode === 200) yield* read(answer);
          else {
            const chunks: Buffer[] = [];
            for await (const chunk of answer) chunks.push(chunk as Buffer);
            const text = Buffer.concat(chunks).toString("utf8");
            yield {
              kind: "failure",
              failure: readProblem({ status: answer.statusCode!, headers: answer.headers, text }),
            };
          }
        })(),
      );
      return mailbox;
    };
  return {
    protocol: "rest",
    async call(operation, input, options = {}) {
      return readAnswer(await sendHttp(base, agent, restRequest(operation, input, options)));
    },
    streams: { sse: stream("text/event-stream", readSse), ndjson: stream("application/x-ndjson", readNdjson) },
    close: () => agent.destroy(),
  };
}

/** The HTTP request that says `input`: path variables, then the query or a JSON body. */
export function restRequest(operation: string, input: Input, options: CallOptions = {}): HttpRequest {
  const { method, path, variables } = splitRestRoute(routedOperation(operation).rest);
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(textOf(input[name])));
  const rest = Object.entries(input).filter(([name]) => !variables.includes(name));
  const hasBody = takesBody(method);
  const query = hasBody ? "" : queryOf(rest);
  return {
    method,
    path: query === "" ? filled : `${filled}?${query}`,
    headers: {
      ...(hasBody && { "content-type": "application/json" }),
      ...(options.authorization !== undefined && { authorization: options.authorization }),
      ...(options.idempotencyKey !== undefined && { "idempotency-key": options.idempotencyKey }),
      ...(options.timeoutMs !== undefined && { "x-request-timeout-ms": String(options.timeoutMs) }),
    },
    body: hasBody ? JSON.stringify(Object.fromEntries(rest)) : undefined,
  };
}

/** How a URL says a value that has no business in one. */
function textOf(value: unknown): string {
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}

function queryOf(fields: readonly (readonly [string, unknown])[]): string {
  const pairs: [string, unknown][] = [];
  for (const [name, value] of fields) {
    if (value === undefined) continue;
    if (Array.isArray(value)) for (const item of value) pairs.push([name, item]);
    else if (typeof value === "object" && value !== null) {
      for (const [key, item] of Object.entries(value)) pairs.push([`${name}[${key}]`, item]);
    } else pairs.push([name, value]);
  }
  return pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(textOf(value))}`).join("&");
}

function readAnswer(answer: HttpAnswer): Outcome {
  if (answer.status !== 200) return readProblem(answer);
  return { ok: true, output: JSON.parse(answer.text) as Record<string, unknown> };
}

/** Reads a problem and insists that its headers, status and body say the same. */
function readProblem({ status, headers, text }: HttpAnswer): Failure {
  if (headers["content-type"] !== "application/problem+json") {
    throw new Error(`A ${status} came as ${headers["content-type"]}: ${text.slice(0, 500)}`);
  }
  const problem = JSON.parse(text);
  const wanted = HTTP_ONLY[problem.reason] ?? STATUS_BY_CODE[problem.code as keyof typeof STATUS_BY_CODE];
  if (status !== wanted || problem.status !== status) {
    throw new Error(`Status ${status} came with ${problem.code} ${problem.reason}, body says ${problem.status}.`);
  }
  const seconds = problem.retryAfterMs === undefined ? undefined : String(Math.ceil(problem.retryAfterMs / 1000));
  if (headers["retry-after"] !== seconds) {
    throw new Error(`Retry-After is ${headers["retry-after"]}, but retryAfterMs ${problem.retryAfterMs}.`);
  }
  return failureOf(problem);
}

// biome-ignore lint/suspicious/noExplicitAny: JSON from outside, compared field by field by the tests.
function failureOf(problem: any): Failure {
  const { code, reason, detail, errors, quota, metadata, retryAfterMs } = problem;
  return {
    ok: false,
    code,
    reason,
    message: detail,
    details: { ...(errors && { fields: errors }), ...(quota && { quota }), ...(metadata && { metadata }) },
    ...(retryAfterMs !== undefined && { retryAfterMs }),
  };
}

async function* readSse(answer: Parameters<typeof readEvents>[0]): AsyncGenerator<StreamItem> {
  for await (const { event, data, id } of readEvents(answer)) {
    if (event === "end") yield { kind: "end" };
    else if (event === "error") yield { kind: "failure", failure: failureOf(JSON.parse(data)) };
    else {
      const output = JSON.parse(data) as Record<string, unknown>;
      if (id !== output.cursor) throw new Error(`The event's id is ${id}, its cursor ${output.cursor}.`);
      yield { kind: "message", output };
    }
  }
}

async function* readNdjson(answer: Parameters<typeof readEvents>[0]): AsyncGenerator<StreamItem> {
  for await (const line of readParts(answer, "\n")) {
    const record = JSON.parse(line);
    if (record.heartbeat) continue;
    if (record.end) yield { kind: "end" };
    else if (record.error) yield { kind: "failure", failure: failureOf(record.error) };
    else yield { kind: "message", output: record.result };
  }
}
