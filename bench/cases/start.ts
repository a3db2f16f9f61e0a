import type { Case } from "../harness/bench.ts";
export const startCase: Case = { name: "start", run: async () => [] };
