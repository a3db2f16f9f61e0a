import type { Comparison } from "./compare.ts";
import type { CpuCosts } from "./cpu-costs.ts";
import type { Figure } from "./figures.ts";
import type { Row } from "./row.ts";

/** A row for calls a second beside a bare library, whose ratio must reach the target. */
export function comparisonRow(name: string, what: string, comparison: Comparison, atLeast: number): Row {
  const { ours, bare, ratio, ratioPerCpu } = comparison;
  return {
    case: name,
    what,
    unit: "calls/s",
    gateway: ours.perSecond,
    gatewayCpuPercent: ours.cpuPercent,
    beside: bare.name,
    besideFigure: bare.perSecond,
    besideCpuPercent: bare.cpuPercent,
    ratio,
    ratioPerCpu,
    target: `≥ ${atLeast} ×`,
    met: ratio.median >= atLeast,
  };
}

/** A row for the CPU time of each process that had a part in it. */
export function costRows(name: string, what: string, costs: CpuCosts): Row[] {
  return [...costs].map(([process, micros]) => ({
    case: name,
    what: `${what}: CPU time of the ${process}`,
    unit: "µs",
    gateway: { median: micros, low: micros, high: micros },
  }));
}

const HEADINGS = ["What", "Gateway", "CPU", "Beside it", "CPU", "Ratio", "Ratio per CPU second", "Target", ""];

export function renderTable(rows: readonly Row[]): string {
  const lines = rows.map((row) => [
    row.what,
    `${renderFigure(row.gateway)} ${row.unit}`,
    renderPercent(row.gatewayCpuPercent),
    row.besideFigure ? `${row.beside}: ${renderFigure(row.besideFigure)} ${row.unit}` : (row.beside ?? ""),
    renderPercent(row.besideCpuPercent),
    row.ratio ? `${renderFigure(row.ratio)}` : "",
    row.ratioPerCpu === undefined ? "" : row.ratioPerCpu.toFixed(2),
    row.target ?? "",
    row.met === undefined ? "" : row.met ? "met" : "not met",
  ]);
  return [HEADINGS, HEADINGS.map(() => "---"), ...lines].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

/** The median, and in parentheses the lowest and the highest where they differ. */
function renderFigure({ median, low, high }: Figure): string {
  const spread = low === high ? "" : ` (${renderNumber(low)}–${renderNumber(high)})`;
  return `${renderNumber(median)}${spread}`;
}

function renderNumber(value: number): string {
  const decimals = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en", { maximumFractionDigits: decimals });
}

function renderPercent(value: number | undefined): string {
  return value === undefined ? "" : `${value}%`;
}
