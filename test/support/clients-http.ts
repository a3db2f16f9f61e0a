import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { HANG_MS } from "./clients-model.ts";

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface HttpRequest {
  readonly method: string;
  /** Sent as it is: nothing tidies it up. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | undefined;
}

export function createHttpAgent(): Agent {
  return new Agent({ keepAlive: true, maxSockets: 16 });
}

/** Sends a request and answers as soon as the headers of its answer are there. */
export function openHttp(base: string, agent: Agent, { method, path, headers, body }: HttpRequest) {
  const { hostname, port } = new URL(base);
  const sent = request({ hostname, port, method, path, agent, headers: { ...headers } });
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    sent.setTimeout(HANG_MS, () => sent.destroy(new Error(`${method} ${path} was not answered within ${HANG_MS} ms.`)));
    sent.once("response", resolve);
    sent.once("error", reject);
  });
  sent.end(body);
  return { answer, abort: () => sent.destroy() };
}

export async function sendHttp(base: string, agent: Agent, wanted: HttpRequest): Promise<HttpAnswer> {
  const answer = await openHttp(base, agent, wanted).answer;
  const chunks: Buffer[] = [];
  for await (const chunk of answer) chunks.push(chunk as Buffer);
  return { status: answer.statusCode!, headers: answer.headers, text: Buffer.concat(chunks).toString("utf8") };
}

/** The records of an event stream, each with its event's name and data; comments are left out. */
export async function* readEvents(
  answer: IncomingMessage,
): AsyncGenerator<{ event: string; data: string; id: string }> {
  for await (const block of readParts(answer, "\n\n")) {
    const record = { event: "message", data: "", id: "" };
    for (const line of block.split("\n")) {
      const found = /^(event|data|id): ?(.*)$/s.exec(line);
      if (found) record[found[1] as "event"] = found[2]!;
    }
    if (/^(event|data)/m.test(block)) yield record;
  }
}

/** The texts between `separator`s. */
export async function* readParts(answer: IncomingMessage, separator: string): AsyncGenerator<string> {
  let rest = "";
  answer.setEncoding("utf8");
  for await (const chunk of answer) {
    const parts = (rest + (chunk as string)).split(separator);
    rest = parts.pop()!;
    yield* parts;
  }
  if (rest !== "") yield rest;
}
