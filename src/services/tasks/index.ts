export { taskEdges } from "./edges.ts";
export { taskMigrations } from "./migrations.ts";
export { taskOperations } from "./operations.ts";
export { holdsTasks, purgeNamespace as purgeTasksOf } from "./store/maintain.ts";
export { addTaskMetrics } from "./task-metrics.ts";
export { readTaskUsage } from "./task-usage.ts";
export { createTasksDomain, type TaskServices, type TasksDomain } from "./tasks-domain.ts";
