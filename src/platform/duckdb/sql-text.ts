/** A name in a statement, whatever characters it has. */
export function quoteName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text in a statement. Values of callers go through parameters or tables; this is for paths and the like. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** A path to read that means itself, also where the folder's name has characters of a glob pattern in it. */
export function quotePath(path: string): string {
  return quoteText(escapePattern(path));
}

/** A glob pattern that only this text matches. */
export function escapePattern(text: string): string {
  return text.replace(/[*?[\]]/g, (character) => `[${character}]`);
}
