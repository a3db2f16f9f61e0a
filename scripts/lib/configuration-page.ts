import { VARIABLES, type Variable } from "../../src/config/variables.ts";

const INTRODUCTION = `# Configuration

The gateway is configured by environment variables and nothing else. They are read once, at the start. A variable that
is set to nothing counts as not set; a name that begins with \`TARL_\` and is not listed here is refused, with a
suggestion where one is near. Everything that is wrong is reported at once, and nothing is started.

\`npm start -- --print-config\` prints what is in force, with passwords masked.

<!-- Written by \`npm run configuration-docs\` from src/config/variables.ts. -->
`;

/** docs/configuration.md, from the table of variables. */
export function configurationPage(): string {
  const sections = Map.groupBy(Object.entries<Variable>(VARIABLES), ([, { section }]) => section);
  return [INTRODUCTION, ...[...sections].map(([title, entries]) => `## ${title}\n\n${table(entries)}\n`)].join("\n");
}

function table(entries: readonly [string, Variable][]): string {
  const rows = entries.map(
    ([name, { fallback, description }]) =>
      `| \`${name}\` | ${fallback === undefined ? "not set" : `\`${fallback}\``} | ${description.replaceAll("|", "\\|")} |`,
  );
  return ["| Variable | Default | What it is for |", "|---|---|---|", ...rows].join("\n");
}
