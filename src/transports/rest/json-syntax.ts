/** Where a text stops being JSON, and what could have stood there. */
export interface JsonSyntaxError {
  /** In UTF-16 units from 0. */
  readonly position: number;
  readonly line: number;
  readonly column: number;
  readonly expected: string;
}

const SPACE = /[ \t\n\r]*/y;
const SCALAR = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.])|(?:true|false|null)(?!\w)/y;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ESCAPE = /["\\/bfnrt]|u[0-9a-fA-F]{4}/y;

/**
 * Where the string that opens at `start` closes or goes wrong. A loop, because a regular expression
 * runs out of stack in long strings.
 */
function scanString(text: string, start: number): { readonly position: number; readonly isClosed: boolean } {
  let position = start + 1;
  while (position < text.length) {
    const unit = text.charCodeAt(position);
    if (unit === QUOTE) return { position: position + 1, isClosed: true };
    if (unit < 0x20) break;
    if (unit === BACKSLASH) {
      ESCAPE.lastIndex = position + 1;
      if (!ESCAPE.test(text)) break;
      position = ESCAPE.lastIndex;
    } else position += 1;
  }
  return { position, isClosed: false };
}

type Expectation = "value" | "valueOrEnd" | "key" | "keyOrEnd" | "colon" | "commaOrEnd" | "quote";

function describe(expected: Expectation, closer: string | undefined): string {
  if (expected === "commaOrEnd") return closer ? `"," or "${closer}"` : "the end of the body";
  if (expected === "colon") return '":"';
  if (expected === "quote") return "a character that a string may hold, an escape such as \\n, or a closing quote";
  const thing = expected.startsWith("value") ? "a value" : "a field name in double quotes";
  return expected.endsWith("OrEnd") ? `${thing} or "${closer}"` : thing;
}

function lineAndColumn(text: string, position: number): { line: number; column: number } {
  let line = 1;
  let lineStart = 0;
  for (let at = text.indexOf("\n"); at !== -1 && at < position; at = text.indexOf("\n", at + 1)) {
    line += 1;
    lineStart = at + 1;
  }
  return { line, column: position - lineStart + 1 };
}

/**
 * Finds the mistake in a text that JSON.parse has refused, because the engine's own messages often
 * say no position. Keeps its own stack, so that depth cannot hurt it.
 */
export function findJsonSyntaxError(text: string): JsonSyntaxError {
  const closers: string[] = [];
  let expected: Expectation = "value";
  let position = 0;
  const takeString = (): boolean => {
    const string = scanString(text, position);
    position = string.position;
    if (!string.isClosed) expected = "quote";
    return string.isClosed;
  };
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = position;
    if (!pattern.test(text)) return false;
    position = pattern.lastIndex;
    return true;
  };

  for (;;) {
    take(SPACE);
    const character = text[position];
    const closer = closers.at(-1);
    if (character === undefined) break;
    if (character === closer && expected.endsWith("OrEnd")) {
      closers.pop();
      position += 1;
      expected = "commaOrEnd";
    } else if (expected === "commaOrEnd") {
      if (character !== "," || closer === undefined) break;
      position += 1;
      expected = closer === "}" ? "key" : "value";
    } else if (expected === "colon") {
      if (character !== ":") break;
      position += 1;
      expected = "value";
    } else if (expected === "key" || expected === "keyOrEnd") {
      if (character !== '"' || !takeString()) break;
      expected = "colon";
    } else if (character === "{" || character === "[") {
      closers.push(character === "{" ? "}" : "]");
      position += 1;
      expected = character === "{" ? "keyOrEnd" : "valueOrEnd";
    } else {
      if (character === '"' ? !takeString() : !take(SCALAR)) break;
      expected = "commaOrEnd";
    }
  }
  const { line, column } = lineAndColumn(text, position);
  return { position, line, column, expected: describe(expected, closers.at(-1)) };
}
