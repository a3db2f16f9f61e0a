import pg from "pg";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type CuttingProxy, startCuttingProxy } from "../support/cutting-proxy.ts";
import { eventually } from "../support/eventually.ts";
import { type GatewayProcess, showGatewaysOnFailure, startGateway } from "../support/gateway-process.ts";
import { type PostgresServer, startPostgres } from "../support/postgres.ts";

let server: PostgresServer;
let proxy: CuttingProxy;
let gateway: GatewayProcess;
let admin: pg.Client;

showGatewaysOnFailure();

beforeAll(async () => {
  server = await startPostgres({ settings: { max_connections: "40", track_activity_query_size: "16384" } });
  proxy = await startCuttingProxy(server.port);
  const url = new URL(server.url);
  url.port = String(proxy.port);
  gateway = await startGateway({ environment: { TARL_DATABASE_URL: url.href } });
}, 120_000);
beforeEach(async () => {
  admin = new pg.Client({ connectionString: server.url });
  await admin.connect();
  return () => admin.end();
});
afterAll(async () => {
  await gateway?.remove();
  await proxy?.stop();
  await server?.stop();
});

interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: { reason?: string; tasks?: unknown[] };
}

async function send(
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const answer = await fetch(gateway.rest + path, {
    method,
    headers: { authorization: `Bearer ${gateway.adminKey}`, "content-type": "application/json", ...headers },
    ...(body ? { body: JSON.stringify(body) } : {}),
    signal: AbortSignal.timeout(30_000),
  });
  return { status: answer.status, retryAfter: answer.headers.get("retry-after"), body: (await answer.json()) as never };
}

const enqueue = (queue: string, headers?: Record<string, string>) =>
  send("POST", `/v1/namespaces/default/queues/${queue}/tasks`, { kind: "work" }, headers);
const acquire = (name: string) =>
  send("POST", `/v1/namespaces/default/leases/${name}:acquire`, { holder: "me", ttlMs: 5000 });

test("an Idempotency-Key does not run a task twice whose commit nobody heard of", async () => {
  await enqueue("warm");
  const headers = { "Idempotency-Key": "ambiguous" };
  proxy.cutAnswerTo("ambiguous-queue");
  expect(await enqueue("ambiguous-queue", headers)).toMatchObject({ status: 503, body: { reason: "OUTCOME_UNKNOWN" } });
  expect(await enqueue("ambiguous-queue", headers)).toMatchObject({ status: 409, body: { reason: "OUTCOME_UNKNOWN" } });
  const { body } = await send("GET", "/v1/namespaces/default/tasks?queue=ambiguous-queue");
  expect(body.tasks).toHaveLength(1);
});

test("a locked table keeps neither probes nor credentials, leases and queues from being served", async () => {
  await acquire("before");
  await admin.query("BEGIN; LOCK TABLE tasks");
  const flood = Array.from({ length: 60 }, () => enqueue("jammed", { "X-Request-Timeout-Ms": "1000" }));
  const waiting = async () => {
    // Within a transaction, the view stays as it was first seen.
    await admin.query("SELECT pg_stat_clear_snapshot()");
    const { rows } = await admin.query(
      "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INSERT INTO tasks%'",
    );
    return rows[0].n;
  };
  await eventually("enqueues wait for the lock", async () => (await waiting()) > 5);
  const others = await Promise.all([
    acquire("meanwhile"),
    send("GET", "/readyz"),
    send("GET", "/v1/whoami"),
    send("GET", "/v1/namespaces/default/queues"),
  ]);
  expect(others.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  expect(await waiting()).toBeGreaterThan(5);
  expect((await Promise.all(flood)).every(({ status }) => status === 504)).toBe(true);
  await eventually("nothing waits any more for callers that have gone", async () => (await waiting()) === 0, 15_000);
  await admin.query("ROLLBACK");
  expect((await enqueue("jammed")).status).toBe(200);
}, 60_000);

test("a database that takes no changes is said to be unavailable, and found again when it does", async () => {
  await admin.query("ALTER SYSTEM SET default_transaction_read_only = on");
  await admin.query("SELECT pg_reload_conf()");
  await eventually("the probe notices", async () => (await send("GET", "/readyz")).status === 503);
  expect(await enqueue("standby")).toMatchObject({
    status: 503,
    retryAfter: "1",
    body: { reason: "DATABASE_READ_ONLY" },
  });
  await admin.query("SET default_transaction_read_only = off");
  await admin.query("ALTER SYSTEM RESET default_transaction_read_only");
  await admin.query("SELECT pg_reload_conf()");
  await eventually("the probe is well again", async () => (await send("GET", "/readyz")).status === 200);
  await eventually("tasks are taken again", async () => (await enqueue("standby")).status === 200);
});

test("a server without a connection to spare is unavailable, until it has some", async () => {
  const hogs: pg.Client[] = [];
  const hog = async () => {
    const client = new pg.Client({ connectionString: server.url });
    client.on("error", () => {});
    await client.connect();
    hogs.push(client);
  };
  // Between two calls the gateway may get a place that another has just left, so one answer is looked at.
  const refused = await eventually("all connections are taken", async () => {
    await admin.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'tarl%'");
    const isFull = await hog().then(
      () => false,
      ({ code }) => code === "53300",
    );
    const answer = await enqueue("full");
    return isFull && answer.status === 503 ? answer : undefined;
  });
  expect(refused).toMatchObject({
    status: 503,
    retryAfter: "1",
    body: { reason: "DATABASE_UNAVAILABLE" },
  });
  await Promise.all(hogs.map((client) => client.end()));
  await eventually("it serves again", async () => (await enqueue("full")).status === 200);
}, 60_000);
