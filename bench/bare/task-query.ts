import pg from "pg";
import { type TaskRow, taskColumns, taskFromRow } from "../../src/services/tasks/store/task-row.ts";
import type { Task } from "../../src/services/tasks/task-model.ts";

const INT8_OID = 20;
const POOL_SIZE = 20;
const QUERY = {
  name: "get-task",
  text: `SELECT ${taskColumns("t")} FROM tasks t WHERE t.namespace = $1 AND t.id = $2`,
};

/** The gateway's own query for one task, through pg and nothing else; undefined where there is no such task. */
export function createTaskQuery(databaseUrl: string): (namespace: string, taskId: string) => Promise<Task | undefined> {
  pg.types.setTypeParser(INT8_OID, Number);
  const pool = new pg.Pool({ connectionString: databaseUrl, max: POOL_SIZE });
  return async (namespace, taskId) => {
    const { rows } = await pool.query<TaskRow>({ ...QUERY, values: [namespace, taskId] });
    return rows[0] && taskFromRow(rows[0]);
  };
}
