import { connect, type Socket } from "node:net";

export interface HttpRequest {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: object;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: Buffer;
}

/** One HTTP/1.1 connection that is kept alive and has one request under way at a time. */
export interface HttpConnection {
  /** Sends what `encodeRequest` made. */
  send(request: Buffer): Promise<HttpAnswer>;
  /** Sends it, wants 200, and answers the parsed body. */
  sendJson<Answer>(request: Buffer): Promise<Answer>;
  close(): void;
}

/** The bytes of a request, made once where it is sent often. */
export function encodeRequest({ method, path, headers = {}, body }: HttpRequest): Buffer {
  const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const lines = Object.entries({
    host: "127.0.0.1",
    accept: "application/json",
    ...(content && { "content-type": "application/json", "content-length": String(content.length) }),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = Buffer.from(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
  return content ? Buffer.concat([head, content]) : head;
}

/** Opens a connection. It does no more than measuring needs, so that the server is what is measured. */
export async function openHttpConnection(url: string): Promise<HttpConnection> {
  const { hostname, port } = new URL(url);
  const socket = await open(hostname, Number(port));
  const reader = createAnswerReader();
  let waiting: { resolve(answer: HttpAnswer): void; reject(error: Error): void } | undefined;
  const fail = (error: Error) => {
    waiting?.reject(error);
    waiting = undefined;
  };
  socket.on("data", (chunk) => {
    const answer = reader(chunk);
    if (!answer) return;
    const asker = waiting;
    waiting = undefined;
    asker?.resolve(answer);
  });
  socket.on("error", fail);
  socket.on("close", () => fail(new Error("The server closed the connection.")));

  const send = (request: Buffer) =>
    new Promise<HttpAnswer>((resolve, reject) => {
      waiting = { resolve, reject };
      socket.write(request);
    });
  return {
    send,
    async sendJson<Answer>(request: Buffer) {
      const { status, body } = await send(request);
      if (status !== 200) throw new Error(`The server answered ${status}: ${body.toString("utf8").slice(0, 500)}`);
      return JSON.parse(body.toString("utf8")) as Answer;
    },
    close: () => socket.destroy(),
  };
}

function open(host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true });
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve(socket);
    });
  });
}

const HEAD_END = Buffer.from("\r\n\r\n");
const LAST_CHUNK = Buffer.from("0\r\n\r\n");

/** Takes chunks and answers once one answer is whole. */
function createAnswerReader(): (chunk: Buffer) => HttpAnswer | undefined {
  let held: Buffer | undefined;
  return (chunk) => {
    const bytes: Buffer = held ? Buffer.concat([held, chunk]) : chunk;
    const answer = readAnswer(bytes);
    held = answer ? undefined : bytes;
    return answer;
  };
}

function readAnswer(bytes: Buffer): HttpAnswer | undefined {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) return undefined;
  const head = bytes.toString("latin1", 0, headEnd);
  const status = Number(head.slice(9, 12));
  const bodyStart = headEnd + HEAD_END.length;
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1];
  if (length !== undefined) {
    const end = bodyStart + Number(length);
    return bytes.length < end ? undefined : { status, body: bytes.subarray(bodyStart, end) };
  }
  if (!bytes.subarray(bodyStart).subarray(-LAST_CHUNK.length).equals(LAST_CHUNK)) return undefined;
  return { status, body: joinChunks(bytes.subarray(bodyStart)) };
}

function joinChunks(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf("\r\n", at);
    const size = Number.parseInt(bytes.toString("latin1", at, lineEnd), 16);
    if (!(size > 0)) return Buffer.concat(parts);
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size));
    at = lineEnd + 2 + size + 2;
  }
}
