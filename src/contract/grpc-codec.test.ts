import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadSync, type ServiceDefinition } from "@grpc/proto-loader";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AnyOperation } from "../core/operation.ts";
import { buildModel } from "./build-model.ts";
import { emitProto } from "./emit-proto.ts";
import { createGrpcCodec, type PlainObject } from "./grpc-codec.ts";
import { createMessageEncoders, type MessageEncoders } from "./message-encoder.ts";
import { splitGrpcName } from "./names.ts";
import { PROTO_LOADER_OPTIONS } from "./proto-loader-options.ts";
import { fixtureOperations, getJob, Job, listJobs, putJob, sayInSession, watchJobs } from "./testing/fixture.ts";

let directory: string;
let services: Record<string, ServiceDefinition>;
let encoderOf: MessageEncoders;
const codec = createGrpcCodec(fixtureOperations);

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "tarl-codec-"));
  const files = emitProto(buildModel(fixtureOperations), []);
  for (const [name, text] of files) {
    // The files import each other by the path they are committed under.
    writeFileSync(join(directory, name), text.replaceAll('import "tarl/v1/', 'import "'));
  }
  const loaded = loadSync([...files.keys()], { ...PROTO_LOADER_OPTIONS, includeDirs: [directory] });
  services = loaded as never;
  encoderOf = createMessageEncoders(loaded);
});
afterAll(() => rmSync(directory, { recursive: true }));

function method(operation: AnyOperation) {
  const { service, method } = splitGrpcName(operation.grpc);
  return services[`tarl.v1.${service}`]![method]!;
}

/** What the server sees of an input that a client sent, by way of the wire. */
function received(operation: AnyOperation, message: PlainObject): PlainObject {
  const wire = method(operation).requestSerialize(message);
  return codec.input(operation).fromMessage(method(operation).requestDeserialize(wire) as PlainObject);
}

function sent(operation: AnyOperation, input: PlainObject): PlainObject {
  return received(operation, codec.input(operation).toMessage(input));
}

function answered(operation: AnyOperation, output: PlainObject): PlainObject {
  const message = codec.output(operation).toMessage(output);
  const wire = method(operation).responseSerialize(message);
  // What the gateway sends is what proto-loader would have.
  expect(encoderOf(method(operation).responseType)(message)).toEqual(wire);
  return codec.output(operation).fromMessage(method(operation).responseDeserialize(wire) as PlainObject);
}

const FULL_JOB = {
  id: "0197f0d2-0000-7000-8000-000000000000",
  namespace: "default",
  workerId: "w1",
  parentIds: ["0197f0d2-0000-7000-8000-000000000001"],
  priority: "HIGH",
  priorities: ["LOW", "HIGH"],
  fence: Number.MAX_SAFE_INTEGER,
  attempt: 2,
  progress: 0.25,
  paused: true,
  payload: { a: [1, null, { b: "x", __proto_: false }], "": -0.5 },
  result: null,
  notes: [null, "n", [], {}],
  labels: { team: "ml" },
  counts: { done: 4 },
  checksum: "AAECAw==",
  secret: "s",
  createdAt: "2027-01-31T09:30:00.123Z",
  runAts: ["1970-01-01T00:00:00.000Z", "2199-12-31T23:59:59.999Z"],
  doneAt: "2027-01-31T09:30:01.000Z",
  retry: { maxAttempts: 3, backoffMs: 10 },
  children: [{ maxAttempts: 1 }],
  byName: { a: { maxAttempts: 2 } },
};

const EMPTY_JOB = {
  id: FULL_JOB.id,
  namespace: "default",
  parentIds: [],
  priority: "LOW",
  fence: 0,
  attempt: 0,
  paused: false,
  payload: "",
  notes: [],
  labels: {},
  secret: "",
  createdAt: "1970-01-01T00:00:00.000Z",
  runAts: [],
  retry: { maxAttempts: 1 },
  children: [],
  byName: {},
};

