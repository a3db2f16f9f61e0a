import { createBroadcastPubSub } from "../broadcast-pubsub.ts";
import type { PubSubErrorListener } from "../local-pubsub.ts";
import type { PubSub } from "../pubsub.ts";
import { createDriver, firstConnection, type RedisClient } from "./redis-client.ts";

export interface RedisPubSubOptions {
  /** Sends the messages. */
  readonly redis: RedisClient;
  /** Where the subscriber connects to: a connection that listens can do nothing else. */
  readonly url: string;
  readonly onError?: PubSubErrorListener;
}

const CHANNEL = "tarl:pubsub";
/** What one turn of the event loop publishes goes together. */
const GATHER_MS = 0;
const MAX_PAYLOAD_BYTES = 64 * 1024;
const CONNECT_TIMEOUT_MS = 2_000;

/** Pub/sub between gateways over PUBLISH, which a cluster carries to all its nodes. Subscribes again after every reconnect. */
export function createRedisPubSub(options: RedisPubSubOptions): Promise<PubSub> {
  const { redis, url, onError } = options;
  return createBroadcastPubSub({
    async open(receive) {
      const subscriber = createDriver(
        { url, connectionName: "tarl-gateway pubsub", ...(onError ? { onError } : {}) },
        { queueWhileAway: true },
      );
      subscriber.on("message", (channel: string, payload: string) => {
        if (channel === CHANNEL) receive(payload);
      });
      await subscribe(subscriber);
      return {
        async send(payloads) {
          await Promise.all(payloads.map((payload) => redis.use((driver) => driver.publish(CHANNEL, payload))));
        },
        async close() {
          subscriber.disconnect();
        },
      };
    },
    gatherMs: GATHER_MS,
    maxPayloadBytes: MAX_PAYLOAD_BYTES,
    onError,
  });
}

/** Subscribes now or, where Redis is away, as soon as it is there. */
async function subscribe(subscriber: ReturnType<typeof createDriver>): Promise<void> {
  const subscribeNow = () => subscriber.subscribe(CHANNEL).catch(() => {});
  await firstConnection(subscriber, CONNECT_TIMEOUT_MS);
  await subscribeNow();
  // The driver renews only what was subscribed before the connection broke; this covers a Redis that came later.
  subscriber.on("ready", subscribeNow);
}
