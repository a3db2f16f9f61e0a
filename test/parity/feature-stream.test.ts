import { afterAll, beforeAll, expect, test } from "vitest";
import type { Input } from "../support/clients-model.ts";
import { type Actor, type ParityGateway, START_MS, startParityGateway } from "./parity-gateway.ts";

const NAMESPACE = "streamed";
const FIRST_MICROS = Date.UTC(2026, 0, 31) * 1000;

let gateway: ParityGateway;
let actor: Actor;
beforeAll(async () => {
  gateway = await startParityGateway();
  actor = await gateway.actor("rest", NAMESPACE);
  for (const group of ["by_stream", "by_call"]) {
    await actor.must("featureGroups.create", {
      group,
      entityKeys: [{ name: "user", type: "STRING" }],
      features: [
        { name: "clicks", type: "INT64", rules: { min: 0 } },
        { name: "embedding", type: "VECTOR", dimension: 2 },
      ],
    });
  }
}, START_MS);
afterAll(async () => {
  await gateway?.stop();
});

const USERS = ["a", "b", "c"];
const read = async (group: string) => {
  const entities = [{ key: "user", values: USERS }];
  const { columns, sources } = await actor.must("features.read", {
    features: [`${group}:clicks`, `${group}:embedding`],
    entities,
  });
  return { values: columns.map((column: Input) => column.values), times: sources[0].eventTimes };
};

test("a stream of columns writes what one call with rows would", async () => {
  const session = gateway.clients.grpc.session("features.ingest", { authorization: gateway.admin });
  const vectors = USERS.map((_, index) => ({ items: [index, 0.5] }));
  const columns = {
    entities: [{ name: "user", values: { type: "STRING", values: USERS }, nullRows: [] }],
    features: [
      { name: "clicks", values: { type: "INT64", values: [1, 0, 3] }, nullRows: [1] },
      { name: "embedding", values: { type: "VECTOR", values: vectors }, nullRows: [] },
    ],
    eventTimesMicros: USERS.map((_, index) => FIRST_MICROS + index),
  };
  session.send({ namespace: NAMESPACE, group: "by_stream", batch: 7, columns });
  expect(await session.next()).toEqual({
    kind: "message",
    output: { batch: 7, writtenRows: 3, quarantinedRows: 0, badRows: [] },
  });
  const bad = { entity: { user: "a" }, values: { clicks: -1 }, eventTime: "2026-02-01T00:00:00Z" };
  session.send({ namespace: NAMESPACE, group: "by_stream", batch: 8, rows: [bad] });
  expect(await session.next()).toMatchObject({ output: { batch: 8, code: "INVALID_ARGUMENT", badRows: [{ row: 0 }] } });
  session.close();

  const rows = USERS.map((user, index) => ({
    entity: { user },
    values: { clicks: index === 1 ? null : index + 1, embedding: [index, 0.5] },
    eventTime: `2026-01-31T00:00:00.00000${index}Z`,
  }));
  await actor.must("features.write", { group: "by_call", rows });
  expect(await read("by_stream")).toEqual(await read("by_call"));
});

test("a session is let in for one namespace alone, and not without its permission", async () => {
  const row = { entity: { user: "a" }, values: {}, eventTime: "2026-02-01T00:00:00Z" };
  const session = gateway.clients.grpc.session("features.ingest", { authorization: await actor.key("viewer") });
  session.send({ namespace: NAMESPACE, group: "by_stream", batch: 1, rows: [row] });
  expect(await session.next()).toMatchObject({ kind: "failure", failure: { code: "PERMISSION_DENIED" } });

  const other = gateway.clients.grpc.session("features.ingest", { authorization: gateway.admin });
  other.send({ namespace: NAMESPACE, group: "by_stream", batch: 1, rows: [row] });
  expect(await other.next()).toMatchObject({ kind: "message" });
  other.send({ namespace: "default", group: "by_stream", batch: 2, rows: [row] });
  expect(await other.next()).toMatchObject({ kind: "failure" });
});
