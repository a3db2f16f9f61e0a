/**
 * Writes docs/configuration.md from the table of variables; with --check it only says whether that would change it.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { configurationPage } from "./lib/configuration-page.ts";

const path = new URL("../docs/configuration.md", import.meta.url);

function readPage(): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

if (!process.argv.includes("--check")) {
  mkdirSync(new URL(".", path), { recursive: true });
  writeFileSync(path, configurationPage());
} else if (readPage() !== configurationPage()) {
  console.error("docs/configuration.md is not what src/config/variables.ts says. Run: npm run configuration-docs");
  process.exitCode = 1;
}
