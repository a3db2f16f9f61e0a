import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../../../test/support/eventually.ts";
import { findRedisBinary, type RedisServer, startRedis } from "../../../test/support/redis.ts";
import { freePort, startServer } from "../../../test/support/server-process.ts";
import { createRedis } from "./redis-client.ts";
import { loadScript, type RedisScript } from "./script.ts";

const unavailable = expect.objectContaining({ code: "UNAVAILABLE", reason: "REDIS_UNAVAILABLE" });

describe("a Redis", () => {
  let server: RedisServer;
  let dir: string;
  let echo: RedisScript;
  beforeAll(async () => {
    server = await startRedis();
    dir = mkdtempSync(join(tmpdir(), "tarl-scripts-"));
    writeFileSync(join(dir, "echo.lua"), "return { KEYS[1], ARGV[1], 7 }");
    writeFileSync(join(dir, "broken.lua"), "return redis.call('NONSENSE')");
    echo = loadScript(pathToFileURL(join(dir, "echo.lua")));
  });
  afterAll(async () => {
    await server.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  test("scripts run by their digest, and again when the server forgot them", async () => {
    const redis = await createRedis({ url: server.url });
    expect(await redis.run(echo, ["k"], ["v"])).toEqual(["k", "v", 7]);
    await redis.use((driver) => driver.script("FLUSH"));
    expect(await redis.run(echo, ["k"], ["v"])).toEqual(["k", "v", 7]);
    await redis.close();
  });

  test("a script's mistake stays what it is", async () => {
    const redis = await createRedis({ url: server.url });
    const broken = loadScript(pathToFileURL(join(dir, "broken.lua")));
    await expect(redis.run(broken, [], [])).rejects.toThrowError(/Unknown Redis command/);
    await redis.close();
  });

  test("while it is dead, calls fail at once; when it is back, the same client works", async () => {
    const errors: Error[] = [];
    const redis = await createRedis({ url: server.url, onError: (error) => errors.push(error) });
    await redis.ping();
    const underWay = redis.use((driver) => driver.blpop("never", 0)).catch((error) => error);
    await server.kill();
    expect(await underWay).toEqual(unavailable);
    await expect(redis.ping()).rejects.toEqual(unavailable);
    await expect(redis.run(echo, ["k"], ["v"])).rejects.toEqual(unavailable);
    await server.restart();
    await eventually("it answers again", () =>
      redis.ping().then(
        () => true,
        () => false,
      ),
    );
    expect(await redis.run(echo, ["k"], ["v"])).toEqual(["k", "v", 7]);
    expect(errors.length).toBeGreaterThan(0);
    await redis.close();
  });

  test("a Redis that hangs fails a call after its time", async () => {
    const redis = await createRedis({ url: server.url, commandTimeoutMs: 50 });
    await expect(redis.use((driver) => driver.blpop("never", 0))).rejects.toEqual(unavailable);
    await redis.close();
  });

  test("one that comes later is found", async () => {
    await server.kill();
    const redis = await createRedis({ url: server.url, connectTimeoutMs: 50 });
    await expect(redis.ping()).rejects.toEqual(unavailable);
    await server.restart();
    await eventually("it answers", () =>
      redis.ping().then(
        () => true,
        () => false,
      ),
    );
    await redis.close();
  });

  test("sentinels lead to the master", async () => {
    const sentinelPort = await freePort();
    const config = join(dir, "sentinel.conf");
    writeFileSync(
      config,
      `port ${sentinelPort}\nbind 127.0.0.1\ndir ${dir}\nsentinel monitor main 127.0.0.1 ${server.port} 1\n`,
    );
    const sentinel = await startServer({
      command: await findRedisBinary(),
      args: [config, "--sentinel"],
      readyText: "+monitor master main",
    });
    const redis = await createRedis({ url: `redis+sentinel://127.0.0.1:${sentinelPort}/main/3` });
    try {
      expect(await redis.use((driver) => driver.client("INFO"))).toContain(" db=3 ");
    } finally {
      await redis.close();
      await sentinel.stop();
    }
  });
});
