import { expect, test } from "vitest";
import type { Dataset } from "../values/dataset.ts";
import { packRow } from "../values/packed-row.ts";
import { stampBatch } from "../values/row-batch.ts";
import { createPutOnline } from "./put-online.ts";

const version = { dataset: { datasetId: 1 } as Dataset, ttlMs: undefined, online: true };

function batch(batchId: number, entities: readonly string[]) {
  const rows = entities.map((entity) => ({ entity, row: packRow(1, [], []) }));
  stampBatch(rows, batchId, 1);
  return rows;
}

function putOnline() {
  const entities: string[] = [];
  let failure: Error | undefined;
  const put = createPutOnline({
    async put(_datasetId, rows) {
      if (failure) throw failure;
      entities.push(...rows.map(({ entity }) => entity));
    },
    get: async () => [],
    clear: async () => {},
  });
  return {
    put,
    entities,
    failWith(error: Error | undefined) {
      failure = error;
    },
  };
}

test("rows of a batch that was put are not put again by who asks for what is missing, and others are", async () => {
  const { put, entities } = putOnline();
  await put(version, batch(1, ["a", "b"]), { isWholeBatch: true });
  await put(version, [...batch(1, ["a", "b"]), ...batch(2, ["c"])], { skipsRemembered: true });
  expect(entities).toEqual(["a", "b", "c"]);
  await put(version, batch(1, ["a"]));
  expect(entities).toEqual(["a", "b", "c", "a"]);
});

test("a batch is remembered only where it was whole, kept online, and put", async () => {
  const { put, entities, failWith } = putOnline();
  await put(version, batch(1, ["a"]));
  await put({ ...version, online: false }, batch(2, ["b"]), { isWholeBatch: true });
  failWith(new Error("away"));
  await expect(put(version, batch(3, ["c"]), { isWholeBatch: true })).rejects.toThrow("away");
  failWith(undefined);
  entities.length = 0;
  const rows = [1, 2, 3].flatMap((batchId) => batch(batchId, [String(batchId)]));
  await put(version, rows, { skipsRemembered: true });
  expect(entities).toEqual(["1", "2", "3"]);
});
