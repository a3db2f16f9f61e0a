/** The names in the first line of a CSV file; undefined where it does not end in `text`. */
export function readCsvHeader(text: string): string[] | undefined {
  const names: string[] = [];
  let at = text.startsWith("\ufeff") ? 1 : 0;
  for (;;) {
    const cell = readCell(text, at);
    if (cell === undefined) return undefined;
    names.push(cell.value);
    const next = text[cell.end];
    if (next !== ",") return names;
    at = cell.end + 1;
  }
}

/** The value of a cell, and where what follows it stands. */
function readCell(text: string, from: number): { readonly value: string; readonly end: number } | undefined {
  if (text[from] !== '"') {
    const length = text.slice(from).search(/[,\r\n]/);
    return length < 0 ? undefined : { value: text.slice(from, from + length), end: from + length };
  }
  let value = "";
  for (let at = from + 1; at < text.length; at++) {
    if (text[at] !== '"') value += text[at];
    else if (text[at + 1] === '"') value += text[++at];
    else return { value, end: at + 1 };
  }
  return undefined;
}
