/** What a bare server is told on its command line, as JSON. */
export interface BareSettings {
  readonly databaseUrl: string;
  readonly namespace: string;
  /** What the gateway answered to whoAmI, as this protocol has it. */
  readonly whoAmI: object;
}

export function readSettings(): BareSettings {
  return JSON.parse(process.argv[2] ?? "{}") as BareSettings;
}

/** Tells who started this server that it listens. */
export function tellReady(port: number): void {
  process.stdout.write(`${JSON.stringify({ port })}\n`);
}
