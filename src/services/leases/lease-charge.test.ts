import { afterEach, beforeEach, expect, test } from "vitest";
import type { Database } from "../../platform/postgres/database.ts";
import { migrate } from "../../platform/postgres/migrate.ts";
import { createPgliteDatabase } from "../../platform/postgres/pglite-database.ts";
import { createLeaseCharge } from "./lease-charge.ts";
import { leaseMigrations } from "./migrations.ts";

let database: Database;
beforeEach(async () => {
  database = await createPgliteDatabase();
  await migrate(database, leaseMigrations);
});
afterEach(() => database.close());

/** Puts everything that is noted further into the past. */
const passMs = (ms: number) =>
  database.query(
    `UPDATE lease_charge SET away_at = away_at - $1 * interval '1 millisecond',
       changed_at = changed_at - $1 * interval '1 millisecond'`,
    [ms],
  );

test("every change of hands is an epoch, and of many who ask for it one brings it about", async () => {
  const charge = createLeaseCharge(database, { quietMs: 100 });
  expect(await charge.read()).toMatchObject({ epoch: 1, isPrimary: true });
  await Promise.all([1, 2, 3].map(() => charge.leavePrimary(1)));
  expect(await charge.read()).toMatchObject({ epoch: 2, isPrimary: false });
  await passMs(200);
  const returns = await Promise.all([1, 2, 3].map(() => charge.returnToPrimary(2)));
  expect(returns.filter((didIt) => didIt)).toHaveLength(1);
  expect(await charge.read()).toMatchObject({ epoch: 3, isPrimary: true });
  await charge.leavePrimary(1);
  expect(await charge.read()).toMatchObject({ epoch: 3 });
});

test("the primary does not return as long as one gateway notes that it is away", async () => {
  const charge = createLeaseCharge(database, { quietMs: 1_000 });
  await charge.leavePrimary(1);
  await passMs(900);
  await charge.notePrimaryAway();
  await passMs(900);
  expect(await charge.returnToPrimary(2)).toBe(false);
  await passMs(200);
  expect(await charge.returnToPrimary(2)).toBe(true);
});

test("a primary that comes and goes has to be well for longer each time, and is forgiven when it was steady", async () => {
  const charge = createLeaseCharge(database, { quietMs: 1_000 });
  const quietMs = async () => (await database.query("SELECT quiet_ms FROM lease_charge", [])).rows[0]!.quiet_ms;
  const waits: unknown[] = [];
  for (let epoch = 1; epoch < 14; epoch += 2) {
    await charge.leavePrimary(epoch);
    waits.push(await quietMs());
    await passMs(700_000);
    await charge.returnToPrimary(epoch + 1);
  }
  expect(waits).toEqual([1_000, 4_000, 16_000, 64_000, 256_000, 600_000, 600_000]);
  await passMs(61_000);
  await charge.leavePrimary(15);
  expect(await quietMs()).toBe(1_000);
});
