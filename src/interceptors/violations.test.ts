import { expect, test } from "vitest";
import { z } from "zod";
import type { AppError } from "../core/errors.ts";
import { operation } from "../core/operation.ts";
import { instant, message, text } from "../core/schema.ts";
import { parseInput } from "./violations.ts";

const Item = message("Item", "One.", { runAt: instant("When.").optional(), size: z.int().min(1).max(5).optional() });
const check = operation({
  name: "check",
  summary: "Checks.",
  rest: "POST /v1/check",
  grpc: "CheckService/Check",
  graphql: "mutation check",
  permission: "",
  input: message("CheckRequest", "What to check.", {
    name: text(5, 1),
    level: z.enum(["LOW", "HIGH"]).optional(),
    tasks: z.array(Item).max(30).default([]),
    labels: z.record(z.string().max(3), z.string()).optional(),
    way: z
      .discriminatedUnion("kind", [
        z.strictObject({ kind: z.literal("A"), a: z.int() }),
        z.strictObject({ kind: z.literal("B"), b: z.string() }),
      ])
      .optional(),
  }),
  output: message("CheckResponse", "Checked.", {}),
  handle: () => ({}),
});

function violations(input: unknown): readonly { field: string; message: string }[] {
  try {
    parseInput(check, input);
  } catch (thrown) {
    return (thrown as AppError).details.fields ?? [];
  }
  return [];
}

test("every wrong field is named by its path, in words", () => {
  expect(violations({ tasks: [{}, {}, {}, { runAt: "soon", size: 9 }], level: "MIDDLE" })).toEqual([
    { field: "name", message: "is required" },
    { field: "level", message: "must be one of LOW, HIGH" },
    { field: "tasks[3].runAt", message: expect.stringContaining("RFC 3339") },
    { field: "tasks[3].size", message: "must be at most 5" },
  ]);
  expect(violations({ name: "" })).toEqual([{ field: "name", message: "must have at least 1 character" }]);
  expect(violations({ name: "x", way: { kind: "C" } })).toEqual([
    { field: "way.kind", message: "must be one of A, B" },
  ]);
  expect(violations({ name: "x", way: { kind: "A", a: Number.NaN } })).toMatchObject([{ field: "way.a" }]);
  expect(violations([])).toEqual([{ field: "", message: "must be an object" }]);
});

test("unknown fields and keys are named, printable and cut", () => {
  expect(violations({ name: "x", nmae: 1 })).toEqual([
    { field: "nmae", message: expect.stringContaining("not a known") },
  ]);
  expect(violations({ name: "x", ["a\u0000b".repeat(100)]: 1 })[0]!.field).toMatch(/^\["a\?ba\?b.{55,60}"\]$/);
  expect(violations({ name: "x", labels: { long: "x" } })).toEqual([
    { field: "labels.long", message: "has a key that must have at most 3 characters" },
  ]);
});

test("a flood of mistakes is told in short, and values are never told back", () => {
  const flood = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`field${index}`, 1]));
  expect(violations({ name: "x", ...flood })).toHaveLength(20);
  const secret = "hunter2".repeat(100);
  const told = JSON.stringify(violations({ name: secret, level: secret, tasks: [{ runAt: secret }, secret] }));
  expect(told).not.toContain("hunter2");
  expect(JSON.parse(told)).toHaveLength(4);
});
