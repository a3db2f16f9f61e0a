import type { EnumModel } from "./model.ts";

const COMMENT_COLUMNS = 100;

/** Breaks `text` into lines of at most 100 columns, given how many columns stand before each line. */
export function wrapText(text: string, columnsBefore: number): string[] {
  const width = COMMENT_COLUMNS - columnsBefore;
  return text
    .trim()
    .split(/\n/)
    .flatMap((paragraph) => wrapParagraph(paragraph.trim(), width));
}

function wrapParagraph(paragraph: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of paragraph.split(/\s+/)) {
    if (line && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line ? `${line} ${word}` : word;
    }
  }
  lines.push(line);
  return lines;
}

/** Sentences joined into one text, each with its full stop; empty ones are left out. */
export function sentences(...parts: readonly (string | undefined)[]): string {
  return parts
    .map((part) => part?.trim() ?? "")
    .filter((part) => part !== "")
    .map((part) => (/[.!?:`)]$/.test(part) ? part : `${part}.`))
    .join(" ");
}

/** What every contract says about a field: its description, and who gets to see it. */
export function fieldText(field: { readonly description: string; readonly visibleTo?: string }): string {
  const visibility = field.visibleTo && `Left out of answers to callers without the permission \`${field.visibleTo}\`.`;
  return sentences(field.description, visibility);
}

/** What each service is for, by its name. */
export type ServiceTexts = Readonly<Record<string, string>>;

/** What every contract says about a service. */
export function serviceText(service: string, texts: ServiceTexts): string {
  return texts[service] ?? `The operations of ${service}.`;
}

/** JSON Schema has no place beside a value, so what the values mean follows the enumeration's description. */
export function enumText({ description, values, valueDescriptions }: EnumModel): string {
  const lines = values.flatMap((value) =>
    valueDescriptions[value] ? [`- \`${value}\`: ${valueDescriptions[value]}`] : [],
  );
  return lines.length === 0 ? description : `${description}\n\n${lines.join("\n")}`;
}

/** What every contract says about who may call; an empty permission asks for a valid credential alone. */
export function permissionText(permission: string): string {
  return permission && `Needs the permission \`${permission}\`.`;
}
