import * as queues from "./queue-operations.ts";
import * as tasks from "./task-operations.ts";
import * as workers from "./worker-operations.ts";

/** Every operation of this domain. */
export const taskOperations = [...Object.values(tasks), ...Object.values(queues), ...Object.values(workers)] as const;
