import { fileURLToPath } from "node:url";
import type { BareSettings } from "../bare/settings.ts";
import type { Bench } from "./bench.ts";
import { PRODUCTION, parseReadyLine, startChild } from "./child.ts";

export interface BareServer {
  readonly pid: number;
  /** host:port */
  readonly address: string;
}

/** Starts the bare library's server for one protocol on the gateway's core; it ends with the case. */
export async function startBareServer(
  bench: Bench,
  protocol: "rest" | "grpc" | "graphql",
  settings: BareSettings,
): Promise<BareServer> {
  const child = await startChild<{ port: number }>({
    command: process.execPath,
    args: [fileURLToPath(new URL(`../bare/${protocol}.ts`, import.meta.url)), JSON.stringify(settings)],
    env: PRODUCTION,
    ready: parseReadyLine,
    cores: bench.cores?.server,
  });
  bench.defer(() => child.stop());
  return { pid: child.pid, address: `127.0.0.1:${child.ready.port}` };
}
