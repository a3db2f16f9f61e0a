/** The candidate that `name` was most likely meant to be, or nothing where none is near. */
export function closestName(name: string, candidates: readonly string[]): string | undefined {
  const continued = candidates.find((candidate) => candidate.startsWith(`${name}_`));
  if (continued !== undefined) return continued;
  // More edits than this and a suggestion misleads more than it helps.
  let nearest = Math.max(2, Math.floor(name.length / 3)) + 1;
  let closest: string | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(name, candidate);
    if (distance < nearest) {
      nearest = distance;
      closest = candidate;
    }
  }
  return closest;
}

/** How many letters must be added, dropped or changed to turn one word into the other (Levenshtein). */
function editDistance(left: string, right: string): number {
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (const [row, letter] of [...left].entries()) {
    const current = [row + 1];
    for (let column = 0; column < right.length; column++) {
      const change = previous[column]! + (letter === right[column] ? 0 : 1);
      current.push(Math.min(change, previous[column + 1]! + 1, current[column]! + 1));
    }
    previous = current;
  }
  return previous[right.length]!;
}
