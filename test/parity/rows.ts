import type { Input } from "../support/clients-model.ts";
import { FEATURE_ROWS } from "./feature-rows.ts";
import type { Actor } from "./parity-gateway.ts";
import type { Row } from "./row.ts";

export const QUEUE = "embeddings";
const UNKNOWN_ID = "01900000-0000-7000-8000-000000000000";
const OTHER_TASK: Input = { taskId: UNKNOWN_ID };

/** A task that is leased, in a queue of its own so that no other row's task comes between. */
export async function leasedTask(actor: Actor): Promise<Input> {
  const queue = actor.fresh("queue");
  await actor.must("tasks.enqueue", { queue, kind: "embed" });
  const { tasks } = await actor.must("tasks.lease", { queue, workerId: "worker-1" });
  return { taskId: tasks[0].taskId, fence: tasks[0].fence };
}

export async function deadLetter(actor: Actor): Promise<string> {
  const held = await leasedTask(actor);
  await actor.must("tasks.fail", { ...held, retryable: false, error: { message: "broken", type: "BROKEN" } });
  return held.taskId as string;
}

async function heldLease(actor: Actor): Promise<Input> {
  const leaseName = actor.fresh("lease");
  const { lease } = await actor.must("leases.acquire", { leaseName, holder: "holder-1", ttlMs: 60_000 });
  return { leaseName, fence: lease.fence };
}

async function customRole(actor: Actor): Promise<string> {
  const name = actor.fresh("role");
  await actor.must("roles.create", { name, permissions: ["tasks.read", "queues.read"] });
  return name;
}

async function newKey(actor: Actor): Promise<string> {
  const { apiKey } = await actor.must("keys.create", { roles: ["viewer"], displayName: "for reading" });
  return apiKey.keyId;
}

async function worker(actor: Actor): Promise<Input> {
  const workerId = actor.fresh("worker");
  await actor.must("workers.register", { workerId, capabilities: ["gpu"] });
  return { workerId };
}

async function queue(actor: Actor): Promise<Input> {
  const name = actor.fresh("queue");
  await actor.must("tasks.enqueue", { queue: name, kind: "embed" });
  return { queue: name };
}

async function childNamespace(actor: Actor): Promise<string> {
  const name = `${actor.namespace}-${actor.fresh("child")}`;
  await actor.must("namespaces.create", { name });
  return name;
}

const WHOLE_TASK: Input = {
  kind: "embed",
  payload: { text: "Grüße 👋", numbers: [0, -1.5, 1e21, 0.1], nested: { none: null, empty: {}, list: [] }, yes: true },
  priority: "HIGH",
  runAt: "2026-01-01T12:00:00.123Z",
  retryPolicy: { maxAttempts: 3, initialBackoffMs: 10, maxBackoffMs: 1000, multiplier: 1.5, jitter: 0 },
  executionTimeoutMs: 60_000,
  requiredCapabilities: ["gpu", "region:eu"],
  labels: { team: "search", "app/tier": "ä & b=c" },
  concurrencyKey: "customer-7",
};

