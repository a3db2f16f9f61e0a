import { randomUUID } from "node:crypto";
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
  readonly probeEveryMs?: number;
}

const CHANNEL = "tarl:pubsub";
/** What one turn of the event loop publishes goes together. */
const GATHER_MS = 0;
const MAX_PAYLOAD_BYTES = 64 * 1024;
const CONNECT_TIMEOUT_MS = 2_000;
/** A connection that broke without a word is found by listening for a message of one's own now and then. */
const PROBE_EVERY_MS = 10_000;

/**
 * Pub/sub between gateways over PUBLISH, which a cluster carries to all its nodes. Subscribes again
 * after every reconnect, and reconnects where it does not hear itself.
 */
export function createRedisPubSub(options: RedisPubSubOptions): Promise<PubSub> {
  const { redis, onError, probeEveryMs = PROBE_EVERY_MS } = options;
  return createBroadcastPubSub({
    async open(receive) {
      let subscriber = await openSubscriber(options, receive);
      let closed = false;
      const probe = async () => {
        const probed = subscriber;
        if (await hearsItself(probed, redis, probeEveryMs)) return;
        onError?.(
          new Error("Redis takes messages, but the connection that listens for them is dead. Making a new one."),
        );
        subscriber = await openSubscriber(options, receive);
        // What comes while both listen is heard twice, which harms nobody; between them nothing is lost.
        probed.driver.disconnect();
        if (closed) subscriber.driver.disconnect();
      };
      let isProbing = false;
      const timer = setInterval(async () => {
        if (isProbing) return;
        isProbing = true;
        await probe().catch((error: unknown) => onError?.(error));
        isProbing = false;
      }, probeEveryMs);
      timer.unref();
      return {
        async send(payloads) {
          await Promise.all(payloads.map((payload) => redis.use((driver) => driver.publish(CHANNEL, payload))));
        },
        async close() {
          closed = true;
          clearInterval(timer);
          subscriber.driver.disconnect();
        },
      };
    },
    gatherMs: GATHER_MS,
    maxPayloadBytes: MAX_PAYLOAD_BYTES,
    onError,
  });
}

interface Subscriber {
  readonly driver: ReturnType<typeof createDriver>;
  /** A channel that nobody else listens to. */
  readonly ownChannel: string;
}

async function openSubscriber(
  { url, onError }: RedisPubSubOptions,
  receive: (payload: string) => void,
): Promise<Subscriber> {
  const driver = createDriver(
    { url, connectionName: "tarl-gateway pubsub", ...(onError ? { onError } : {}) },
    { queueWhileAway: true },
  );
  driver.on("message", (channel: string, payload: string) => {
    if (channel === CHANNEL) receive(payload);
  });
  const ownChannel = `${CHANNEL}:${randomUUID()}`;
  await subscribe(driver, [CHANNEL, ownChannel]);
  return { driver, ownChannel };
}

/** Subscribes now or, where Redis is away, as soon as it is there. */
async function subscribe(driver: Subscriber["driver"], channels: readonly string[]): Promise<void> {
  const subscribeNow = () => driver.subscribe(...channels).catch(() => {});
  await firstConnection(driver, CONNECT_TIMEOUT_MS);
  await subscribeNow();
  // The driver renews only what was subscribed before the connection broke; this covers a Redis that came later.
  driver.on("ready", subscribeNow);
}

/** Whether a message to oneself arrives within `timeoutMs`. Where Redis does not take it, nothing is wrong with the subscriber. */
async function hearsItself(
  { driver, ownChannel }: Subscriber,
  redis: RedisClient,
  timeoutMs: number,
): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  let listener: ((channel: string) => void) | undefined;
  const heard = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs);
    listener = (channel) => {
      if (channel === ownChannel) resolve(true);
    };
    driver.on("message", listener);
  });
  try {
    await redis.use((sender) => sender.publish(ownChannel, ""));
    return await heard;
  } catch {
    return true;
  } finally {
    clearTimeout(timer);
    if (listener) driver.removeListener("message", listener);
  }
}
