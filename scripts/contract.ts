/**
 * `npm run contract` writes what the operations emit: protos/, schema/schema.graphql and
 * schema/openapi.json. With `--check` it writes nothing and fails where something has drifted.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { emitContract, PROTO_FOLDER } from "../src/contract/emit-contract.ts";
import { edges, operations, services } from "../src/operations.ts";

const root = resolve(import.meta.dirname, "..");
const protoFolder = join(root, PROTO_FOLDER);

function committedProtoPaths(): string[] {
  if (!existsSync(protoFolder)) return [];
  return readdirSync(protoFolder)
    .filter((name) => name.endsWith(".proto"))
    .sort()
    .map((name) => `${PROTO_FOLDER}/${name}`);
}

function read(path: string): string | undefined {
  const absolute = join(root, path);
  return existsSync(absolute) ? readFileSync(absolute, "utf8") : undefined;
}

const committed = committedProtoPaths();
const { version } = JSON.parse(read("package.json")!) as { version: string };
const emitted = emitContract({
  operations,
  edges,
  services,
  version,
  committedProtos: committed.map((path) => read(path)!),
});
const drifted = [...emitted].filter(([path, text]) => read(path) !== text).map(([path]) => path);
const gone = committed.filter((path) => !emitted.has(path));

if (process.argv.includes("--check")) {
  for (const path of drifted) console.error(`${path} is not what the operations emit.`);
  for (const path of gone) console.error(`${path} belongs to no operation any more.`);
  if (drifted.length + gone.length > 0) {
    console.error('Run "npm run contract" and commit what it writes.');
    process.exitCode = 1;
  }
} else {
  for (const path of drifted) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), emitted.get(path)!);
    console.log(`wrote ${path}`);
  }
  for (const path of gone) {
    rmSync(join(root, path));
    console.log(`removed ${path}`);
  }
  if (drifted.length + gone.length === 0) console.log("The contract is what the operations emit already.");
}
