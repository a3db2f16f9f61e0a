import { HttpError } from "../http/http-error.ts";

export const JSON_TYPE = "application/json";
export const GRAPHQL_TYPE = "application/graphql-response+json";
export const EVENT_STREAM_TYPE = "text/event-stream";

export type AnswerType = typeof JSON_TYPE | typeof GRAPHQL_TYPE | typeof EVENT_STREAM_TYPE;

/** In the order in which they are preferred where a client wants them equally. */
const OFFERED: readonly AnswerType[] = [JSON_TYPE, GRAPHQL_TYPE, EVENT_STREAM_TYPE];
const MAX_ACCEPT_CHARACTERS = 1_024;

/** Which of our media types the Accept header asks for; JSON where it does not care. */
export function negotiate(accept: string | undefined): AnswerType {
  if (accept === undefined || accept === "" || accept === "*/*" || accept === JSON_TYPE) return JSON_TYPE;
  if (accept === GRAPHQL_TYPE || accept === EVENT_STREAM_TYPE) return accept;
  const ranges = parseAccept(accept.slice(0, MAX_ACCEPT_CHARACTERS));
  let best: AnswerType | undefined;
  let bestRank = -1;
  for (const { range, quality, isUtf8 } of ranges) {
    if (quality === 0 || !isUtf8) continue;
    const matched = OFFERED.find((type) => matches(range, type) && !isRefused(type, ranges));
    // A type by its name goes before a wildcard of the same weight.
    const rank = quality + (range.includes("*") ? 0 : 0.0001);
    if (matched && rank > bestRank) {
      best = matched;
      bestRank = rank;
    }
  }
  if (best) return best;
  throw new HttpError(
    406,
    "INVALID_ARGUMENT",
    "NOT_ACCEPTABLE",
    `The answer can be ${OFFERED.join(", ")}, in UTF-8. Ask for one of them in the Accept header, or leave it out.`,
  );
}

interface MediaRange {
  readonly range: string;
  readonly quality: number;
  readonly isUtf8: boolean;
}

function parseAccept(accept: string): MediaRange[] {
  return accept.split(",").map((part) => {
    const [range = "", ...parameters] = part
      .toLowerCase()
      .split(";")
      .map((text) => text.trim());
    const quality = Number(parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? 1);
    const charset = parameters
      .find((parameter) => parameter.startsWith("charset="))
      ?.slice(8)
      .replaceAll('"', "");
    return {
      range,
      quality: Number.isNaN(quality) ? 0 : quality,
      isUtf8: charset === undefined || charset === "utf-8",
    };
  });
}

function matches(range: string, type: AnswerType): boolean {
  return range === type || range === "*/*" || (range.endsWith("/*") && type.startsWith(range.slice(0, -1)));
}

function isRefused(type: AnswerType, ranges: readonly MediaRange[]): boolean {
  return ranges.some(({ range, quality }) => range === type && quality === 0);
}

/** Only JSON is taken: a page of another origin cannot send it without asking first (CSRF). */
export function checkContentType(contentType: string | undefined, contentEncoding: string | undefined): void {
  const isPlain = contentEncoding === undefined || contentEncoding === "identity";
  if (contentType === JSON_TYPE && isPlain) return;
  const [type, ...parameters] = (contentType ?? "")
    .toLowerCase()
    .split(";")
    .map((text) => text.trim());
  const charset = parameters
    .find((parameter) => parameter.startsWith("charset="))
    ?.slice(8)
    .replaceAll('"', "");
  if (isPlain && type === JSON_TYPE && (charset === undefined || charset === "utf-8")) return;
  throw new HttpError(
    415,
    "INVALID_ARGUMENT",
    "UNSUPPORTED_MEDIA_TYPE",
    `POST takes JSON in UTF-8, without a Content-Encoding. Send "Content-Type: ${JSON_TYPE}".`,
    { headers: { Accept: JSON_TYPE } },
  );
}
