import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { buildSchema, isInputObjectType, isObjectType } from "graphql";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { AnyOperation } from "../core/operation.ts";
import { operation } from "../core/operation.ts";
import { enumeration, message } from "../core/schema.ts";
import { emitContract } from "./emit-contract.ts";
import { fixtureEdges, fixtureOperations, fixtureServices } from "./testing/fixture.ts";

const root = resolve(import.meta.dirname, "../..");

function emit(operations: readonly AnyOperation[] = fixtureOperations, committedProtos: readonly string[] = []) {
  const edges = operations === fixtureOperations ? fixtureEdges : [];
  return emitContract({ operations, edges, services: fixtureServices, version: "1.2.3", committedProtos });
}

function protosOf(files: ReadonlyMap<string, string>): string[] {
  return [...files].filter(([path]) => path.endsWith(".proto")).map(([, text]) => text);
}

function note(fields: z.ZodRawShape): AnyOperation {
  const Note = message("Note", "A note.", fields);
  return operation({
    name: "notes.get",
    summary: "Gets a note.",
    rest: "POST /v1/notes:find",
    grpc: "NoteService/FindNote",
    graphql: "mutation findNote",
    permission: "",
    input: Note,
    output: Note,
    handle: () => ({}),
  });
}

const noteProto = (fields: z.ZodRawShape, committed: readonly string[] = []) =>
  emit([note(fields)], committed).get("protos/tarl/v1/note_service.proto")!;

