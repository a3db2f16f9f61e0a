import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { createLocalPubSub } from "../../src/platform/local-pubsub.ts";
import { createPostgresPubSub } from "../../src/platform/postgres/postgres-pubsub.ts";
import type { PubSub } from "../../src/platform/pubsub.ts";
import { createRedis } from "../../src/platform/redis/redis-client.ts";
import { createRedisPubSub } from "../../src/platform/redis/redis-pubsub.ts";
import { eventually } from "../support/eventually.ts";
import { createTestDatabase, startPostgres, type TestDatabase } from "../support/postgres.ts";
import { createTestRedisUrl, startRedis } from "../support/redis.ts";
import { type RedisCluster, startRedisCluster } from "../support/redis-cluster.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

/** Opens gateways that hear each other. */
interface Bus {
  open(): Promise<PubSub>;
  close(): Promise<void>;
}

async function redisGateway(url: string): Promise<PubSub> {
  const redis = await createRedis({ url });
  const pubsub = await createRedisPubSub({ redis, url });
  return {
    ...pubsub,
    async close() {
      await pubsub.close();
      await redis.close();
    },
  };
}

const buses: readonly { name: string; start(): Promise<Bus> }[] = [
  {
    name: "one process",
    async start() {
      const shared = createLocalPubSub();
      return { open: async () => shared, close: () => shared.close() };
    },
  },
  {
    name: "Postgres",
    async start() {
      const database: TestDatabase = await createTestDatabase();
      return { open: () => createPostgresPubSub({ url: database.url }), close: () => database.drop() };
    },
  },
  {
    name: "Redis",
    async start() {
      const url = await createTestRedisUrl();
      return { open: () => redisGateway(url), close: async () => {} };
    },
  },
  {
    name: "Redis Cluster",
    async start() {
      const cluster: RedisCluster = await startRedisCluster();
      return { open: () => redisGateway(cluster.url), close: () => cluster.stop() };
    },
  },
];

describe.each(buses)("pub/sub over $name", ({ start }) => {
  let bus: Bus;
  const opened: PubSub[] = [];
  const open = async () => {
    const pubsub = await bus.open();
    opened.push(pubsub);
    return pubsub;
  };

  beforeAll(async () => {
    bus = await start();
  }, 60_000);
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((pubsub) => pubsub.close()));
  });
  afterAll(() => bus.close());

  test("the sender's own subscribers hear at once, and once", async () => {
    const [here, there] = [await open(), await open()];
    const heard: string[] = [];
    const heardThere: string[] = [];
    await here.subscribe("news", (message) => heard.push(message));
    await there.subscribe("news", (message) => heardThere.push(message));
    here.publish("news", "first");
    expect(heard).toEqual(["first"]);
    await eventually("the other gateway hears", () => heardThere.length > 0);
    // An echo of the first message would arrive before the answer to the second.
    there.publish("news", "answer");
    await eventually("the answer comes back", () => heard.includes("answer"));
    expect(heard).toEqual(["first", "answer"]);
  });

  test("channels are apart, and who leaves hears nothing more", async () => {
    const [here, there] = [await open(), await open()];
    const heard: string[] = [];
    const leave = await there.subscribe("a", (message) => heard.push(`a:${message}`));
    await there.subscribe("b", (message) => heard.push(`b:${message}`));
    here.publish("a", "1");
    await eventually("a is heard", () => heard.includes("a:1"));
    leave();
    leave();
    here.publish("a", "2");
    here.publish("b", "3");
    await eventually("b is heard", () => heard.includes("b:3"));
    expect(heard).toEqual(["a:1", "b:3"]);
  });

  test("a burst arrives whole, also where it takes several payloads", async () => {
    const [here, there] = [await open(), await open()];
    const heard = new Set<string>();
    await there.subscribe("burst", (message) => heard.add(message));
    const sent = Array.from({ length: 500 }, (_, index) => `${index}:${"ü".repeat(100)}`);
    for (const message of sent) here.publish("burst", message);
    await eventually("all are heard", () => heard.size === sent.length);
    expect([...heard].sort()).toEqual([...sent].sort());
  });

  test("a listener that throws disturbs neither the publisher nor the others", async () => {
    const here = await open();
    const heard: string[] = [];
    await here.subscribe("news", () => {
      throw new Error("mine");
    });
    await here.subscribe("news", (message) => heard.push(message));
    here.publish("news", "still");
    expect(heard).toEqual(["still"]);
  });

  test("publishing after the end does nothing, and ending twice is fine", async () => {
    const here = await open();
    await here.close();
    await here.close();
    expect(() => here.publish("news", "late")).not.toThrow();
  });
});

const breakable = [
  { name: "Postgres", start: () => startPostgres(), open: (url: string) => createPostgresPubSub({ url }) },
  { name: "Redis", start: () => startRedis(), open: redisGateway },
];

test.each(breakable)("messages flow again after $name was killed and came back", async ({ start, open }) => {
  const server = await start();
  const [here, there] = await Promise.all([open(server.url), open(server.url)]);
  try {
    const heard: string[] = [];
    await there.subscribe("news", (message) => heard.push(message));
    await server.kill();
    here.publish("news", "lost");
    await server.restart();
    await eventually("a message arrives", () => {
      here.publish("news", "found");
      return heard.includes("found");
    });
  } finally {
    await Promise.all([here.close(), there.close()]);
    await server.stop();
  }
});

test("a gateway whose connection to Redis went dead without a word hears again", async () => {
  const server = await startRedis();
  const proxy = await startTcpProxy(server.port);
  const redis = await createRedis({ url: server.url });
  const url = `redis://127.0.0.1:${proxy.port}`;
  const there = await createRedisPubSub({ redis, url, probeEveryMs: 200 });
  const here = await redisGateway(server.url);
  try {
    const heard: string[] = [];
    await there.subscribe("news", (message) => heard.push(message));
    await eventually("a message arrives", () => {
      here.publish("news", "before");
      return heard.includes("before");
    });
    proxy.freeze();
    await eventually("a message arrives again", () => {
      here.publish("news", "after");
      return heard.includes("after");
    });
  } finally {
    await Promise.all([here.close(), there.close()]);
    await Promise.all([redis.close(), proxy.stop(), server.stop()]);
  }
});
