import type { z } from "zod";
import type { Call } from "./call.ts";

/** A relation between two GraphQL types. Each domain declares its own in its `edges.ts`. */
export interface Edge<Services, Parent = unknown> {
  /** The type that gets the field, e.g. `Task`. */
  readonly type: string;
  /** The field's name, e.g. `worker`. */
  readonly field: string;
  readonly description: string;
  /** GraphQL type text: `Worker` (null where there is none), `[Task!]!`. */
  readonly returns: string;
  /** The message that it answers with, or a list of: what is visible of it to whom is written there. */
  readonly schema: z.ZodObject;
  /** GraphQL text of the arguments, without parentheses: `pageSize: Int = 20, state: TaskState`. */
  readonly arguments?: string;
  /** What the caller must hold in the parent's namespace. */
  readonly permission: string;
  /**
   * One call for many parents that ask for the same arguments. Answers in the order of `parents`:
   * a value, null where there is none, or an Error for that parent alone.
   */
  load(
    services: Services,
    parents: readonly Parent[],
    args: Readonly<Record<string, unknown>>,
    call: Call,
  ): Promise<readonly unknown[]>;
}

/** Any edge, where only its contract matters. */
// biome-ignore lint/suspicious/noExplicitAny: services and parents differ by domain and are not looked at here.
export type AnyEdge = Edge<any, any>;
