import { TASK_STATES, type TaskState } from "../task-model.ts";

export interface TaskFilter {
  readonly queue?: string | undefined;
  readonly kind?: string | undefined;
  readonly createdAfter?: string | undefined;
  readonly createdBefore?: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly states?: readonly TaskState[] | undefined;
  readonly workerId?: string | undefined;
  readonly errorType?: string | undefined;
  readonly taskId?: string | undefined;
}

/** Collects conditions with their parameters, after those in `first`, of which $1 is the namespace; the text depends only on which filters are there. */
export function conditions(
  namespace: string,
  filter: TaskFilter,
  first: readonly unknown[] = [namespace],
): { where: string[]; values: unknown[] } {
  const where = ["t.namespace = $1"];
  const values: unknown[] = [...first];
  const add = (value: unknown, condition: (parameter: string) => string) => {
    if (value === undefined) return;
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  add(filter.taskId, (p) => `t.id = ${p}::uuid`);
  add(filter.queue, (p) => `t.queue = ${p}`);
  add(filter.kind, (p) => `t.kind = ${p}`);
  add(filter.createdAfter, (p) => `t.created_at >= ${p}::timestamptz`);
  add(filter.createdBefore, (p) => `t.created_at < ${p}::timestamptz`);
  add(filter.workerId, (p) => `t.worker_id = ${p}`);
  // A single state is written into the text, because a partial index serves only what the planner can prove.
  const [state, ...more] = filter.states ?? [];
  if (state !== undefined && more.length === 0) where.push(`t.state = '${TASK_STATES[TASK_STATES.indexOf(state)]}'`);
  else add(state === undefined ? undefined : filter.states, (p) => `t.state::text = ANY(${p}::text[])`);
  add(filter.errorType, (p) => `t.failures->-1->>'type' = ${p}`);
  // The partial index on labels is used only where its condition is repeated.
  if (Object.keys(filter.labels).length > 0) {
    add(JSON.stringify(filter.labels), (p) => `t.labels @> ${p}::jsonb AND t.labels <> '{}'::jsonb`);
  }
  return { where, values };
}
