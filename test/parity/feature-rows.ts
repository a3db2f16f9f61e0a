import { createHash } from "node:crypto";
import type { Input } from "../support/clients-model.ts";
import { eventually } from "../support/eventually.ts";
import type { Actor } from "./parity-gateway.ts";
import type { Row } from "./row.ts";

const CLICKS: Input = { name: "clicks", type: "INT64" };
const WHOLE_SCHEMA = {
  entityKeys: [{ name: "user_id", type: "STRING", description: "Who." }],
  features: [
    {
      ...CLICKS,
      description: "Klicks, 100% – ä",
      tags: ["web"],
      rules: { notNull: true, min: 0, max: 1e6, unique: true },
    },
    {
      name: "word",
      type: "STRING",
      rules: { pattern: "[a-z]*", minLength: 0, maxLength: 9, allowedValues: ["a", "b"] },
    },
    { name: "flag", type: "BOOL", rules: { allowedValues: [true] } },
    { name: "vector", type: "VECTOR", dimension: 3 },
  ],
  ttlMs: 86_400_000,
  offline: false,
  validation: "QUARANTINE",
  freshness: { maxAgeMs: 1000 },
};
const WHOLE_GROUP = { description: "People – ä", owner: "ml & co", tags: ["core", "a.b"], ...WHOLE_SCHEMA };

async function featureGroup(actor: Actor): Promise<Input> {
  const group = actor.fresh("users");
  await actor.must("featureGroups.create", { group, ...WHOLE_GROUP });
  return { group };
}

/** A group whose version 2 is staged. */
async function stagedGroup(actor: Actor): Promise<Input> {
  const { group } = await featureGroup(actor);
  await actor.must("featureGroups.createVersion", { group, ...WHOLE_SCHEMA, ttlMs: 1, stage: true });
  return { group };
}

async function featureView(actor: Actor): Promise<Input> {
  const { group } = await featureGroup(actor);
  const view = actor.fresh("model");
  await actor.must("featureViews.create", { view, features: [{ feature: `${group}:clicks` }] });
  return { view, group };
}

async function featureShare(actor: Actor): Promise<Input> {
  const { group: resource } = await featureGroup(actor);
  const share = { resourceType: "GROUP", resource, withNamespace: "somebody" };
  await actor.must("featureShares.share", share);
  return share;
}

const TIME = "2026-01-31T09:30:00.000001Z";
const EVERY_TYPE: readonly (readonly [name: string, value: unknown, more?: Input])[] = [
  ["bool", true],
  ["int64", Number.MAX_SAFE_INTEGER],
  ["double", -0.5],
  ["string", "ä\n& \u2028"],
  ["bytes", "AAECAw=="],
  ["timestamp", TIME],
  ["json", { a: [1, null, { b: "x" }] }],
  ["bool_list", [true, false]],
  ["int64_list", [1, -2]],
  ["double_list", [0.25]],
  ["string_list", ["", "b"]],
  ["timestamp_list", [TIME]],
  ["vector", [1, 0.5], { dimension: 2 }],
];

/** A group with a feature of every type, with a row of one entity that has all of them and of one that has none. */
async function writtenGroup(actor: Actor, validation = "STRICT"): Promise<Input> {
  const group = actor.fresh("written");
  const features = EVERY_TYPE.map(([name, , more]) => ({ name, type: name.toUpperCase(), ...more }));
  const entityKeys = [
    { name: "user", type: "STRING" },
    { name: "shop", type: "INT64" },
  ];
  await actor.must("featureGroups.create", { group, entityKeys, features, validation });
  const values = Object.fromEntries(EVERY_TYPE.map(([name, value]) => [name, value]));
  const rows = [
    { entity: { user: "a", shop: 1 }, values, eventTime: TIME },
    { entity: { user: "b", shop: -1 }, values: {}, eventTime: TIME },
  ];
  await actor.must("features.write", { group, rows });
  return { group };
}

async function quarantinedRow(actor: Actor): Promise<{ group: string; rowId: string }> {
  const { group } = (await writtenGroup(actor, "QUARANTINE")) as { group: string };
  const bad = { entity: { user: "c", shop: 1 }, values: { int64: 0.5, none: 1 }, eventTime: TIME };
  await actor.must("features.write", { group, rows: [bad] });
  const { rows } = await actor.must("features.listQuarantine", { group });
  return { group, rowId: rows[0].rowId };
}

const CSV = `user,shop,event_time\na,1,${TIME}\n`;
const UNKNOWN_ID = "01900000-0000-7000-8000-000000000000";

