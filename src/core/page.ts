import { hash } from "node:crypto";
import { z } from "zod";
import { invalidArgument } from "./errors.ts";
import { canonicalJson, jsonProblem } from "./json.ts";

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
  .describe(
    "The `nextPageToken` of the page before of the same list, namespace and filters alike; absent or empty for the first page.",
  );

/** The field of a list's answer that holds the next page's token. */
export const nextPageTokenField = z
  .string()
  .optional()
  .describe("Send it as `pageToken` for the next page; absent on the last page.");

/** The tokens of one list. */
export interface PageTokens<Place> {
  /** Writes the place where the next page begins as an opaque token. Nothing secret may be in it: it is not encrypted. */
  encode(place: Place): string;
  /** Reads a token back, checked, because a client may send anything. Answers undefined for the first page. */
  decode(token: string | undefined): Place | undefined;
}

/** What tells one list from another: the operation, its namespace, and all that the request filters by. */
export type ListIdentity = readonly [operation: string, ...parts: unknown[]];

const MARK_CHARACTERS = 16;

/**
 * Makes and reads the tokens of one list. A token carries the mark of its list and is refused
 * anywhere else, where its place would mean something else. `field` names the input it comes in.
 */
export function createPageTokens<Place>(
  schema: z.ZodType<Place>,
  list: ListIdentity,
  field = "pageToken",
): PageTokens<Place> {
  const refused = (message: string) => invalidArgument([{ field, message }]);
  // Most requests neither bring a token nor need another.
  let mark: string | undefined;
  const markOfList = () => (mark ??= hash("sha256", canonicalJson(list), "base64url").slice(0, MARK_CHARACTERS));
  return {
    encode: (place) => Buffer.from(JSON.stringify([markOfList(), place]), "utf8").toString("base64url"),
    decode(token) {
      if (token === undefined || token === "") return undefined;
      const parsed = token.length <= MAX_TOKEN_CHARACTERS ? parseToken(token) : undefined;
      if (parsed && parsed.mark !== markOfList()) {
        throw refused(
          "comes from another list: send it with the operation, namespace and filters it was answered to; leave it out to begin this one",
        );
      }
      const place = parsed && schema.safeParse(parsed.place);
      if (!place?.success) {
        throw refused("must come from an earlier answer to the same request; leave it out to begin");
      }
      return place.data;
    },
  };
}

const TokenContent = z.tuple([z.string().length(MARK_CHARACTERS), z.unknown()]);

function parseToken(token: string): { mark: string; place: unknown } | undefined {
  try {
    const content: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    // A forged place may hold what no database can: it is no place of ours.
    if (jsonProblem(content) !== undefined) return undefined;
    const [mark, place] = TokenContent.parse(content);
    return { mark, place };
  } catch {
    return undefined;
  }
}
