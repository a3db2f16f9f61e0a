import { expect, test } from "vitest";
import { fixLockfile, lockfileProblems } from "./lockfile-rules.ts";

const broken = {
  packages: {
    "": {},
    "node_modules/tool": {
      version: "1.0.0",
      resolved: "https://registry.example/tool-1.0.0.tgz",
      dev: true,
      optionalDependencies: { "@tool/linux-x64": "1.0.0", "@tool/cli-linux-arm64-musl": "1.0.0" },
    },
    "node_modules/@tool/linux-x64": { version: "1.0.0", optional: true },
  },
};

test("names addresses and missing platform packages, and mends both", () => {
  expect(lockfileProblems(broken)).toEqual([
    "node_modules/tool names the address registry.example",
    "node_modules/tool has no entry for its optional dependency @tool/cli-linux-arm64-musl@1.0.0",
  ]);
  const fixed = fixLockfile(broken);
  expect(lockfileProblems(fixed)).toEqual([]);
  expect(fixed.packages["node_modules/@tool/cli-linux-arm64-musl"]).toEqual({
    version: "1.0.0",
    cpu: ["arm64"],
    dev: true,
    libc: ["musl"],
    optional: true,
    os: ["linux"],
  });
});
