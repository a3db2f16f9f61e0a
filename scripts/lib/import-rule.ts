import { posix } from "node:path";

/** The project's TypeScript files: path from the repository's root → text. */
export type SourceFiles = ReadonlyMap<string, string>;

interface Import {
  readonly specifier: string;
  readonly line: number;
}

/** What each part of src/ may import of the others; design and docs/architecture.md say why. */
const ALLOWED: Record<string, readonly string[]> = {
  core: [],
  config: ["core"],
  platform: ["core"],
  services: ["core", "platform"],
  interceptors: ["core", "platform", "services/tenancy"],
  contract: ["core"],
  transports: ["core", "contract", "interceptors"],
};

/** Packages that speak a protocol stay where protocols are spoken. */
const PROTOCOL_PACKAGE =
  /^(express|ws|graphql|graphql-.+|@graphql-yoga\/.+|dataloader|@grpc\/.+|grpc-health-check)(\/|$)/;
const PROTOCOL_PARTS = new Set(["transports", "contract"]);

const IMPORT = /(?:\bfrom|^\s*import|\bimport\()\s*["']([^"'\n]+)["']/gm;
const COMMENT_LINE = /^\s*(\/\/|\/?\*)/;

export function importsOf(text: string): Import[] {
  const code = text
    .split("\n")
    .map((line) => (COMMENT_LINE.test(line) ? "" : line))
    .join("\n");
  return [...code.matchAll(IMPORT)].map((match) => ({
    specifier: match[1]!,
    line: code.slice(0, match.index).split("\n").length + (match[0].match(/\n/g)?.length ?? 0),
  }));
}

/** Every breach of the import rule, as `file:line: what is wrong and what is allowed`. */
export function importViolations(files: SourceFiles): string[] {
  const violations: string[] = [];
  for (const [path, text] of files) {
    if (!path.startsWith("src/") || path.endsWith(".test.ts")) continue;
    for (const { specifier, line } of importsOf(text)) {
      const problem = specifier.startsWith(".")
        ? relativeProblem(path, specifier, files)
        : packageProblem(path, specifier);
      if (problem !== undefined) violations.push(`${path}:${line}: ${problem}`);
    }
    if (!path.startsWith("src/config/")) violations.push(...environmentReads(path, text));
  }
  return violations;
}

function relativeProblem(path: string, specifier: string, files: SourceFiles): string | undefined {
  const target = posix.join(posix.dirname(path), specifier);
  if (!specifier.endsWith(".ts")) return `"${specifier}" must carry its extension, .ts.`;
  if (!files.has(target)) return `"${specifier}" leads to ${target}, which is not there.`;
  if (!target.startsWith("src/") || target.endsWith(".test.ts")) return `${target} belongs to the tests.`;

  const [from, to] = [placeOf(path), placeOf(target)];
  // gateway.ts and main.ts put everything together.
  if (from.part === "") return undefined;
  const allowed = ALLOWED[from.part];
  if (allowed === undefined) return `src/${from.part} is in no layer; give it one in scripts/lib/import-rule.ts.`;
  if (from.part === to.part) return siblingProblem(from, to, target);
  if (allowed.includes(to.part) || allowed.includes(`${to.part}/${to.section}`)) return undefined;
  return `src/${from.part} must not import ${target}; it may import ${listOf(allowed)}.`;
}

/** What REST and GraphQL have in common. */
const SHARED_BY_PROTOCOLS = "http";

/** Domains see of each other only what index.ts exports; protocols see nothing of each other. */
function siblingProblem(from: Place, to: Place, target: string): string | undefined {
  if (from.section === to.section || to.section === "") return undefined;
  if (from.part === "services" && from.section !== "" && posix.basename(target) !== "index.ts") {
    return `services/${from.section} may import services/${to.section} only through its index.ts, not ${target}.`;
  }
  if (from.part === "transports" && to.section !== SHARED_BY_PROTOCOLS) {
    return `transports/${from.section} must not import ${target}; what protocols share lies in src/transports/${SHARED_BY_PROTOCOLS}.`;
  }
  return undefined;
}

function packageProblem(path: string, specifier: string): string | undefined {
  const { part } = placeOf(path);
  if (part === "" || PROTOCOL_PARTS.has(part) || !PROTOCOL_PACKAGE.test(specifier)) return undefined;
  return `the package "${specifier}" speaks a protocol, so only transports and contract may import it.`;
}

function environmentReads(path: string, text: string): string[] {
  return text
    .split("\n")
    .flatMap((line, index) =>
      /\bprocess\.env\b/.test(line) && !COMMENT_LINE.test(line)
        ? [`${path}:${index + 1}: only src/config reads process.env; take the value from Config.`]
        : [],
    );
}

interface Place {
  /** The folder under src/, or "" for a file directly in it. */
  readonly part: string;
  /** The folder under that, or "". */
  readonly section: string;
}

function placeOf(path: string): Place {
  const folders = path.split("/").slice(1, -1);
  return { part: folders[0] ?? "", section: folders[1] ?? "" };
}

function listOf(allowed: readonly string[]): string {
  return allowed.length === 0 ? "nothing of ours" : allowed.join(", ");
}
