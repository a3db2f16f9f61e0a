import pg from "pg";
import { type BroadcastTransport, createBroadcastPubSub } from "../broadcast-pubsub.ts";
import type { PubSubErrorListener } from "../local-pubsub.ts";
import type { PubSub } from "../pubsub.ts";
import { postgresConnection } from "./postgres-connection.ts";

export interface PostgresPubSubOptions {
  readonly url: string;
  readonly applicationName?: string;
  readonly onError?: PubSubErrorListener;
}

const CHANNEL = "tarl_pubsub";
/** NOTIFY takes a lock over the whole server when it commits, so messages are gathered and sent apart from any write. */
const GATHER_MS = 10;
/** Postgres refuses payloads of 8,000 bytes and more. */
const MAX_PAYLOAD_BYTES = 7_999;

const CONNECT_TIMEOUT_MS = 5_000;
const STATEMENT_TIMEOUT_MS = 5_000;
/** A connection that broke without a word is found by asking now and then. */
const PROBE_EVERY_MS = 10_000;
const FIRST_RECONNECT_MS = 50;
const LAST_RECONNECT_MS = 2_000;

/** Pub/sub between gateways over LISTEN and NOTIFY, on one connection of its own that is remade whenever it breaks. */
export function createPostgresPubSub(options: PostgresPubSubOptions): Promise<PubSub> {
  return createBroadcastPubSub({
    open: (receive) => openListener(options, receive),
    gatherMs: GATHER_MS,
    maxPayloadBytes: MAX_PAYLOAD_BYTES,
    onError: options.onError,
  });
}

async function openListener(
  options: PostgresPubSubOptions,
  receive: (payload: string) => void,
): Promise<BroadcastTransport> {
  const onError = options.onError ?? (() => {});
  let client: pg.Client | undefined;
  let reconnectTimer: NodeJS.Timeout | undefined;
  let reconnectMs = FIRST_RECONNECT_MS;
  let closed = false;

  const lose = (broken: pg.Client, error: unknown) => {
    if (broken !== client && client !== undefined) return;
    client = undefined;
    broken.end().catch(() => {});
    if (closed) return;
    onError(error);
    clearTimeout(reconnectTimer);
    reconnectTimer = setTimeout(connect, reconnectMs);
    reconnectMs = Math.min(reconnectMs * 2, LAST_RECONNECT_MS);
  };

  const connect = async () => {
    const fresh = createClient(options);
    fresh.on("error", (error) => lose(fresh, error));
    fresh.on("end", () => lose(fresh, new Error("The connection that listens for messages ended.")));
    fresh.on("notification", ({ payload }) => receive(payload ?? ""));
    try {
      await fresh.connect();
      await fresh.query(`LISTEN ${CHANNEL}`);
      if (closed) return void (await fresh.end());
      client = fresh;
      reconnectMs = FIRST_RECONNECT_MS;
    } catch (error) {
      lose(fresh, error);
    }
  };

  await connect();
  const probe = setInterval(() => {
    const probed = client;
    probed?.query("SELECT 1").catch((error) => lose(probed, error));
  }, PROBE_EVERY_MS);
  probe.unref();

  return {
    async send(payloads) {
      await client?.query("SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS item(payload)", [
        CHANNEL,
        payloads,
      ]);
    },
    async close() {
      closed = true;
      clearTimeout(reconnectTimer);
      clearInterval(probe);
      await client?.end();
    },
  };
}

function createClient(options: PostgresPubSubOptions): pg.Client {
  return new pg.Client({
    ...postgresConnection(options.url, { statement_timeout: STATEMENT_TIMEOUT_MS }),
    application_name: `${options.applicationName ?? "tarl-gateway"} pubsub`,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: STATEMENT_TIMEOUT_MS,
    keepAlive: true,
  });
}
