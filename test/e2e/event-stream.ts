import { eventually } from "../support/eventually.ts";
import type { GatewayProcess } from "../support/gateway-process.ts";
import type { Body } from "./client.ts";

/** One line of a stream in NDJSON: a message, or the last record. */
export interface StreamRecord {
  readonly result?: Body;
  readonly cursor?: string;
  readonly end?: boolean;
  readonly reason?: string;
  readonly error?: Body;
}

export interface EventStream {
  /** What has come so far, heartbeats left out. */
  readonly records: StreamRecord[];
  /** The cursor of the latest record. */
  cursor(): string | undefined;
  /** Resolves when `records` has as many messages. */
  messages(count: number): Promise<Body[]>;
  /** Resolves when the gateway has ended the stream, with its last record. */
  ended(): Promise<StreamRecord | undefined>;
  close(): void;
}

/** Opens a stream over REST as NDJSON; `path` begins after `/v1`. */
export async function openStream(
  gateway: Pick<GatewayProcess, "rest">,
  key: string,
  path: string,
): Promise<EventStream> {
  const aborter = new AbortController();
  const response = await fetch(`${gateway.rest}/v1${path}`, {
    headers: { authorization: `Bearer ${key}`, accept: "application/x-ndjson" },
    signal: aborter.signal,
  });
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  const records: StreamRecord[] = [];
  const reading = readLines(response, (line) => {
    const record = JSON.parse(line) as StreamRecord & { heartbeat?: boolean };
    if (!record.heartbeat) records.push(record);
  }).catch(() => {});
  const messages = () => records.flatMap(({ result }) => (result === undefined ? [] : [result]));
  return {
    records,
    cursor: () => records.findLast(({ cursor }) => cursor !== undefined)?.cursor,
    messages: (count) =>
      eventually(`${count} messages on ${path}`, () => (messages().length >= count ? messages() : undefined)),
    async ended() {
      await reading;
      return records.at(-1);
    },
    close: () => aborter.abort(),
  };
}

async function readLines(response: Response, onLine: (line: string) => void): Promise<void> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body!) {
    const lines = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split("\n");
    rest = lines.pop()!;
    for (const line of lines) if (line !== "") onLine(line);
  }
}
