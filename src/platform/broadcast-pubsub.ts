import { randomUUID } from "node:crypto";
import { createLocalPubSub, type PubSubErrorListener } from "./local-pubsub.ts";
import type { PubSub } from "./pubsub.ts";

/** What carries texts between gateways. It may lose them. */
export interface BroadcastTransport {
  /** Sends each payload to every gateway, this one included or not. */
  send(payloads: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

export interface BroadcastPubSubOptions {
  /** Opens the transport; it calls `receive` with every payload it hears. */
  readonly open: (receive: (payload: string) => void) => Promise<BroadcastTransport>;
  /** How long messages are gathered before they are sent together. */
  readonly gatherMs: number;
  readonly maxPayloadBytes: number;
  readonly onError?: PubSubErrorListener | undefined;
}

/** What waits while the transport is away; beyond it messages are dropped, as the contract allows. */
const MAX_PENDING_MESSAGES = 10_000;

type Entry = readonly [channel: string, message: string];

/**
 * Pub/sub over something that carries texts. Subscribers here are called at once; other gateways
 * get what was gathered within `gatherMs`, equal messages once. Each payload names its sender,
 * which therefore does not hear itself twice.
 */
export async function createBroadcastPubSub(options: BroadcastPubSubOptions): Promise<PubSub> {
  const origin = randomUUID();
  const onError = options.onError ?? (() => {});
  const local = createLocalPubSub(onError);
  const pending = new Map<string, Entry>();
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> | undefined;
  let closed = false;

  const transport = await options.open((payload) => {
    const { sender, entries } = decode(payload);
    if (sender === origin) return;
    for (const [channel, message] of entries) local.publish(channel, message);
  });

  const flush = async () => {
    timer = undefined;
    const payloads = encode(origin, pending.values(), options.maxPayloadBytes);
    pending.clear();
    sending = transport.send(payloads).catch(onError);
    await sending;
    sending = undefined;
    schedule();
  };
  const schedule = () => {
    // One send at a time: what arrives meanwhile goes together in the next.
    if (closed || timer !== undefined || sending !== undefined || pending.size === 0) return;
    timer = setTimeout(flush, options.gatherMs);
  };

  return {
    publish(channel, message) {
      if (closed) return;
      local.publish(channel, message);
      if (pending.size >= MAX_PENDING_MESSAGES) return;
      pending.set(`${channel}\n${message}`, [channel, message]);
      schedule();
    },
    subscribe: (channel, listener) => local.subscribe(channel, listener),
    async close() {
      if (closed) return;
      closed = true;
      clearTimeout(timer);
      await sending;
      if (pending.size > 0) await flush();
      await transport.close();
      await local.close();
    },
  };
}

/** Packs entries into as few payloads as the limit allows. An entry that is too long by itself is left out. */
function encode(origin: string, entries: Iterable<Entry>, maxPayloadBytes: number): string[] {
  const head = `{"from":"${origin}","messages":[`;
  const tail = "]}";
  const payloads: string[] = [];
  let body = "";
  let sizeBytes = head.length + tail.length;
  for (const entry of entries) {
    const text = JSON.stringify(entry);
    const textBytes = Buffer.byteLength(text) + 1;
    if (head.length + tail.length + textBytes > maxPayloadBytes) continue;
    if (sizeBytes + textBytes > maxPayloadBytes) {
      payloads.push(head + body + tail);
      body = "";
      sizeBytes = head.length + tail.length;
    }
    body += body === "" ? text : `,${text}`;
    sizeBytes += textBytes;
  }
  if (body !== "") payloads.push(head + body + tail);
  return payloads;
}

/** Reads a payload; what somebody else wrote into the channel counts as empty. */
function decode(payload: string): { sender: string; entries: readonly Entry[] } {
  try {
    const { from, messages } = JSON.parse(payload);
    if (typeof from === "string" && Array.isArray(messages)) {
      return { sender: from, entries: messages.filter(isEntry) };
    }
  } catch {
    // Not ours.
  }
  return { sender: "", entries: [] };
}

function isEntry(value: unknown): value is Entry {
  return Array.isArray(value) && typeof value[0] === "string" && typeof value[1] === "string";
}
