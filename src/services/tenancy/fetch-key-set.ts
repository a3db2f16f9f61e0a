import type { JSONWebKeySet } from "jose";

const TIMEOUT_MS = 5000;
const MAX_BYTES = 1024 * 1024;
const MAX_KEYS = 256;

/** Fetches a JSON Web Key Set. Nothing that the other side answers is read without bound, nor a redirect followed. */
export async function fetchKeySet(url: string): Promise<JSONWebKeySet> {
  const response = await fetch(url, {
    redirect: "manual",
    headers: { accept: "application/json, application/jwk-set+json" },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new Error(`The keys were answered with status ${response.status}, not 200.`);
  }
  const set: unknown = JSON.parse(await readText(response));
  if (!isKeySet(set)) throw new Error("The answer is no JSON Web Key Set: an object with a list `keys` of objects.");
  if (set.keys.length > MAX_KEYS) throw new Error(`The answer holds more than ${MAX_KEYS} keys.`);
  return set;
}

async function readText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  // Leaving the loop early ends the connection.
  for await (const chunk of body ?? []) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAX_BYTES) throw new Error(`The answer is larger than ${MAX_BYTES} bytes.`);
    chunks.push(chunk);
  }
  return new TextDecoder().decode(Buffer.concat(chunks));
}

function isKeySet(value: unknown): value is JSONWebKeySet {
  if (!isObject(value) || !("keys" in value)) return false;
  return Array.isArray(value.keys) && value.keys.every(isObject);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
