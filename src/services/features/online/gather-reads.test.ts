import { expect, test } from "vitest";
import { gatherReads } from "./gather-reads.ts";
import type { OnlineRead } from "./online-store.ts";

const read = (datasetId: number, ...entities: string[]): OnlineRead => ({ datasetId, entities });

/** Answers each entity with its own name, and notes what was asked for together. */
function gathering(maxEntities: number) {
  const asked: string[] = [];
  const get = gatherReads(async (reads) => {
    asked.push(reads.map(({ datasetId, entities }) => `${datasetId}:${entities.join("")}`).join(" "));
    if (reads.some(({ datasetId }) => datasetId === 0)) throw new Error("away");
    return reads.map(({ datasetId, entities }) => entities.map((entity) => Buffer.from(`${datasetId}${entity}`)));
  }, maxEntities);
  const names = async (...reads: OnlineRead[]) => (await get(reads)).map((rows) => rows.map(String));
  return { asked, names };
}

test("reads of one turn share a round trip, and each is answered with its own", async () => {
  const { asked, names } = gathering(10);
  const answers = await Promise.all([names(read(1, "a", "b"), read(2, "a")), names(), names(read(1, "c"))]);
  expect(answers).toEqual([[["1a", "1b"], ["2a"]], [], [["1c"]]]);
  expect(asked).toEqual(["1:ab 2:a 1:c"]);
  expect(await names(read(1, "d"))).toEqual([["1d"]]);
  expect(asked).toHaveLength(2);
});

test("no more entities go together than allowed, and a bigger read goes alone", async () => {
  const { asked, names } = gathering(3);
  const reads = [read(1, "a", "b"), read(2, "a", "b", "c", "d"), read(3, "a"), read(4, "a"), read(5, "a")];
  const answers = await Promise.all(reads.map((one) => names(one)));
  expect(answers.map(([rows]) => rows!.length)).toEqual([2, 4, 1, 1, 1]);
  expect(asked.toSorted()).toEqual(["1:ab 3:a", "2:abcd", "4:a 5:a"]);
});

test("a failure is told to all that shared it, and to nobody after them", async () => {
  const { names } = gathering(10);
  const [first, second] = await Promise.allSettled([names(read(0, "a")), names(read(1, "b"))]);
  expect([first?.status, second?.status]).toEqual(["rejected", "rejected"]);
  expect(await names(read(1, "b"))).toEqual([["1b"]]);
});
