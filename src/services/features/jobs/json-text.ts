/** Stands for a text that is not JSON: no check takes it for a value. */
export const NOT_JSON: unique symbol = Symbol("not JSON");

/** The value of a JSON text, or `otherwise` where it is none. */
export function parseJson<T>(text: string, otherwise: T): unknown | T {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return otherwise;
  }
}
