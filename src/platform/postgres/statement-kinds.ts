import { createSlots, type Slots } from "./slots.ts";

/** What all statements of one text share. */
export interface StatementKind {
  /** Under which a connection prepares it once; undefined: it is not prepared. */
  readonly name: string | undefined;
  /** One for each connection that these statements may hold at a time. */
  readonly slots: Slots;
}

export interface StatementKindsOptions {
  readonly maxConnectionsEach: number;
  /** How long to wait for one of them. */
  readonly waitMs: number;
}

/** Beyond this many different texts, statements are sent unnamed: somebody builds texts from values. */
const MAX_NAMED_STATEMENTS = 1_000;

/**
 * Tells statements apart by their text. Texts are constants, so each is one thing that the gateway
 * does: when that hangs, say on a locked table, it must not take all connections from the others.
 */
export function createStatementKinds(
  options: StatementKindsOptions,
): (text: string, isPrepared: boolean) => StatementKind {
  const { maxConnectionsEach, waitMs } = options;
  const kinds = new Map<string, StatementKind>();
  const others: StatementKind = { name: undefined, slots: createSlots(maxConnectionsEach, waitMs) };
  return (text, isPrepared) => {
    if (!isPrepared) return others;
    let kind = kinds.get(text);
    if (kind === undefined) {
      if (kinds.size >= MAX_NAMED_STATEMENTS) return others;
      kind = { name: `s${kinds.size}`, slots: createSlots(maxConnectionsEach, waitMs) };
      kinds.set(text, kind);
    }
    return kind;
  };
}
