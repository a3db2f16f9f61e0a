import type { Case } from "../harness/bench.ts";
export const wakeUpCase: Case = { name: "wake-up", run: async () => [] };
