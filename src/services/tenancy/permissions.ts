import { ALL_PERMISSIONS } from "../../core/principal.ts";

/** Every permission there is, with what it allows. Nothing else can be granted or asked for. */
export const PERMISSIONS = {
  "namespaces.create": "Create namespaces. Means something only in the whole gateway.",
  "namespaces.read": "See a namespace and its settings.",
  "namespaces.update": "Change a namespace's name, description, isolation and quotas.",
  "namespaces.delete": "Delete a namespace, also with everything in it.",
  "usage.read": "See how much of its quotas a namespace uses.",
  "keys.read": "See the namespace's API keys, never their secrets.",
  "keys.manage":
    "Create and rotate API keys with permissions the caller holds, and revoke any key of the namespace, also a stronger one.",
  "roles.read": "See roles and who is bound to them.",
  "roles.manage": "Create, change and delete roles and bindings, within what the caller holds.",
  "leases.read": "See who holds a lease.",
  "leases.write": "Acquire, extend and release leases.",
  "tasks.enqueue": "Enqueue tasks.",
  "tasks.lease": "Lease tasks, send their heartbeats, complete, fail and release them.",
  "tasks.read": "See tasks without their payloads and results.",
  "tasks.readPayload": "See payloads and results of tasks.",
  "tasks.cancel": "Cancel tasks.",
  "tasks.redrive": "Put dead-lettered tasks back into their queues.",
  "tasks.purge": "Delete dead-lettered tasks for good.",
  "queues.read": "See queues and their statistics.",
  "queues.manage": "Pause and resume queues and set their limits.",
  "workers.read": "See workers and what each one holds.",
  "workers.register": "Register workers and send their heartbeats.",
  "workers.manage": "Drain and remove workers of others.",
  "features.read": "See feature groups and views, and search them.",
  "features.readValues": "Read features' values, online and offline.",
  "features.write": "Write rows of features.",
  "features.manage": "Define feature groups and views, and change and delete them.",
  "features.share": "Share feature groups and views with other namespaces, read-only.",
  "system.read": "See how the gateway itself is set up. Means something only in the whole gateway.",
} as const satisfies Readonly<Record<string, string>>;

export type Permission = keyof typeof PERMISSIONS;

export const PERMISSION_NAMES = Object.freeze(Object.keys(PERMISSIONS) as [Permission, ...Permission[]]);

/** Holding these in one namespace would allow nothing. */
const GATEWAY_ONLY: ReadonlySet<Permission> = new Set(["namespaces.create", "system.read"]);

/** What a custom role of a namespace may be made of. */
export const NAMESPACE_PERMISSION_NAMES = Object.freeze(
  PERMISSION_NAMES.filter((name) => !GATEWAY_ONLY.has(name)) as [Permission, ...Permission[]],
);

const VIEWER: readonly Permission[] = [
  "namespaces.read",
  "usage.read",
  "roles.read",
  "leases.read",
  "tasks.read",
  "queues.read",
  "workers.read",
  "features.read",
  "features.readValues",
];

const WORKER: readonly Permission[] = [
  "namespaces.read",
  "leases.read",
  "leases.write",
  "tasks.read",
  "tasks.readPayload",
  "tasks.lease",
  "queues.read",
  "workers.read",
  "workers.register",
  "features.read",
  "features.readValues",
  "features.write",
];

const OPERATOR: readonly Permission[] = [
  ...VIEWER,
  "leases.write",
  "tasks.enqueue",
  "tasks.lease",
  "tasks.readPayload",
  "tasks.cancel",
  "tasks.redrive",
  "tasks.purge",
  "queues.manage",
  "workers.register",
  "workers.manage",
  "features.write",
  "features.manage",
  "features.share",
];

export interface BuiltInRole {
  readonly name: string;
  readonly description: string;
  readonly permissions: ReadonlySet<string>;
}

function builtIn(name: string, description: string, permissions: readonly string[]): [string, BuiltInRole] {
  return [name, Object.freeze({ name, description, permissions: new Set(permissions) })];
}

/** The roles every namespace has. They cannot be changed, and no custom role takes their names. */
export const BUILT_IN_ROLES: ReadonlyMap<string, BuiltInRole> = new Map([
  builtIn("admin", "May do everything, also what later versions add.", [ALL_PERMISSIONS]),
  builtIn(
    "operator",
    "Runs the work: everything on tasks, queues, workers, leases and features; no keys and no roles.",
    OPERATOR,
  ),
  builtIn("worker", "Leases tasks and completes them; reads and writes features.", WORKER),
  builtIn("viewer", "Sees everything but payloads, results and keys; changes nothing.", VIEWER),
]);

/** What every authenticated caller may do in a namespace whose isolation is NONE. */
export const VIEWER_PERMISSIONS: ReadonlySet<string> = new Set(VIEWER);