/** One row for each operation of the gateway. */
export const ROWS: Readonly<Record<string, Row>> = {
  "system.whoAmI": { good: () => ({}) },
  "system.getInfo": { good: () => ({}) },
  "permissions.list": { good: () => ({}) },

  "namespaces.create": {
    good: (actor) => ({
      name: `${actor.namespace}-${actor.fresh("new")}`,
      displayName: "Søren's",
      isolation: "STRICT",
      quotas: { maxQueueDepth: 10, maxStorageMb: 0 },
    }),
    other: { isolation: "NONE" },
  },
  "namespaces.get": { good: () => ({}) },
  "namespaces.list": { good: () => ({ pageSize: 1 }) },
  "namespaces.update": {
    good: () => ({ displayName: "Renamed", quotas: { maxConcurrentExecutions: 1000 } }),
    other: { description: "Another one." },
  },
  "namespaces.delete": {
    good: async (actor) => ({ namespace: await childNamespace(actor), force: true }),
    other: { force: false },
  },
  "namespaces.usage": { good: () => ({}) },

  "keys.create": {
    good: () => ({ roles: ["worker", "viewer"], displayName: "Worker", expiresAt: "2199-01-01T00:00:00Z" }),
    other: { roles: ["viewer"] },
  },
  "keys.get": { good: async (actor) => ({ keyId: await newKey(actor) }) },
  "keys.list": { good: async (actor) => ((await newKey(actor)) ? { pageSize: 1 } : {}) },
  "keys.revoke": { good: async (actor) => ({ keyId: await newKey(actor) }), other: { keyId: "000000000000" } },
  "keys.rotate": { good: async (actor) => ({ keyId: await newKey(actor), graceMs: 1000 }), other: { graceMs: 2000 } },

  "roles.create": {
    good: (actor) => ({ name: actor.fresh("made"), description: "Reads.", permissions: ["tasks.read"] }),
    other: { permissions: ["queues.read"] },
  },
  "roles.get": { good: () => ({ role: "viewer" }) },
  "roles.list": { good: async (actor) => ((await customRole(actor)) ? {} : {}) },
  "roles.update": {
    good: async (actor) => ({ role: await customRole(actor), permissions: ["leases.read"] }),
    other: { permissions: ["tasks.read"] },
  },
  "roles.delete": { good: async (actor) => ({ role: await customRole(actor) }), other: { role: "another" } },
  "roles.bind": {
    good: async (actor) => ({ role: await customRole(actor), principalId: "jwt:https://issuer.example#someone" }),
    other: { role: "viewer" },
  },
  "roles.listBindings": {
    good: async (actor) => {
      await actor.call("roles.bind", { role: "viewer", principalId: "jwt:https://issuer.example#reader" });
      return { principalId: "jwt:https://issuer.example#reader" };
    },
  },
  "roles.unbind": {
    good: async (actor) => {
      const principalId = `jwt:https://issuer.example#${actor.fresh("user")}`;
      const { roleBinding } = await actor.must("roles.bind", { role: "viewer", principalId });
      return { bindingId: roleBinding.bindingId };
    },
    other: { bindingId: UNKNOWN_ID },
  },

  "gatewayRoles.bind": {
    good: (actor) => ({
      role: "viewer",
      principalId: `jwt-group:https://issuer.example#ml ops of ${actor.namespace} ${actor.fresh("group")}`,
    }),
    other: { role: "worker" },
  },
  "gatewayRoles.listBindings": {
    good: async (actor) => {
      const principalId = `jwt:https://issuer.example#${actor.namespace}`;
      await actor.call("gatewayRoles.bind", { role: "viewer", principalId });
      return { principalId };
    },
  },
  "gatewayRoles.unbind": {
    good: async (actor) => {
      const principalId = `jwt:https://issuer.example#${actor.namespace}-${actor.fresh("user")}`;
      const { roleBinding } = await actor.must("gatewayRoles.bind", { role: "viewer", principalId });
      return { bindingId: roleBinding.bindingId };
    },
    other: { bindingId: UNKNOWN_ID },
  },

  "leases.acquire": {
    good: (actor) => ({
      leaseName: actor.fresh("training/ä".replace("ä", "a")),
      holder: "me:1",
      ttlMs: 60_000,
      metadata: { host: "a b" },
    }),
    other: { holder: "you" },
  },
  "leases.heartbeat": {
    good: async (actor) => ({ ...(await heldLease(actor)), ttlMs: 30_000 }),
    other: { ttlMs: 1000 },
  },
  "leases.release": { good: heldLease, other: { fence: 999 } },
  "leases.get": { good: async (actor) => ({ leaseName: (await heldLease(actor)).leaseName }) },
  "leases.list": { good: async (actor) => ((await heldLease(actor)) ? { pageSize: 1 } : {}) },

  "tasks.enqueue": { good: () => ({ queue: QUEUE, ...WHOLE_TASK }), other: { payload: "another" } },
  "tasks.batchEnqueue": {
    good: () => ({ queue: QUEUE, tasks: [WHOLE_TASK, { kind: "plain" }] }),
    other: { tasks: [{ kind: "plain" }] },
  },
  "tasks.lease": {
    good: async (actor) => {
      const name = actor.fresh("queue");
      await actor.must("tasks.enqueue", { queue: name, ...WHOLE_TASK });
      return { queue: name, workerId: "worker-1", capabilities: ["gpu", "region:eu"], maxTasks: 5, leaseMs: 60_000 };
    },
    other: { maxTasks: 6 },
  },
  "tasks.heartbeat": {
    good: async (actor) => ({
      ...(await leasedTask(actor)),
      leaseMs: 60_000,
      progress: { percent: 12.5, message: "on" },
    }),
    other: { leaseMs: 1000 },
  },
  "tasks.complete": {
    good: async (actor) => ({ ...(await leasedTask(actor)), result: [1, null, { deep: "value" }] }),
    other: { result: 2 },
  },
  "tasks.batchComplete": {
    good: async (actor) => ({
      completions: [
        { ...(await leasedTask(actor)), result: { n: 1 } },
        { ...(await leasedTask(actor)), fence: 77 },
        { taskId: UNKNOWN_ID, fence: 1 },
      ],
    }),
    other: { completions: [{ taskId: UNKNOWN_ID, fence: 2 }] },
  },
  "tasks.fail": {
    good: async (actor) => ({
      ...(await leasedTask(actor)),
      error: { message: "no memory", type: "OUT_OF_MEMORY", details: { bytes: 1e12 } },
      retryAfterMs: 60_000,
    }),
    other: { retryable: false },
  },
  "tasks.release": {
    good: async (actor) => ({ ...(await leasedTask(actor)), delayMs: 60_000 }),
    other: { delayMs: 1 },
  },
  "tasks.cancel": {
    good: async (actor) => ({ taskId: (await leasedTask(actor)).taskId }),
    other: OTHER_TASK,
  },
  "tasks.get": {
    good: async (actor) => {
      const { task } = await actor.must("tasks.enqueue", { queue: QUEUE, ...WHOLE_TASK });
      return { taskId: task.taskId };
    },
  },
  "tasks.list": {
    good: async (actor) => {
      await actor.must("tasks.enqueue", { queue: QUEUE, ...WHOLE_TASK });
      return {
        queue: QUEUE,
        kind: "embed",
        states: ["READY", "SCHEDULED"],
        labels: { team: "search", "app/tier": "ä & b=c" },
        createdAfter: "2020-01-01T00:00:00Z",
        pageSize: 1,
      };
    },
  },
  "tasks.watch": { good: () => ({ queue: QUEUE, types: ["ENQUEUED", "LEASED"] }) },
  "tasks.work": {
    good: () => ({
      command: { type: "START", queues: [QUEUE], workerId: "worker-1", capabilities: [], maxInFlight: 1 },
    }),
  },
  "deadLetters.list": {
    good: async (actor) => ((await deadLetter(actor)) ? { kind: "embed", errorType: "BROKEN", pageSize: 1 } : {}),
  },
  "deadLetters.redrive": {
    good: async (actor) => ({ taskId: await deadLetter(actor), limit: 10 }),
    other: { limit: 11 },
  },
  "deadLetters.purge": { good: async (actor) => ({ taskId: await deadLetter(actor) }), other: { limit: 11 } },

  "queues.get": { good: queue },
  "queues.list": { good: async (actor) => ((await queue(actor)) ? { pageSize: 1 } : {}) },
  "queues.stats": { good: queue },
  "queues.update": {
    good: async (actor) => ({ ...(await queue(actor)), maxConcurrency: 5, maxConcurrencyPerKey: 0, agingMs: 1000 }),
    other: { agingMs: 2000 },
  },
  "queues.pause": {
    good: async (actor) => ({ ...(await queue(actor)), reason: "Wartung – später" }),
    other: { reason: "b" },
  },
  "queues.resume": { good: queue, other: { queue: "another" } },

  "workers.register": {
    good: (actor) => ({
      workerId: actor.fresh("host:1/ä").replace("ä", "a"),
      queues: [QUEUE],
      capabilities: ["gpu"],
      metadata: { version: "1 2" },
      ttlMs: 60_000,
    }),
    other: { ttlMs: 61_000 },
  },
  "workers.heartbeat": { good: worker, other: { workerId: "another" } },
  "workers.get": {
    good: async (actor) => {
      const { workerId } = await worker(actor);
      const name = actor.fresh("queue");
      await actor.must("tasks.enqueue", { queue: name, kind: "embed", payload: { secret: 1 } });
      await actor.must("tasks.lease", { queue: name, workerId });
      return { workerId };
    },
  },
  "workers.list": { good: async (actor) => ((await worker(actor)) ? { pageSize: 1 } : {}) },
  "workers.drain": { good: worker, other: { workerId: "another" } },
  "workers.deregister": { good: worker, other: { workerId: "another" } },

  ...FEATURE_ROWS,
};
