import { createPgliteDatabase } from "../../src/platform/postgres/pglite-database.ts";

/** Opens the folder named by its argument and inserts rows until it is killed, writing the number of each acknowledged one. */
const database = await createPgliteDatabase({ dataDir: process.argv[2] });
await database.query("CREATE TABLE IF NOT EXISTS written (id int8 PRIMARY KEY)");
const { rows } = await database.query<{ next: number }>("SELECT coalesce(max(id), 0) + 1 AS next FROM written", []);
process.stdout.write("open\n");
for (let id = rows[0]!.next; ; id += 1) {
  await database.query("INSERT INTO written VALUES ($1)", [id]);
  process.stdout.write(`${id}\n`);
}
