import { expect } from "vitest";
import type { CallOptions, Input, Outcome } from "../support/clients-model.ts";
import { canonicalOutcome } from "./normalise.ts";
import type { Actor } from "./parity-gateway.ts";
import { deadLetter, leasedTask } from "./rows.ts";

const UNKNOWN_ID = "01900000-0000-7000-8000-000000000000";

/** Notes every outcome, good or bad, in its order. */
export interface Notebook extends Actor {
  readonly notes: readonly { readonly operation: string; readonly outcome: Outcome }[];
  /** Calls, notes the outcome, and answers it. */
  note(operation: string, input?: Input, options?: CallOptions): Promise<Outcome>;
}

export function createNotebook(actor: Actor): Notebook {
  const notes: { operation: string; outcome: Outcome }[] = [];
  return {
    ...actor,
    notes,
    async note(operation, input, options) {
      const outcome = canonicalOutcome(operation, await actor.call(operation, input, options));
      notes.push({ operation, outcome });
      return outcome;
    },
  };
}

/** The output of a call that went well. */
// biome-ignore lint/suspicious/noExplicitAny: scenarios look wherever they like.
function outputOf(outcome: Outcome): any {
  if (!outcome.ok) throw new Error(`This should have gone well: ${JSON.stringify(outcome)}`);
  return outcome.output;
}

export interface Scenario {
  /** The namespace's settings beyond its name. */
  readonly settings?: Input;
  /** What of each call is expected, in order: `OK` or the reason. */
  readonly expected: readonly string[];
  run(book: Notebook): Promise<void>;
}

const BROKEN = { message: "broken", type: "BROKEN", details: { at: ["a", null] } };
const enqueue = (queue: string, more: Input = {}): Input => ({ queue, kind: "embed", ...more });

