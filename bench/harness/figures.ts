/** Several measurements of one thing. */
export interface Figure {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

export function figureOf(values: readonly number[]): Figure {
  return { median: percentile(values, 0.5), low: Math.min(...values), high: Math.max(...values) };
}

/** The value that this share of the values does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) * share;
  // The median of an even count lies between two; other percentiles are one of the values.
  if (share === 0.5) return (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2;
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)]!;
}
