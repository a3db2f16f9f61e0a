import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Cluster, Redis } from "ioredis";

/** A Lua script that Redis runs as one step. */
export interface RedisScript {
  run(driver: Redis | Cluster, keys: readonly string[], args: readonly (string | number | Buffer)[]): Promise<unknown>;
}

/**
 * Loads a script from its file. It is sent by its digest, and in full where the server does not
 * know it (anew after a restart, a SCRIPT FLUSH or a failover).
 */
export function loadScript(file: URL): RedisScript {
  const source = readFileSync(file, "utf8");
  const digest = createHash("sha1").update(source).digest("hex");
  return {
    async run(driver, keys, args) {
      try {
        return await driver.evalsha(digest, keys.length, ...keys, ...args);
      } catch (error) {
        if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
        return driver.eval(source, keys.length, ...keys, ...args);
      }
    },
  };
}
