import { expect, test } from "vitest";
import { z } from "zod";
import { operation } from "../core/operation.ts";
import { instant, message, namespaceField } from "../core/schema.ts";
import { emitGraphql } from "./emit-graphql.ts";
import { emitOpenapi } from "./emit-openapi.ts";
import { emitProto } from "./emit-proto.ts";
import { createGrpcCodec } from "./grpc-codec.ts";
import { checkOperations } from "./registry.ts";

const Sample = message("Sample", "A sample.", { x: z.number().describe("X.") });
const sparse = {
  numbers: z.array(z.number().nullable()).describe("Numbers."),
  texts: z.array(z.string().nullable()).describe("Texts."),
  times: z.array(instant("A time.").nullable()).describe("Times."),
  samples: z.array(Sample.nullable()).describe("Samples."),
};
const getSeries = operation({
  name: "series.get",
  summary: "Answers a series.",
  rest: "POST /v1/namespaces/{namespace}/series:get",
  grpc: "SeriesService/GetSeries",
  graphql: "query series",
  permission: "",
  input: message("GetSeriesRequest", "Which.", { namespace: namespaceField }),
  output: message("GetSeriesResponse", "The series.", sparse),
  handle: () => ({ numbers: [], texts: [], times: [], samples: [] }),
});

test("items of lists in answers may be null, and are zeros in proto", () => {
  const { toMessage } = createGrpcCodec([getSeries]).output(getSeries);
  const time = "2027-01-31T09:30:00.000Z";
  expect(toMessage({ numbers: [1, null], texts: [null, "t"], times: [time, null], samples: [null, { x: 1 }] })).toEqual(
    {
      numbers: [1, 0],
      texts: ["", "t"],
      times: [{ seconds: 1801387800, nanos: 0 }, {}],
      samples: [{}, { x: 1 }],
    },
  );
  const full = { numbers: [1, 2], texts: [], times: [], samples: [] };
  expect(toMessage(full).numbers).toBe(full.numbers);
});

test("each contract says what it can of them, and a POST may be a read", () => {
  const model = checkOperations([getSeries]);
  expect([...emitProto(model, []).values()].join("\n")).toContain("repeated double numbers = 1;");
  expect([...emitProto(model, []).values()].join("\n")).toContain("option idempotency_level = NO_SIDE_EFFECTS;");
  expect(emitGraphql(model, [])).toContain("numbers: [Float]!");
  expect(emitGraphql(model, [])).toContain("type Query {");
  const document = JSON.parse(emitOpenapi(model, "1.0.0"));
  expect(document.components.schemas.GetSeriesResponse.properties.numbers.items).toEqual({
    anyOf: [{ type: "number", format: "double" }, { type: "null" }],
  });
});
