import type { Json } from "../../src/core/json.ts";
import type { Task } from "../../src/services/tasks/task-model.ts";

/** A task as proto-loader wants it. Of what may be absent, only what the measured task has. */
export function encodeTask(task: Task): object {
  return {
    ...task,
    state: `TASK_STATE_${task.state}`,
    priority: `TASK_PRIORITY_${task.priority}`,
    payload: encodeValue(task.payload ?? null),
    runAt: encodeTime(task.runAt),
    createdAt: encodeTime(task.createdAt),
    updatedAt: encodeTime(task.updatedAt),
  };
}

function encodeTime(text: string): object {
  const ms = Date.parse(text);
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: (ms - seconds * 1000) * 1_000_000 };
}

function encodeValue(value: Json): object {
  if (value === null) return { nullValue: "NULL_VALUE" };
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "number") return { numberValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (Array.isArray(value)) return { listValue: { values: value.map(encodeValue) } };
  const fields = Object.entries(value).map(([name, field]) => [name, encodeValue(field as Json)]);
  return { structValue: { fields: Object.fromEntries(fields) } };
}
