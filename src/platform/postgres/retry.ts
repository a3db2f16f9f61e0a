import { setTimeout as delay } from "node:timers/promises";
import { isTransient } from "./database-error.ts";

const MAX_ATTEMPTS = 5;
const FIRST_BACKOFF_MS = 5;

/** Runs `work` again, after a short random pause, while Postgres gives up on deadlocks or serialization failures. */
export async function retryTransient<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= MAX_ATTEMPTS || !isTransient(error)) throw error;
      await delay(Math.random() * FIRST_BACKOFF_MS * 2 ** attempt);
    }
  }
}
