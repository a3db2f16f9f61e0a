import type { z } from "zod";

/**
 * The same schema, quicker on lists of thousands: where the plain test passes every item and `isLength`
 * the list, it is taken as it is, and else zod looks at each item and says what is wrong. The tests must
 * accept nothing that the schema refuses or changes. To be called last: what is derived from the answer is slow again.
 */
export function bulkList<List extends z.ZodArray>(
  schema: List,
  isItem: (value: unknown) => boolean,
  isLength: (length: number) => boolean = () => true,
): List {
  const { run } = schema._zod;
  schema._zod.run = (payload, context) => {
    const { value } = payload;
    return Array.isArray(value) && isLength(value.length) && isEvery(value, isItem) ? payload : run(payload, context);
  };
  return schema;
}

/** `Array.every` would pass over holes. */
function isEvery(list: readonly unknown[], isItem: (value: unknown) => boolean): boolean {
  for (let index = 0; index < list.length; index++) if (!isItem(list[index])) return false;
  return true;
}