/** What happens to state over several calls. Each runs once over each protocol, and the three must tell the same. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "a task's whole life": {
    expected: ["OK", "OK", "OK", "OK", "OK", "LEASE_LOST", "LEASE_LOST", "TASK_FINAL", "OK", "LEASE_LOST", "OK"],
    async run(book) {
      await book.note("tasks.enqueue", enqueue("life", { payload: { a: [1, { b: null }] }, labels: { a: "b" } }));
      const leased = await book.note("tasks.lease", { queue: "life", workerId: "w1" });
      const [task] = outputOf(leased).tasks;
      const held = { taskId: task.taskId, fence: task.fence };
      await book.note("tasks.heartbeat", { ...held, progress: { percent: 50 } });
      await book.note("tasks.complete", { ...held, result: { answer: 42 } });
      await book.note("tasks.complete", { ...held, result: "something else" });
      await book.note("tasks.complete", { ...held, fence: (held.fence as number) + 1 });
      await book.note("tasks.heartbeat", held);
      await book.note("tasks.cancel", { taskId: held.taskId });
      await book.note("tasks.get", { taskId: held.taskId });
      await book.note("tasks.fail", { ...held, error: BROKEN });
      await book.note("queues.stats", { queue: "life" });
    },
  },
  "a stale worker": {
    expected: ["OK", "OK", "LEASE_LOST", "LEASE_LOST", "LEASE_LOST", "LEASE_LOST", "LEASE_LOST", "OK", "OK"],
    async run(book) {
      const held = await leasedTask(book);
      await book.note("tasks.release", held);
      const { queue } = (await book.must("tasks.get", { taskId: held.taskId })).task;
      const again = await book.note("tasks.lease", { queue, workerId: "worker-2" });
      const stale = held;
      await book.note("tasks.heartbeat", stale);
      await book.note("tasks.complete", { ...stale, result: "stale" });
      await book.note("tasks.fail", { ...stale, error: BROKEN });
      await book.note("tasks.release", stale);
      await book.note("tasks.cancel", stale);
      await book.note("tasks.batchComplete", { completions: [stale, { taskId: UNKNOWN_ID, fence: 1 }] });
      const [task] = outputOf(again).tasks;
      await book.note("tasks.complete", { taskId: task.taskId, fence: task.fence });
    },
  },
  "dead letters": {
    expected: ["OK", "OK", "OK", "OK", "OK", "OK", "OK"],
    async run(book) {
      const first = await deadLetter(book);
      await deadLetter(book);
      await book.note("deadLetters.list", { errorType: "BROKEN" });
      await book.note("deadLetters.list", { errorType: "OTHER" });
      await book.note("deadLetters.redrive", { taskId: first });
      await book.note("tasks.get", { taskId: first });
      await book.note("deadLetters.purge", {});
      await book.note("deadLetters.purge", {});
      await book.note("tasks.list", { states: ["DEAD_LETTERED"] });
    },
  },
  "a paused queue": {
    expected: ["OK", "OK", "OK", "OK", "OK", "OK"],
    async run(book) {
      await book.must("tasks.enqueue", enqueue("calm"));
      await book.note("queues.pause", { queue: "calm", reason: "maintenance" });
      await book.note("tasks.lease", { queue: "calm", workerId: "w1" });
      await book.note("tasks.enqueue", enqueue("calm"));
      await book.note("queues.get", { queue: "calm" });
      await book.note("queues.resume", { queue: "calm" });
      await book.note("tasks.lease", { queue: "calm", workerId: "w1", maxTasks: 2 });
    },
  },
  "what is not there": {
    expected: [
      ...Array(6).fill("TASK_NOT_FOUND"),
      "QUEUE_NOT_FOUND",
      "QUEUE_NOT_FOUND",
      ...Array(3).fill("WORKER_NOT_FOUND"),
      "LEASE_NOT_FOUND",
      ...Array(3).fill("API_KEY_NOT_FOUND"),
      ...Array(3).fill("ROLE_NOT_FOUND"),
      "ROLE_BINDING_NOT_FOUND",
      "INVALID_ARGUMENT",
      "INVALID_ARGUMENT",
    ],
    async run(book) {
      const held = { taskId: UNKNOWN_ID, fence: 1 };
      await book.note("tasks.get", { taskId: UNKNOWN_ID });
      await book.note("tasks.heartbeat", held);
      await book.note("tasks.complete", held);
      await book.note("tasks.fail", { ...held, error: BROKEN });
      await book.note("tasks.release", held);
      await book.note("tasks.cancel", { taskId: UNKNOWN_ID });
      await book.note("queues.get", { queue: "none" });
      await book.note("queues.stats", { queue: "none" });
      await book.note("workers.get", { workerId: "none" });
      await book.note("workers.heartbeat", { workerId: "none" });
      await book.note("workers.drain", { workerId: "none" });
      await book.note("leases.get", { leaseName: "none" });
      await book.note("keys.get", { keyId: "000000000000" });
      await book.note("keys.revoke", { keyId: "000000000000" });
      await book.note("keys.rotate", { keyId: "000000000000" });
      await book.note("roles.get", { role: "none" });
      await book.note("roles.update", { role: "none", description: "x" });
      await book.note("roles.delete", { role: "none" });
      await book.note("roles.unbind", { bindingId: UNKNOWN_ID });
      await book.note("roles.bind", { role: "none", principalId: "jwt:https://issuer.example#a" });
      await book.note("keys.create", { roles: ["none"] });
    },
  },
  "what is there already": {
    expected: [
      "NAMESPACE_EXISTS",
      "ROLE_EXISTS",
      "ROLE_EXISTS",
      "OK",
      "OK",
      "IDEMPOTENCY_KEY_REUSED",
      "IDEMPOTENCY_KEY_REUSED",
    ],
    async run(book) {
      await book.note("namespaces.create", { name: book.namespace });
      await book.must("roles.create", { name: "mine", permissions: ["tasks.read"] });
      await book.note("roles.create", { name: "mine", permissions: ["tasks.read"] });
      await book.note("roles.create", { name: "admin", permissions: ["tasks.read"] });
      const once = enqueue("once", { idempotencyKey: "k1", payload: { x: 1, y: [2] } });
      await book.note("tasks.enqueue", once);
      await book.note("tasks.enqueue", { ...once, payload: { y: [2], x: 1 } });
      await book.note("tasks.enqueue", { ...once, payload: { x: 2 } });
      const { queue: _, ...again } = once;
      await book.note("tasks.batchEnqueue", { queue: "once", tasks: [{ kind: "new" }, { ...again, kind: "other" }] });
    },
  },
  quotas: {
    settings: { quotas: { maxQueueDepth: 2, maxConcurrentExecutions: 1, maxStorageMb: 1 } },
    expected: ["OK", "OK", "QUOTA_EXCEEDED", "QUOTA_EXCEEDED", "OK", "OK", "OK"],
    async run(book) {
      await book.note("tasks.enqueue", enqueue("full"));
      await book.note("tasks.enqueue", enqueue("full"));
      await book.note("tasks.enqueue", enqueue("full"));
      await book.note("tasks.batchEnqueue", { queue: "full", tasks: [{ kind: "a" }] });
      await book.note("tasks.lease", { queue: "full", workerId: "w1", maxTasks: 5 });
      await book.note("tasks.lease", { queue: "full", workerId: "w1", maxTasks: 5 });
      await book.note("namespaces.usage");
    },
  },
  "requests without a limit": {
    expected: ["OK", "OK", "OK"],
    async run(book) {
      const used = async () => outputOf(await book.note("namespaces.usage")).usage.requestsPerMinute.used;
      const before = await used();
      await book.note("tasks.list");
      expect((await used()) - before).toBe(2);
    },
  },
  "no storage at all": {
    settings: { quotas: { maxStorageMb: 0 } },
    expected: ["QUOTA_EXCEEDED"],
    async run(book) {
      await book.note("tasks.enqueue", enqueue("full", { payload: "something" }));
    },
  },
  "too large a payload": {
    expected: ["INVALID_ARGUMENT", "INVALID_ARGUMENT", "INVALID_ARGUMENT"],
    async run(book) {
      const large = "x".repeat(300_000);
      await book.note("tasks.enqueue", enqueue("large", { payload: large }));
      await book.note("tasks.batchEnqueue", { queue: "large", tasks: [{ kind: "a" }, { kind: "a", payload: large }] });
      await book.note("tasks.complete", { ...(await leasedTask(book)), result: large });
    },
  },
  "bad tokens": {
    expected: Array(7).fill("INVALID_ARGUMENT"),
    async run(book) {
      const lists = ["namespaces.list", "keys.list", "roles.listBindings", "leases.list", "tasks.list", "queues.list"];
      for (const operation of lists) await book.note(operation, { pageToken: "bm9uc2Vuc2U" });
      await book.note("workers.list", { pageToken: "§" });
    },
  },
  "tokens of other lists": {
    expected: ["OK", "INVALID_ARGUMENT", "OK", "INVALID_ARGUMENT", "INVALID_ARGUMENT", "INVALID_ARGUMENT", "OK"],
    async run(book) {
      const elsewhere = `${book.namespace}-other`;
      await book.must("namespaces.create", { name: elsewhere });
      for (const namespace of [book.namespace, elsewhere]) {
        for (const queue of ["a", "b"]) await book.must("tasks.enqueue", enqueue(queue, { namespace }));
        for (const workerId of ["a", "b"]) await book.must("workers.register", { workerId, namespace });
      }
      const page = { pageSize: 1 };
      const ofQueues = outputOf(await book.note("queues.list", page)).nextPageToken;
      await book.note("queues.list", { ...page, namespace: elsewhere, pageToken: ofQueues });
      const pageToken = outputOf(await book.note("tasks.list", page)).nextPageToken;
      await book.note("tasks.list", { ...page, queue: "a", pageToken });
      await book.note("workers.list", { ...page, pageToken: ofQueues });
      await book.note("deadLetters.list", { ...page, pageToken });
      await book.note("tasks.list", { pageSize: 2, pageToken });
    },
  },
  pages: {
    expected: ["OK", "OK", "OK", "OK"],
    async run(book) {
      for (const kind of ["a", "b", "c"]) await book.must("tasks.enqueue", { queue: "paged", kind });
      let pageToken: unknown;
      do {
        const page = await book.note("tasks.list", { pageSize: 1, ...(pageToken ? { pageToken } : {}) });
        pageToken = outputOf(page).nextPageToken;
      } while (pageToken);
      await book.note("queues.list", { pageSize: 1000 });
    },
  },
  "named leases": {
    expected: ["OK", "OK", "LEASE_HELD", "OK", "LEASE_LOST", "OK", "OK", "LEASE_LOST", "OK", "OK"],
    async run(book) {
      const one = { leaseName: "nightly", holder: "a", ttlMs: 60_000 };
      const got = await book.note("leases.acquire", { ...one, metadata: { host: "h" } });
      const { fence } = outputOf(got).lease;
      await book.note("leases.acquire", one);
      await book.note("leases.acquire", { ...one, holder: "b" });
      await book.note("leases.heartbeat", { leaseName: "nightly", fence });
      await book.note("leases.heartbeat", { leaseName: "nightly", fence: fence + 1_000_000 });
      await book.note("leases.release", { leaseName: "nightly", fence });
      await book.note("leases.release", { leaseName: "nightly", fence });
      await book.note("leases.heartbeat", { leaseName: "nightly", fence });
      await book.note("leases.get", { leaseName: "nightly" });
      await book.note("leases.list");
    },
  },
  "tenancy's rules": {
    expected: [
      "REVISION_MISMATCH",
      "NAMESPACE_NOT_EMPTY",
      "OK",
      "ROLE_IN_USE",
      "ROLE_BUILT_IN",
      "OK",
      "API_KEY_REVOKED",
      "PERMISSION_ESCALATION",
      "PERMISSION_ESCALATION",
      "PERMISSION_DENIED",
      "INVALID_ARGUMENT",
    ],
    async run(book) {
      await book.note("namespaces.update", { displayName: "x", revision: 999 });
      await book.must("tasks.enqueue", enqueue("held"));
      await book.note("namespaces.delete");
      await book.must("roles.create", { name: "bound", permissions: ["roles.manage", "keys.manage", "tasks.read"] });
      const made = await book.note("keys.create", { roles: ["bound"], displayName: "bound" });
      await book.note("roles.delete", { role: "bound" });
      await book.note("roles.update", { role: "viewer", description: "mine" });
      const { keyId } = (await book.must("keys.create", { roles: ["viewer"] })).apiKey;
      await book.note("keys.revoke", { keyId });
      await book.note("keys.rotate", { keyId });
      const { secret } = outputOf(made);
      const asBound = { authorization: `Bearer ${secret}` };
      await book.note("keys.create", { roles: ["admin"] }, asBound);
      const strong = { principalId: "jwt:https://issuer.example#strong", role: "operator" };
      const { bindingId } = (await book.must("roles.bind", strong)).roleBinding;
      await book.note("roles.unbind", { bindingId }, asBound);
      await book.note("gatewayRoles.bind", strong, asBound);
      await book.note("gatewayRoles.bind", { ...strong, role: "bound" });
    },
  },
  "a role in the whole gateway": {
    expected: ["OK", "OK", "OK", "OK", "OK", "NAMESPACE_NOT_FOUND"],
    async run(book) {
      const elsewhere = `${book.namespace}-other`;
      await book.must("namespaces.create", { name: elsewhere, isolation: "STRICT" });
      const { apiKey, secret } = await book.must("keys.create", { roles: ["viewer"] });
      const principalId = `key:${apiKey.keyId}`;
      const asKey = { authorization: `Bearer ${secret}` };
      const bound = await book.note("gatewayRoles.bind", { principalId, role: "operator" });
      await book.note("tasks.enqueue", enqueue("a", { namespace: elsewhere }), asKey);
      await book.note("system.whoAmI", {}, asKey);
      await book.note("gatewayRoles.listBindings", { principalId }, asKey);
      await book.note("gatewayRoles.unbind", { bindingId: outputOf(bound).roleBinding.bindingId });
      await book.note("tasks.list", { namespace: elsewhere }, asKey);
    },
  },
  "a worker's life": {
    expected: ["OK", "OK", "OK", "OK", "OK", "OK", "OK", "WORKER_NOT_FOUND"],
    async run(book) {
      const one = { workerId: "w1" };
      await book.note("workers.register", { ...one, metadata: { v: "1" } });
      await book.note("workers.heartbeat", one);
      await book.note("workers.drain", one);
      await book.note("workers.heartbeat", one);
      await book.note("workers.get", one);
      await book.note("workers.list");
      await book.note("workers.deregister", one);
      await book.note("workers.get", one);
    },
  },
};
