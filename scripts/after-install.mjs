/**
 * Runs after an install: makes first starts quick (scripts/first-start.ts). An install must not fail for want of
 * speed, so whatever goes wrong is said and no more.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { environmentFor, findNode, root } from "./lib/find-node.mjs";

try {
  const node = findNode();
  const env = environmentFor(node);
  const isCompiled = existsSync(env.NODE_COMPILE_CACHE);
  const args = [join(root, "scripts", "first-start.ts"), ...(isCompiled ? ["--template"] : [])];
  const result = spawnSync(node, args, { stdio: ["ignore", 2, 2], env });
  if (result.status !== 0)
    throw result.error ?? new Error(`first-start.ts ended with ${result.signal ?? result.status}.`);
} catch (error) {
  console.error(`The first start will take some seconds longer: ${error.message}`);
}
