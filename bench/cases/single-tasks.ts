import type { Case } from "../harness/bench.ts";
export const singleTasksCase: Case = { name: "single-tasks", run: async () => [] };
