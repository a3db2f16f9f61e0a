import { z } from "zod";
import { invalidArgument } from "./errors.ts";
import { type Json, jsonProblem } from "./json.ts";

/** A token is a place in a list, never a list: longer ones were not made by us. */
const MAX_TOKEN_CHARACTERS = 2048;

export const DEFAULT_PAGE_SIZE = 50;
export const MAX_PAGE_SIZE = 1000;

/** How many items a page may hold. */
export const pageSizeField = z
  .int()
  .min(1)
  .max(MAX_PAGE_SIZE)
  .default(DEFAULT_PAGE_SIZE)
  .describe(`How many to answer with at most, 1 to ${MAX_PAGE_SIZE}; ${DEFAULT_PAGE_SIZE} where absent.`);

/** Where to go on, as the last page said. */
export const pageTokenField = z
  .string()
  .max(MAX_TOKEN_CHARACTERS)
  .optional()
  .describe("The `nextPageToken` of the page before; absent or empty for the first page.");

/** The field of a list's answer that holds the next page's token. */
export const nextPageTokenField = z
  .string()
  .optional()
  .describe("Send it as `pageToken` for the next page; absent on the last page.");

/** Writes the place where the next page begins as an opaque token. Nothing secret may be in it: it is not encrypted. */
export function encodePageToken(place: Json): string {
  return Buffer.from(JSON.stringify(place), "utf8").toString("base64url");
}

/**
 * Reads a token back, checked by `schema`, because a client may send anything. Answers undefined
 * for the first page. `field` names the input it came from.
 */
export function decodePageToken<Place>(
  token: string | undefined,
  schema: z.ZodType<Place>,
  field = "pageToken",
): Place | undefined {
  if (token === undefined || token === "") return undefined;
  const parsed = token.length <= MAX_TOKEN_CHARACTERS ? schema.safeParse(parseToken(token)) : undefined;
  if (!parsed?.success) {
    throw invalidArgument([
      {
        field,
        message: "must come from an earlier answer to the same request; leave it out to begin",
      },
    ]);
  }
  return parsed.data;
}

function parseToken(token: string): unknown {
  try {
    const place: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    // A forged place may hold what no database can: it is no place of ours.
    return jsonProblem(place) === undefined ? place : undefined;
  } catch {
    return undefined;
  }
}