describe("the emitted contract", () => {
  it("is the same each time, also when it reads back what it wrote", () => {
    const first = emit();
    expect(emit(fixtureOperations, protosOf(first))).toEqual(first);
  });

  it("passes buf lint", () => {
    const folder = mkdtempSync(join(tmpdir(), "tarl-protos-"));
    try {
      for (const [path, text] of emit()) {
        mkdirSync(dirname(join(folder, path)), { recursive: true });
        writeFileSync(join(folder, path), text);
      }
      cpSync(join(root, "protos/buf.yaml"), join(folder, "protos/buf.yaml"));
      const buf = spawnSync(join(root, "node_modules/.bin/buf"), ["lint", "protos"], { cwd: folder, encoding: "utf8" });
      expect(buf.stdout + buf.stderr).toBe("");
      expect(buf.status).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("writes every row of the table into proto", () => {
    const proto = emit().get("protos/tarl/v1/job_service.proto")!;
    for (const line of [
      "  string id = 1;",
      "  optional string worker_id = 3;",
      "  repeated string parent_ids = 4;",
      "  JobPriority priority = 5;",
      "  int64 fence = 7;",
      "  int32 attempt = 8;",
      "  optional double progress = 9;",
      "  google.protobuf.Value payload = 11;",
      "  map<string, string> labels = 14;",
      "  optional bytes checksum = 16;",
      // Field authorisation may leave it out, so it has to be able to be absent.
      "  optional string secret = 17;",
      "  google.protobuf.Timestamp created_at = 18;",
      "  oneof type {",
      "    JobDone job_done = 2;",
      "  rpc WatchJobs(GetJobRequest) returns (stream WatchJobsResponse) {",
      "    option idempotency_level = NO_SIDE_EFFECTS;",
      "  rpc Session(stream SessionRequest) returns (stream SessionResponse);",
    ]) {
      expect(proto).toContain(`\n${line}\n`);
    }
    const types = emit().get("protos/tarl/v1/types.proto")!;
    expect(types).toContain("JOB_PRIORITY_UNSPECIFIED = 0;\n  // It can wait.\n  JOB_PRIORITY_LOW = 1;");
  });

  it("says what services and the words of enumerations mean", () => {
    const files = emit();
    expect(files.get("protos/tarl/v1/job_service.proto")).toContain("// Jobs, and what becomes of them.\nservice JobS");
    expect(files.get("schema/schema.graphql")).toContain('  """It can wait."""\n  LOW\n  """It cannot."""\n  HIGH');
    const { tags, components } = JSON.parse(files.get("schema/openapi.json")!);
    expect(tags).toContainEqual({ name: "JobService", description: "Jobs, and what becomes of them." });
    expect(components.schemas.JobPriority.description).toBe(
      "How urgent a job is.\n\n- `LOW`: It can wait.\n- `HIGH`: It cannot.",
    );
  });

  it("refuses a service that nothing is said of", () => {
    const source = { operations: fixtureOperations, edges: fixtureEdges, version: "1", committedProtos: [] };
    expect(() => emitContract({ ...source, services: {} })).toThrow(/JobService/);
  });

  it("keeps comments within 100 columns", () => {
    const long = "word ".repeat(100).trim();
    for (const text of emit([note({ text: z.string().describe(long) })]).values()) {
      if (!text.startsWith("{")) for (const line of text.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
    }
  });
});

describe("field numbers", () => {
  const first = noteProto({ a: z.string(), b: z.string(), c: z.string() });

  it("stay with their names, and what is gone is reserved", () => {
    const second = noteProto({ d: z.string(), c: z.string(), a: z.string() }, [first]);
    expect(second).toContain('  reserved 2;\n  reserved "b";\n  string d = 4;\n  string c = 3;\n  string a = 1;');
    // What comes after is neither the reserved number nor anything reused.
    const third = noteProto({ e: z.string(), a: z.string() }, [second]);
    expect(third).toContain('  reserved 2, 3, 4;\n  reserved "b", "c", "d";\n  string e = 5;\n  string a = 1;');
  });

  it("are new for a field that comes back", () => {
    const without = noteProto({ a: z.string() }, [first]);
    expect(noteProto({ a: z.string(), b: z.string() }, [without])).toContain(
      '  reserved 2, 3;\n  reserved "c";\n  string a = 1;\n  string b = 4;',
    );
  });

  it("stay with the words of an enumeration", () => {
    const words = (...values: [string, ...string[]]) => ({ word: enumeration("Word", "A word.", values) });
    const before = noteProto(words("ONE", "TWO"));
    expect(noteProto(words("THREE", "TWO"), [before])).toContain(
      '  reserved 1;\n  reserved "WORD_ONE";\n  WORD_UNSPECIFIED = 0;\n  WORD_THREE = 3;\n  WORD_TWO = 2;',
    );
  });

  it("are kept when a message moves to the shared file", () => {
    const other: AnyOperation = {
      ...note({ c: z.string(), a: z.string() }),
      grpc: "OtherService/Find",
      name: "others.get",
    };
    const moved = { ...other, rest: "POST /v1/others:find", graphql: "mutation findOther" } as AnyOperation;
    const files = emit([note({ c: z.string(), a: z.string() }), moved], [first]);
    expect(files.get("protos/tarl/v1/types.proto")).toContain("  string c = 3;\n  string a = 1;");
  });
});

describe("the GraphQL schema", () => {
  const schema = buildSchema(emit().get("schema/schema.graphql")!);
  const fieldsOf = (name: string) => {
    const type = schema.getType(name);
    if (!isObjectType(type) && !isInputObjectType(type)) throw new Error(`${name} is no type with fields.`);
    return Object.fromEntries(Object.entries(type.getFields()).map(([field, { type }]) => [field, String(type)]));
  };

  it("writes every row of the table", () => {
    expect(fieldsOf("Job")).toMatchObject({
      id: "ID!",
      workerId: "ID",
      parentIds: "[ID!]!",
      priority: "JobPriority!",
      fence: "SafeInt!",
      attempt: "Int!",
      progress: "Float",
      payload: "JSON",
      labels: "JSON!",
      checksum: "Base64",
      secret: "String",
      createdAt: "DateTime!",
      retry: "JobRetry!",
      children: "[JobRetry!]!",
      worker: "Worker",
    });
    expect(fieldsOf("Worker").jobs).toBe("[Job!]!");
    expect(fieldsOf("PutJobInput")).toMatchObject({
      payload: "JSON!",
      priority: "JobPriority",
      retry: "JobRetryInput",
    });
    expect(fieldsOf("JobFrameInput")).toEqual({ beat: "JobBeatInput", jobDone: "JobDoneInput" });
  });

  it("gives queries flat arguments and mutations one input", () => {
    const args = (root: "Query" | "Mutation" | "Subscription", field: string) => {
      const type = schema.getType(root);
      if (!isObjectType(type)) throw new Error(`${root} is missing.`);
      return type.getFields()[field]!.args.map(({ name, type }) => `${name}: ${type}`);
    };
    expect(args("Query", "job")).toEqual(["namespace: String!", "id: ID!"]);
    expect(args("Subscription", "jobChanged")).toEqual(["namespace: String!", "id: ID!"]);
    expect(args("Mutation", "putJob")).toEqual(["input: PutJobInput!"]);
  });

  it("names an edge that leads nowhere", () => {
    const edge = { ...fixtureEdges[0]!, returns: "Nobody" };
    const source = {
      operations: fixtureOperations,
      services: fixtureServices,
      version: "1",
      committedProtos: [],
    };
    expect(() => emitContract({ ...source, edges: [edge] })).toThrow(/Nobody/);
    expect(() => emitContract({ ...source, edges: [{ ...edge, type: "Nowhere" }] })).toThrow(/Nowhere\.worker/);
  });
});

describe("the OpenAPI document", () => {
  const document = JSON.parse(emit().get("schema/openapi.json")!);
  const operationAt = (path: string, method: string) => document.paths[path][method];

  it("takes a mutation's fields from path and body", () => {
    const put = operationAt("/v1/namespaces/{namespace}/jobs", "post");
    const { properties, required, additionalProperties } = put.requestBody.content["application/json"].schema;
    expect(properties).not.toHaveProperty("namespace");
    expect(properties.kind).toMatchObject({ type: "string", minLength: 1, maxLength: 100 });
    expect(properties.priority).toMatchObject({ $ref: "#/components/schemas/JobPriority", default: "LOW" });
    expect(required).toEqual(["kind", "payload", "tags"]);
    expect(additionalProperties).toBe(false);
    expect(put.parameters).toContainEqual({ $ref: "#/components/parameters/IdempotencyKey" });
    expect(put.responses.default).toEqual({ $ref: "#/components/responses/Problem" });
  });

  it("takes a read's fields from path and query", () => {
    const { parameters } = operationAt("/v1/namespaces/{namespace}/jobs", "get");
    const named = (name: string) => parameters.find((parameter: { name?: string }) => parameter.name === name);
    expect(named("namespace")).toMatchObject({ in: "path", required: true });
    expect(named("states")).toMatchObject({ in: "query", style: "form", explode: true, schema: { type: "array" } });
    expect(named("labels")).toMatchObject({ style: "deepObject", schema: { type: "object" } });
    expect(named("pageSize")).toMatchObject({ schema: { type: "integer", minimum: 1, maximum: 100, default: 20 } });
    expect(named("pageSize").required).toBeUndefined();
  });

  it("offers a stream in both of its forms", () => {
    const { content } = operationAt("/v1/namespaces/{namespace}/jobs/{id}:watch", "get").responses["200"];
    expect(Object.keys(content)).toEqual(["text/event-stream", "application/x-ndjson"]);
  });

  it("says what is always there, and refers to nothing that is missing", () => {
    const { Job, JobRetry, JobRetryInput } = document.components.schemas;
    expect(Job.required).toContain("payload");
    expect(Job.required).not.toContain("secret");
    expect(Job.required).not.toContain("doneAt");
    expect(JobRetry.required).toEqual(["maxAttempts"]);
    expect(JobRetryInput.required).toBeUndefined();
    const references = [...JSON.stringify(document).matchAll(/"#\/components\/(\w+)\/(\w+)"/g)];
    expect(references.length).toBeGreaterThan(20);
    for (const [, kind, name] of references) expect(document.components[kind!]).toHaveProperty(name!);
  });
});
