import { z } from "zod";
import { json } from "../../../core/json.ts";
import { message } from "../../../core/schema.ts";
import { bulkList } from "./bulk-list.ts";
import type { FeatureType } from "./feature-type.ts";
import { microInstant } from "./micro-instant.ts";

const VALUES = "One for each row; null where there is none (over gRPC zero or empty, as it has no null in lists).";

function valuesOf<Type extends FeatureType, Item extends z.ZodType>(
  type: Type,
  id: string,
  item: Item,
  isItem?: (value: unknown) => boolean,
) {
  const values = z.array(item.nullable()).describe(VALUES);
  return message(id, `Values of type ${type}.`, {
    type: z.literal(type),
    values: isItem ? bulkList(values, (value) => value === null || isItem(value)) : values,
  });
}

function listOf<Item extends z.ZodType>(id: string, item: Item) {
  return message(id, "A value that is a list.", { items: z.array(item).describe("Its items.") });
}

/** The values of one feature, in a form that is as compact over gRPC as protobuf can be. */
export const FeatureValues = z
  .discriminatedUnion("type", [
    valuesOf("BOOL", "BoolValues", z.boolean(), (value) => typeof value === "boolean"),
    valuesOf("INT64", "Int64Values", z.int(), Number.isSafeInteger),
    valuesOf("DOUBLE", "DoubleValues", z.number(), Number.isFinite),
    valuesOf("STRING", "StringValues", z.string(), (value) => typeof value === "string"),
    valuesOf("BYTES", "BytesValues", z.base64()),
    valuesOf("TIMESTAMP", "TimestampValues", microInstant("A time.")),
    valuesOf("JSON", "JsonValues", json("A value.")),
    valuesOf("BOOL_LIST", "BoolListValues", listOf("BoolList", z.boolean())),
    valuesOf("INT64_LIST", "Int64ListValues", listOf("Int64List", z.int())),
    valuesOf("DOUBLE_LIST", "DoubleListValues", listOf("DoubleList", z.number())),
    valuesOf("STRING_LIST", "StringListValues", listOf("StringList", z.string())),
    valuesOf("TIMESTAMP_LIST", "TimestampListValues", listOf("TimestampList", microInstant("A time."))),
    valuesOf("VECTOR", "VectorValues", listOf("Vector", z.number())),
  ])
  .meta({ id: "FeatureValues", description: "The values of one feature, one for each row." });
export type FeatureValues = z.output<typeof FeatureValues>;
