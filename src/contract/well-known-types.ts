import type { Json } from "../core/json.ts";

/** google.protobuf.Timestamp as @grpc/proto-loader gives and takes it. */
export interface ProtoTimestamp {
  seconds?: number;
  nanos?: number;
}

const NANOS_PER_MICRO = 1_000;
const NANOS_PER_MS = 1_000_000;
const NANOS_PER_SECOND = 1_000_000_000;
/** The instants that a JavaScript Date can hold. */
const MAX_DATE_MS = 8.64e15;

/**
 * To RFC 3339 in UTC with milliseconds, or with microseconds where there are any; what is finer is
 * cut off. What is no instant becomes a text that validation refuses.
 */
export function timestampToText({ seconds = 0, nanos = 0 }: ProtoTimestamp): string {
  const ms = seconds * 1000 + Math.floor(nanos / NANOS_PER_MS);
  if (nanos < 0 || nanos >= NANOS_PER_SECOND || Math.abs(ms) > MAX_DATE_MS) return `${seconds}s ${nanos}ns`;
  const text = new Date(ms).toISOString();
  const micros = Math.floor((nanos % NANOS_PER_MS) / NANOS_PER_MICRO);
  return micros === 0 ? text : `${text.slice(0, -1)}${String(micros).padStart(3, "0")}Z`;
}

/** The digits of a second's fraction that a Date does not keep: the fourth to the sixth. */
const MICROS = /\.\d{3}(\d{1,3})/;

/** From RFC 3339; what is finer than a microsecond is cut off. */
export function timestampFromText(text: unknown): ProtoTimestamp {
  const ms = typeof text === "string" ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new TypeError(`"${String(text)}" is not an RFC 3339 time.`);
  const seconds = Math.floor(ms / 1000);
  const micros = MICROS.exec(text as string)?.[1]?.padEnd(3, "0") ?? "0";
  return { seconds, nanos: (ms - seconds * 1000) * NANOS_PER_MS + Number(micros) * NANOS_PER_MICRO };
}

/** google.protobuf.Value as @grpc/proto-loader gives and takes it: one of these is set. */
export interface ProtoValue {
  nullValue?: string | number;
  numberValue?: number;
  stringValue?: string;
  boolValue?: boolean;
  structValue?: { fields?: Record<string, ProtoValue> };
  listValue?: { values?: ProtoValue[] };
}

/**
 * To JSON. NaN and infinities stay the numbers they are, and a Value that says nothing becomes
 * undefined: validation refuses both. The recursion is bounded by protobuf's own limit of 100 levels.
 */
export function valueToJson(value: ProtoValue): Json | undefined {
  if (value.stringValue !== undefined) return value.stringValue;
  if (value.numberValue !== undefined) return value.numberValue;
  if (value.boolValue !== undefined) return value.boolValue;
  if (value.structValue !== undefined) {
    const object: Record<string, Json> = {};
    const { fields } = value.structValue;
    if (fields) for (const key of Object.keys(fields)) setOwn(object, key, valueToJson(fields[key]!) as Json);
    return object;
  }
  if (value.listValue !== undefined) return (value.listValue.values ?? []).map(valueToJson) as Json[];
  if (value.nullValue !== undefined) return null;
  return undefined;
}

/** From JSON. Members that are undefined are left out, as JSON.stringify does. */
export function valueFromJson(json: unknown): ProtoValue {
  switch (typeof json) {
    case "string":
      return { stringValue: json };
    case "number":
      return { numberValue: json };
    case "boolean":
      return { boolValue: json };
    case "object": {
      if (json === null) return { nullValue: 0 };
      if (Array.isArray(json)) return { listValue: { values: json.map(valueFromJson) } };
      const fields: Record<string, ProtoValue> = {};
      for (const key of Object.keys(json)) {
        const member = (json as Record<string, unknown>)[key];
        if (member !== undefined) setOwn(fields, key, valueFromJson(member));
      }
      return { structValue: { fields } };
    }
    default:
      return { nullValue: 0 };
  }
}

/** Sets a key that a client chose, so that `__proto__` is a key like any other. */
export function setOwn<Value>(object: Record<string, Value>, key: string, value: Value): void {
  if (key === "__proto__") {
    Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
  } else {
    object[key] = value;
  }
}
