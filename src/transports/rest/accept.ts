/** Whether `range` (e.g. `text/*`) covers `type`, and how closely: 0 is not at all. */
function closeness(range: string, type: string): number {
  if (range === type) return 3;
  if (range.endsWith("/*") && range !== "*/*" && type.startsWith(range.slice(0, -1))) return 2;
  return range === "*/*" ? 1 : 0;
}

function parseAccept(accept: string): { range: string; quality: number }[] {
  return accept.split(",", 50).map((part) => {
    const [range = "", ...parameters] = part.split(";").map((text) => text.trim().toLowerCase());
    const quality = Number(parameters.find((text) => text.startsWith("q="))?.slice(2) ?? 1);
    return { range, quality: Number.isNaN(quality) ? 0 : quality };
  });
}

/** The offered media type that the client likes best, the earlier one where it does not care. */
export function preferredType(accept: string | undefined, offered: readonly string[]): string | undefined {
  if (accept === undefined || accept === "*/*") return offered[0];
  const ranges = parseAccept(accept);
  let best: { type: string; quality: number } | undefined;
  for (const type of offered) {
    let quality = 0;
    let closest = 0;
    for (const entry of ranges) {
      const close = closeness(entry.range, type);
      if (close > closest) {
        closest = close;
        quality = entry.quality;
      }
    }
    if (quality > (best?.quality ?? 0)) best = { type, quality };
  }
  return best?.type;
}
