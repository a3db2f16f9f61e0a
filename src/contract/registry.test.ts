import { describe, expect, it } from "vitest";
import { z } from "zod";
import type { AnyOperation } from "../core/operation.ts";
import { enumeration, message } from "../core/schema.ts";
import { checkOperations } from "./registry.ts";
import { fixtureOperations, getJob, getWorker, listJobs, putJob } from "./testing/fixture.ts";

function change(operation: AnyOperation, changes: Record<string, unknown>): AnyOperation {
  return { ...operation, ...changes } as AnyOperation;
}

const withInput = (shape: z.ZodRawShape) => message("Changed", "Changed.", shape);

describe("checkOperations", () => {
  it("takes what fits together", () => {
    expect(checkOperations(fixtureOperations).messages.has("Job")).toBe(true);
  });

  it.each<[string, readonly AnyOperation[], RegExp]>([
    ["a name given twice", [putJob, change(getWorker, { name: "jobs.put" })], /share the name "jobs.put"/],
    ["a method given twice", [putJob, change(getWorker, { grpc: putJob.grpc })], /gRPC method "JobService\/PutJob"/],
    ["a GraphQL field given twice", [getJob, change(getWorker, { graphql: "query job" })], /GraphQL field "query job"/],
    [
      "a route that differs only in its variables' names",
      [getJob, change(getWorker, { rest: "GET /v1/namespaces/{id}/jobs/{id2}" })],
      /share the REST route/,
    ],
    ["a path variable that is no field", [change(getWorker, { rest: "GET /v1/workers/{workerId}" })], /\{workerId\}/],
    ["a read that is a mutation", [change(getWorker, { graphql: "mutation worker" })], /must be a query/],
    ["a service without its suffix", [change(getWorker, { grpc: "Worker/Get" })], /does not end in Service/],
    [
      "a query string that would hold a message",
      [change(listJobs, { rest: "GET /v1/jobs", input: withInput({ retry: putJob.input.shape.retry }) })],
      /retry cannot be written in the query string/,
    ],
    [
      "one id for two shapes",
      [getJob, change(getWorker, { output: message("Job", "Another.", { a: z.string() }) })],
      /"Job" is used for two different shapes/,
    ],
    [
      "a name that proto would not give back",
      [change(putJob, { rest: "POST /v1/jobs", input: withInput({ callbackURL: z.string() }) })],
      /Changed\.callbackURL/,
    ],
    [
      "the word that proto needs",
      [
        change(putJob, {
          rest: "POST /v1/jobs",
          input: withInput({ word: enumeration("Word", "A word.", ["UNSPECIFIED", "ONE"]) }),
        }),
      ],
      /UNSPECIFIED/,
    ],
    [
      "a type that not every protocol has",
      [change(putJob, { rest: "POST /v1/jobs", input: withInput({ maybe: z.string().nullable() }) })],
      /jobs\.put input\.maybe: null is not in the contract's vocabulary/,
    ],
    [
      "a list of lists",
      [change(putJob, { rest: "POST /v1/jobs", input: withInput({ grid: z.array(z.array(z.string())) }) })],
      /input\.grid\[\]/,
    ],
  ])("refuses %s", (_what, operations, problem) => {
    expect(() => checkOperations(operations)).toThrow(problem);
  });

  it("names everything that is wrong at once", () => {
    const broken = [change(getWorker, { name: "Worker", grpc: "Worker/get" })];
    expect(() => checkOperations(broken)).toThrow(/domain\.verb[\s\S]*end in Service[\s\S]*PascalCase/);
  });
});
