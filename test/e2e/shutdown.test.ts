import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { showGatewaysOnFailure } from "../support/gateway-process.ts";
import { activeCalls, type Body, grpcClient, restClient } from "./client.ts";
import { openStream } from "./event-stream.ts";
import { createNamespace, type Installation, SETUPS } from "./setups.ts";

showGatewaysOnFailure();

/** Opens a request whose body never ends, which keeps a first signal from ending the process. */
async function sendHalfARequest(url: string, key: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  await once(socket, "connect");
  const head = [
    "POST /v1/namespaces HTTP/1.1",
    `Host: ${hostname}`,
    `Authorization: Bearer ${key}`,
    "Content-Type: application/json",
    "Content-Length: 100",
    "Expect: 100-continue",
  ];
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  // The gateway asks for the body once it has taken the request on.
  await once(socket, "data");
  return socket;
}

interface Collected {
  readonly messages: Body[];
  error: { code: number; details: string } | undefined;
}

describe.each(SETUPS)("stopping and starting on $name", ({ start }) => {
  let installation: Installation | undefined;
  afterEach(async () => {
    await installation?.remove();
    installation = undefined;
  });

  test("SIGTERM lets requests finish and ends streams so that they can be resumed", async () => {
    installation = await start();
    const { a, b, adminKey } = installation;
    const admin = restClient(a, adminKey);
    const { namespace, path } = await createNamespace(admin);
    const enqueue = async (client = admin) =>
      (await client.post(`${path}/queues/seen/tasks`, { kind: "k" })).body.task.taskId as string;

    // Positioned before the first task, so that it cannot matter how quickly a stream comes to its place.
    const positioned = await openStream(a, adminKey, `${path}/tasks:watch`);
    await eventually("a first event comes", async () => {
      await enqueue();
      return positioned.records.length > 0;
    });
    const from = positioned.cursor()!;
    positioned.close();

    const watch = await openStream(a, adminKey, `${path}/tasks:watch?cursor=${from}`);
    const sse = fetch(`${a.rest}/v1${path}/tasks:watch?cursor=${from}`, {
      headers: { authorization: `Bearer ${adminKey}` },
    }).then((response) => response.text());
    const tasks = grpcClient(a.grpc, adminKey, "TaskService");
    const overGrpc = collect(tasks.stream("WatchTasks", { namespace, cursor: from }));
    const subscription = subscribe(a.graphql, adminKey, namespace, from);
    const seen = await enqueue();
    await watch.messages(1);
    await eventually("gRPC has it too", () => overGrpc.messages.length > 0);

    const polls = Array.from({ length: 5 }, () =>
      admin.post(`${path}/queues/empty/tasks:lease`, { workerId: "w", waitMs: 3_000 }),
    );
    const grpcPoll = tasks.unary("LeaseTasks", { namespace, queue: "empty", workerId: "w", waitMs: 3_000 });
    const batch = Array.from({ length: 500 }, () => ({ kind: "k", payload: "x".repeat(200) }));
    await activeCalls(a, "tasks.lease", 6);
    await activeCalls(a, "tasks.watch", 4);
    const enqueueing = admin.post(`${path}/queues/late/tasks:batchEnqueue`, { tasks: batch });
    await activeCalls(a, "tasks.batchEnqueue", 1).catch(() => undefined);

    const signalledAt = performance.now();
    a.signal("SIGTERM");
    expect((await enqueueing).status).toBe(200);
    for (const { status, body } of await Promise.all(polls)) expect([status, body]).toEqual([200, { tasks: [] }]);
    expect((await grpcPoll).tasks ?? []).toEqual([]);

    const last = (await watch.ended())!;
    expect(last).toMatchObject({ end: true, reason: "GATEWAY_DRAINING", cursor: expect.any(String) });
    expect((await sse).trimEnd().split("\n\n").at(-1)).toMatch(/^event: end\nid: \S+\ndata: {"reason":"GATEWAY_DRAIN/);
    await eventually("the gRPC stream ends", () => overGrpc.error !== undefined);
    expect(overGrpc.error!.code).toBe(14);
    const graphqlEnd = (await subscription).trimEnd().split("\n\n");
    expect(graphqlEnd.at(-1)).toMatch(/^event: complete/);
    expect(graphqlEnd.at(-2)).toContain("GATEWAY_DRAINING");
    tasks.close();

    expect(await a.ended()).toEqual({ code: 0, signal: null });
    console.log(`SIGTERM to exit: ${Math.round(performance.now() - signalledAt)} ms`);
    expect(performance.now() - signalledAt).toBeLessThan(10_000);

    // The stream goes on elsewhere, or here again, from where it ended.
    if (a === b) await a.restart();
    const later = await enqueue(restClient(b, adminKey));
    const resumed = await openStream(b, adminKey, `${path}/tasks:watch?queue=seen&cursor=${last.cursor}`);
    const next = await resumed.messages(1);
    resumed.close();
    expect(next.map(({ event }) => event.taskId)).toEqual([later]);
    expect(later).not.toBe(seen);
  }, 120_000);

  test("a watcher that comes back after a restart sees everything once and in order", async () => {
    installation = await start();
    const { a, b, adminKey } = installation;
    const { path } = await createNamespace(restClient(b, adminKey));
    const enqueued: string[] = [];
    const enqueue = async (count: number) => {
      const tasks = Array.from({ length: count }, () => ({ kind: "k" }));
      const { body } = await restClient(b, adminKey).post(`${path}/queues/q/tasks:batchEnqueue`, { tasks });
      enqueued.push(...body.tasks.map((task: Body) => task.taskId));
    };
    const first = await openStream(a, adminKey, `${path}/tasks:watch`);
    await eventually("a first event comes", async () => {
      await enqueue(1);
      return first.records.length > 0;
    });
    await first.messages(1);
    await enqueue(20);
    const seen = await first.messages(20);
    a.signal("SIGKILL");
    await first.ended();
    const all = first.records.flatMap(({ result }) => (result?.event ? [result] : []));
    if (a !== b) await enqueue(20);
    await a.restart();
    await enqueue(20);

    const second = await openStream(a, adminKey, `${path}/tasks:watch?cursor=${first.cursor()}`);
    const expected = enqueued.slice(enqueued.indexOf(all[0]!.event.taskId));
    const rest = await second.messages(expected.length - all.length);
    await enqueue(1);
    const marker = await second.messages(rest.length + 1);
    second.close();
    const ids = [...all, ...marker].map(({ event }) => event.taskId as string);
    expect(seen.length).toBeGreaterThan(0);
    expect(new Set(ids).size).toBe(ids.length);
    expect([...ids].sort()).toEqual([...expected, enqueued.at(-1)!].sort());
  }, 120_000);

  test("a second SIGTERM ends at once, and nothing is lost by it", async () => {
    installation = await start();
    const { a, adminKey } = installation;
    const admin = restClient(a, adminKey);
    const { path } = await createNamespace(admin);
    const { secret } = (await admin.post(`${path}/keys`, { roles: ["viewer"] })).body;
    const { body } = await admin.post(`${path}/queues/q/tasks`, { kind: "k", payload: [1] });
    const leased = await admin.post(`${path}/queues/q/tasks:lease`, { workerId: "w", leaseMs: 600_000 });
    const dribbler = await sendHalfARequest(a.rest, adminKey);
    a.signal("SIGTERM");
    await eventually("it drains", () => a.output().includes("Draining; a second signal ends at once."));
    const signalledAt = performance.now();
    let code: number | null | undefined;
    a.ended().then((ending) => {
      code = ending.code;
    });
    // Signals that come together are taken for one, so it is sent until it counts.
    await eventually("it ends", () => {
      a.signal("SIGTERM");
      return code !== undefined;
    });
    expect(code).toBe(1);
    expect(performance.now() - signalledAt).toBeLessThan(5_000);
    dribbler.destroy();

    await a.restart();
    expect(a.output().match(/made just now/g)?.length ?? 0).toBeLessThanOrEqual(1);
    const again = restClient(a, secret);
    const task = (await again.get(`${path}/tasks/${body.task.taskId}`)).body.task;
    expect(task).toMatchObject({ state: "LEASED", fence: 1, workerId: "w" });
    const done = await admin.post(`${path}/tasks/${task.taskId}:complete`, { fence: leased.body.tasks[0].fence });
    expect(done.body.task).toMatchObject({ state: "COMPLETED", payload: [1] });
    await a.stop();
  }, 120_000);

  test("long polls under way do not hold up a stop for longer than it takes to answer them", async () => {
    installation = await start();
    const { a, adminKey } = installation;
    const admin = restClient(a, adminKey);
    const { namespace, path } = await createNamespace(admin);
    const tasks = grpcClient(a.grpc, adminKey, "TaskService");
    const polls = [
      admin.post(`${path}/queues/q/tasks:lease`, { workerId: "w", waitMs: 30_000 }).then(({ body }) => body.tasks),
      tasks.unary("LeaseTasks", { namespace, queue: "q", workerId: "w", waitMs: 30_000 }).then(({ tasks }) => tasks),
    ];
    await activeCalls(a, "tasks.lease", 2);
    const signalledAt = performance.now();
    await Promise.all([
      a.stop(),
      Promise.all(polls).then((leased) => expect(leased.flat().filter(Boolean)).toEqual([])),
    ]);
    expect(performance.now() - signalledAt).toBeLessThan(5_000);
    tasks.close();
  }, 120_000);
});

function collect(stream: AsyncIterable<Body>): Collected {
  const collected: Collected = { messages: [], error: undefined };
  const read = async () => {
    for await (const message of stream) collected.messages.push(message);
  };
  read().catch((error) => {
    collected.error = error;
  });
  return collected;
}

/** The whole text of a GraphQL subscription over Server-Sent Events, once it has ended. */
async function subscribe(url: string, key: string, namespace: string, cursor: string): Promise<string> {
  const query =
    "subscription ($n: String!, $c: String) { watchTasks(namespace: $n, cursor: $c) { cursor event { taskId } } }";
  const response = await fetch(new URL("/graphql", url), {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json", accept: "text/event-stream" },
    body: JSON.stringify({ query, variables: { n: namespace, c: cursor } }),
  });
  return response.text();
}