describe("the gRPC codec", () => {
  it("carries every kind of field there and back", () => {
    expect(answered(getJob, FULL_JOB)).toEqual(FULL_JOB);
    expect(Job.parse(answered(getJob, FULL_JOB))).toEqual(FULL_JOB);
  });

  it("tells zero from absent, and gives required lists and maps even when they are empty", () => {
    expect(answered(getJob, EMPTY_JOB)).toStrictEqual(EMPTY_JOB);
  });

  it("leaves absent what a client did not send", () => {
    expect(sent(putJob, { namespace: "n", kind: "k", payload: null })).toStrictEqual({
      namespace: "n",
      kind: "k",
      payload: null,
      tags: [],
    });
  });

  it("reads what proto cannot tell from absent as zero, so that validation names it", () => {
    expect(received(getJob, {})).toStrictEqual({ namespace: "", id: "" });
  });

  it("never changes the value it encodes", () => {
    const frozen = Object.freeze({ ...FULL_JOB, retry: Object.freeze({ ...FULL_JOB.retry }) });
    codec.output(getJob).toMessage(frozen);
    expect(frozen).toEqual(FULL_JOB);
  });

  it("reads UNSPECIFIED as absent and lets an unknown number through", () => {
    expect(received(putJob, { priority: "JOB_PRIORITY_UNSPECIFIED" })).not.toHaveProperty("priority");
    expect(received(putJob, { priority: 42 }).priority).toBe(42);
    expect(received(listJobs, { states: ["JOB_PRIORITY_HIGH", 42, 0] }).states).toEqual([
      "HIGH",
      42,
      "JOB_PRIORITY_UNSPECIFIED",
    ]);
  });

  it.each([["9007199254740993"], ["-9007199254740993"], ["9223372036854775807"]])(
    "does not let %s pass for a number it is not",
    (limit) => {
      const result = putJob.input.shape.limit.safeParse(received(putJob, { limit }).limit);
      expect(result.success).toBe(false);
    },
  );

  it("keeps NaN and infinities, for validation to refuse", () => {
    expect(sent(putJob, { weight: Number.NaN, payload: [Number.NaN, Number.POSITIVE_INFINITY] })).toMatchObject({
      weight: Number.NaN,
      payload: [Number.NaN, Number.POSITIVE_INFINITY],
    });
  });

  it("gives undefined for a Value that says nothing", () => {
    expect(received(putJob, { payload: {} }).payload).toBeUndefined();
    expect(received(putJob, { payload: { listValue: { values: [{}] } } }).payload).toEqual([undefined]);
  });

  it("takes any JSON that protobuf carries", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false, depthSize: "medium" }), (payload) => {
        expect(sent(putJob, { payload }).payload).toStrictEqual(payload);
      }),
      { numRuns: 200 },
    );
  });

  it("treats __proto__ as a key like any other", () => {
    const payload = JSON.parse('{"__proto__":{"polluted":1},"a":{"__proto__":"x"}}');
    const { payload: back, labels } = sent(putJob, { payload, labels: JSON.parse('{"__proto__":"l"}') });
    expect(JSON.stringify(back)).toBe(JSON.stringify(payload));
    expect(JSON.stringify(labels)).toBe('{"__proto__":"l"}');
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it("carries as deep a JSON as protobuf allows, and protobuf refuses the rest without harm", () => {
    const nested = (depth: number) => JSON.parse(`${"[".repeat(depth)}${"]".repeat(depth)}`);
    expect(sent(putJob, { payload: nested(48) }).payload).toEqual(nested(48));
    expect(() => sent(putJob, { payload: nested(64) })).toThrow(/depth/);
  });

  it.each([
    [{ seconds: 253402300800, nanos: 0 }],
    [{ seconds: Number.MAX_SAFE_INTEGER }],
    [{ seconds: 1, nanos: -1 }],
    [{ seconds: 1, nanos: 1_000_000_000 }],
  ])("gives validation a text to refuse for the timestamp %o", (runAt) => {
    const text = received(putJob, { runAt }).runAt;
    expect(typeof text).toBe("string");
    expect(putJob.input.shape.runAt.safeParse(text).success).toBe(false);
  });

  it("cuts timestamps to the microsecond, also before 1970", () => {
    expect(received(putJob, { runAt: { seconds: -1, nanos: 999_999_999 } }).runAt).toBe("1969-12-31T23:59:59.999999Z");
    expect(sent(putJob, { runAt: "2027-01-31T11:30:00.0000019+02:00" }).runAt).toBe("2027-01-31T09:30:00.000001Z");
    expect(sent(putJob, { runAt: "2027-01-31T11:30:00.5+02:00" }).runAt).toBe("2027-01-31T09:30:00.500Z");
  });

  it("turns a discriminated union into a oneof and back", () => {
    const beat = { type: "BEAT", jobId: FULL_JOB.id, at: "2027-01-31T09:30:00.000Z" };
    expect(codec.input(sayInSession).toMessage({ namespace: "n", frame: beat })).toEqual({
      namespace: "n",
      frame: { beat: { ...beat, at: { seconds: 1801387800, nanos: 0 } } },
    });
    expect(sent(sayInSession, { namespace: "n", frame: beat }).frame).toEqual(beat);
    const done = { cursor: "c", frame: { type: "JOB_DONE", result: [1] } };
    expect(answered(watchJobs, done)).toEqual(done);
    expect(received(sayInSession, { frame: {} }).frame).toEqual({});
    expect(received(sayInSession, {})).not.toHaveProperty("frame");
  });

  it("does not copy what needs no conversion", () => {
    const input = { namespace: "n", id: "i" };
    expect(codec.input(getJob).toMessage(input)).toBe(input);
    expect(codec.input(getJob).fromMessage(input)).toBe(input);
  });
});
