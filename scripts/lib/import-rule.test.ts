import { describe, expect, test } from "vitest";
import { importCycles } from "./import-cycles.ts";
import { importsOf, importViolations } from "./import-rule.ts";

/** What the rule says to one import of `target` from `path`. */
function verdict(path: string, specifier: string, target?: string): string[] {
  const files = new Map([[path, `import { x } from "${specifier}";\n`]]);
  if (target !== undefined) files.set(target, "");
  return importViolations(files);
}

test("finds every form of import, with its line, and none in comments", () => {
  const text = `import type { A } from "./a.ts";
import {
  B,
} from "./b.ts";
// import { no } from "./no.ts";
export * from "./c.ts";
import "./d.ts";
const e = await import("./e.ts");
`;
  expect(importsOf(text)).toEqual([
    { specifier: "./a.ts", line: 1 },
    { specifier: "./b.ts", line: 4 },
    { specifier: "./c.ts", line: 6 },
    { specifier: "./d.ts", line: 7 },
    { specifier: "./e.ts", line: 8 },
  ]);
});

describe("the import rule", () => {
  test.each([
    ["src/platform/redis/client.ts", "../../core/errors.ts", "src/core/errors.ts"],
    ["src/services/tasks/task-service.ts", "../leases/index.ts", "src/services/leases/index.ts"],
    ["src/interceptors/authenticate.ts", "../services/tenancy/keys.ts", "src/services/tenancy/keys.ts"],
    ["src/transports/rest/server.ts", "../http/status.ts", "src/transports/http/status.ts"],
    ["src/transports/rest/server.ts", "express", undefined],
    ["src/gateway.ts", "./services/tasks/task-service.ts", "src/services/tasks/task-service.ts"],
  ])("%s may import %s", (path, specifier, target) => {
    expect(verdict(path, specifier, target)).toEqual([]);
  });

  test.each([
    ["src/core/call.ts", "../platform/pubsub.ts", "src/platform/pubsub.ts", "nothing of ours"],
    ["src/services/tasks/x.ts", "../leases/lease-store.ts", "src/services/leases/lease-store.ts", "index.ts"],
    ["src/services/tasks/x.ts", "../../transports/rest/y.ts", "src/transports/rest/y.ts", "core, platform"],
    ["src/interceptors/limit.ts", "../services/tasks/index.ts", "src/services/tasks/index.ts", "services/tenancy"],
    ["src/transports/rest/x.ts", "../grpc/y.ts", "src/transports/grpc/y.ts", "must not import"],
    ["src/services/tasks/x.ts", "graphql", undefined, "speaks a protocol"],
    ["src/core/call.ts", "./gone.ts", undefined, "not there"],
    ["src/core/call.ts", "./call.test.ts", "src/core/call.test.ts", "belongs to the tests"],
  ])("%s must not import %s", (path, specifier, target, words) => {
    expect(verdict(path, specifier, target)).toEqual([expect.stringMatching(new RegExp(`^${path}:1: .*${words}`))]);
  });

  test("only config reads the environment", () => {
    const text = "export const port = process.env.PORT;";
    expect(importViolations(new Map([["src/platform/x.ts", text]]))).toHaveLength(1);
    expect(importViolations(new Map([["src/config/x.ts", text]]))).toEqual([]);
  });
});

test("names each cycle", () => {
  const files = new Map([
    ["src/a.ts", 'import { b } from "./b.ts";'],
    ["src/b.ts", 'import type { c } from "./c.ts";'],
    ["src/c.ts", 'import { a } from "./a.ts";\nimport { d } from "./d.ts";'],
    ["src/d.ts", ""],
  ]);
  expect(importCycles(files)).toEqual(["src/a.ts → src/b.ts → src/c.ts → src/a.ts"]);
});
