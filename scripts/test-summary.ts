/**
 * Prints `N passed, N failed` from vitest's JSON report, alone on a line.
 *
 *   node scripts/test-summary.ts <report.json> <exit code of the check> <exit code of vitest>
 */
import { readFileSync } from "node:fs";

interface Report {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[];
}

const [reportPath = "", checkCode = "1", testCode = "1"] = process.argv.slice(2);

function readReport(): Report {
  try {
    return JSON.parse(readFileSync(reportPath, "utf8")) as Report;
  } catch {
    return { numPassedTests: 0, numFailedTests: 0, testResults: [] };
  }
}

const report = readReport();
// A file that could not even be loaded holds no failed test, but is one.
const brokenFiles = report.testResults.filter((file) => file.status === "failed" && file.assertionResults.length === 0);
let failed = report.numFailedTests + brokenFiles.length;
// Vitest also fails for what belongs to no test, such as an unhandled rejection or a missing report.
if (testCode !== "0" && failed === 0) failed = 1;
if (checkCode !== "0") {
  console.log("npm run check failed; it counts as one failure.");
  failed += 1;
}
console.log(`${report.numPassedTests} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
