import type { Figure } from "./figures.ts";

/** One line of the table. */
export interface Row {
  readonly case: string;
  readonly what: string;
  readonly unit: string;
  readonly gateway: Figure;
  readonly gatewayCpuPercent?: number | undefined;
  readonly beside?: string;
  readonly besideFigure?: Figure;
  readonly besideCpuPercent?: number | undefined;
  readonly ratio?: Figure;
  /** The same by calls for each second of CPU time, which a slow client or a busy neighbour does not change. */
  readonly ratioPerCpu?: number | undefined;
  readonly target?: string;
  readonly met?: boolean;
}