async function uploading(actor: Actor): Promise<string> {
  const { featureFile } = await actor.must("featureFiles.create", { name: "rows.csv", format: "CSV" });
  const data = Buffer.from(CSV).toString("base64");
  await actor.must("featureFiles.append", { fileId: featureFile.fileId, offset: 0, data });
  return featureFile.fileId;
}

async function featureFile(actor: Actor): Promise<Input> {
  const fileId = await uploading(actor);
  await actor.must("featureFiles.finish", { fileId });
  return { fileId };
}

/** A job that has ended, so that it stands the same however often it is looked at. */
async function endedJob(actor: Actor): Promise<Input> {
  const { group } = await writtenGroup(actor);
  const { fileId } = await featureFile(actor);
  const { job } = await actor.must("featureJobs.startImport", { group, fileId });
  const { jobId } = job;
  const hasEnded = async () => (await actor.must("featureJobs.get", { jobId })).job.state === "SUCCEEDED";
  await eventually("the job ends", hasEnded, 30_000);
  return { jobId };
}

const ENTITIES = [
  { key: "shop", values: [1, -1, 1, null] },
  { key: "user", values: ["a", "b", "c", "a"] },
];

/** One row for each operation on features. */
export const FEATURE_ROWS: Readonly<Record<string, Row>> = {
  "featureGroups.create": {
    good: (actor) => ({ group: actor.fresh("users"), ...WHOLE_GROUP }),
    other: { features: [CLICKS] },
  },
  "featureGroups.get": { good: featureGroup },
  "featureGroups.list": { good: async (actor) => ((await featureGroup(actor)) ? { pageSize: 1 } : {}) },
  "featureGroups.update": {
    good: async (actor) => ({ ...(await featureGroup(actor)), owner: "Søren", clearTags: true, revision: 1 }),
    other: { description: "Another one." },
  },
  "featureGroups.delete": { good: featureGroup, other: { group: "another" } },
  "featureGroups.createVersion": {
    good: async (actor) => ({
      ...(await featureGroup(actor)),
      ...WHOLE_SCHEMA,
      features: [{ name: "added", type: "BOOL_LIST" }, ...WHOLE_SCHEMA.features],
      stage: true,
      allowIncompatible: true,
      revision: 1,
    }),
    other: { stage: false },
  },
  "featureGroups.getVersion": { good: async (actor) => ({ ...(await featureGroup(actor)), version: 1 }) },
  "featureGroups.listVersions": { good: stagedGroup },
  "featureGroups.promote": {
    good: async (actor) => ({ ...(await stagedGroup(actor)), version: 2, revision: 2 }),
    other: { version: 1 },
  },
  "featureGroups.listUses": { good: async (actor) => ({ group: (await featureView(actor)).group, pageSize: 1 }) },

  "featureViews.create": {
    good: async (actor) => {
      const { group } = await featureGroup(actor);
      const features = [{ feature: `${group}:clicks` }, { feature: `${group}@v1:vector`, alias: "embedding" }];
      return { view: actor.fresh("model"), description: "Fraud", owner: "ml", tags: ["fraud"], features };
    },
    other: { description: "Another one." },
  },
  "featureViews.get": { good: async (actor) => ({ view: (await featureView(actor)).view, version: 1 }) },
  "featureViews.list": { good: async (actor) => ((await featureView(actor)) ? { pageSize: 1 } : {}) },
  "featureViews.update": {
    good: async (actor) => {
      const { view, group } = await featureView(actor);
      return { view, owner: "risk", features: [{ feature: `${group}:word` }], revision: 1 };
    },
    other: { owner: "other" },
  },
  "featureViews.delete": {
    good: async (actor) => ({ view: (await featureView(actor)).view }),
    other: { view: "another" },
  },

  "featureShares.share": {
    good: async (actor) => ({
      resourceType: "GROUP",
      resource: (await featureGroup(actor)).group,
      withNamespace: "somebody",
    }),
    other: { withNamespace: "somebody-else" },
  },
  "featureShares.unshare": { good: featureShare, other: { withNamespace: "somebody-else" } },
  "featureShares.list": {
    good: async (actor) => ((await featureShare(actor)) ? { pageSize: 1, received: false } : {}),
  },
  "features.search": {
    good: async (actor) => {
      // The caller may see other namespaces too, and searches them as well.
      const tag = actor.namespace;
      await actor.must("featureGroups.create", { group: actor.fresh("users"), ...WHOLE_GROUP, tags: [tag] });
      return { text: "klicks 100%", tag, owner: "ml & co", type: "INT64", pageSize: 100 };
    },
  },

  "features.write": {
    good: async (actor) => ({
      ...(await writtenGroup(actor)),
      version: 1,
      rows: [{ entity: { user: "ä", shop: 0 }, values: { json: null, double: 1e300 }, eventTime: TIME }],
    }),
    other: { rows: [{ entity: { user: "b", shop: 0 }, values: {}, eventTime: TIME }] },
  },
  "features.ingest": {
    good: async (actor) => ({
      ...(await writtenGroup(actor)),
      batch: 1,
      rows: [{ entity: { user: "b", shop: 0 }, values: { bool: true }, eventTime: TIME }],
    }),
  },
  "features.read": {
    good: async (actor) => {
      const { group } = await writtenGroup(actor);
      return { features: EVERY_TYPE.map(([name]) => `${group}:${name}`), entities: ENTITIES, maxStalenessMs: 1000 };
    },
  },
  "features.readHistorical": {
    good: async (actor) => {
      const { group } = await writtenGroup(actor);
      const features = EVERY_TYPE.map(([name]) => `${group}@v1:${name}`);
      const times = [TIME, TIME, TIME, "2026-01-31T09:30:00Z"];
      return { features, entities: ENTITIES, times, knownAt: "LATEST" };
    },
  },
  "features.listLatest": {
    good: async (actor) => ({ ...(await writtenGroup(actor)), features: ["vector", "json"], pageSize: 2 }),
  },
  "features.listRows": { good: async (actor) => ({ ...(await writtenGroup(actor)), from: TIME, pageSize: 2 }) },
  "features.statistics": { good: writtenGroup },
  "features.listQuarantine": { good: async (actor) => ({ group: (await quarantinedRow(actor)).group, pageSize: 1 }) },
  "features.replayQuarantine": {
    good: async (actor) => {
      const { group, rowId } = await quarantinedRow(actor);
      return {
        group,
        rows: [{ rowId, row: { entity: { user: "c", shop: 1 }, values: { int64: 1 }, eventTime: TIME } }],
      };
    },
    other: { version: 1 },
  },
  "features.purgeQuarantine": {
    good: async (actor) => {
      const { group, rowId } = await quarantinedRow(actor);
      return { group, rowIds: [rowId] };
    },
    other: { rowIds: [] },
  },

  "featureFiles.create": {
    good: () => ({ name: "clicks – ä.csv", format: "CSV", keepMs: 3_600_000 }),
    other: { name: "other.csv" },
  },
  "featureFiles.append": {
    good: async (actor) => ({ fileId: await uploading(actor), offset: CSV.length, data: "AP/+eA==" }),
    other: { data: "AAAA" },
  },
  "featureFiles.finish": {
    good: async (actor) => {
      const sha256 = createHash("sha256").update(CSV).digest("hex");
      return { fileId: await uploading(actor), sha256 };
    },
    other: { sha256: "0".repeat(64) },
  },
  "featureFiles.read": { good: async (actor) => ({ ...(await featureFile(actor)), offset: 2, length: 8 }) },
  "featureFiles.get": { good: featureFile },
  "featureFiles.list": { good: async (actor) => ((await featureFile(actor)) ? { pageSize: 1 } : {}) },
  "featureFiles.delete": { good: featureFile, other: { fileId: UNKNOWN_ID } },

  "featureJobs.startImport": {
    good: async (actor) => ({ ...(await writtenGroup(actor)), ...(await featureFile(actor)), version: 1 }),
    other: { version: 2 },
  },
  "featureJobs.startExport": {
    good: async (actor) => {
      const { group } = await writtenGroup(actor);
      const features = [`${group}@v1:int64`, `${group}:json`];
      const rest = { timeColumn: "event_time", knownAt: "LATEST", withStatus: true, format: "CSV" };
      return { ...(await featureFile(actor)), features, ...rest };
    },
    other: { format: "PARQUET" },
  },
  "featureJobs.startRowsExport": {
    good: async (actor) => {
      const range = { from: TIME, to: "2199-01-01T00:00:00Z" };
      return { ...(await writtenGroup(actor)), version: 1, features: ["json", "vector"], ...range, format: "CSV" };
    },
    other: { features: ["json"] },
  },
  "featureJobs.startRebuild": {
    good: async (actor) => ({ ...(await writtenGroup(actor)), version: 1, from: TIME, to: "2199-01-01T00:00:00Z" }),
    other: { to: TIME },
  },
  "featureJobs.get": { good: endedJob },
  "featureJobs.list": {
    good: async (actor) => ((await endedJob(actor)) ? { pageSize: 1, state: "SUCCEEDED" } : {}),
  },
  "featureJobs.cancel": { good: endedJob, other: { jobId: UNKNOWN_ID } },
};
