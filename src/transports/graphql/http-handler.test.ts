import { request as httpRequest } from "node:http";
import { getIntrospectionQuery } from "graphql";
import { serverAudits } from "graphql-http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AppError } from "../../core/errors.ts";
import { type Fixture, startFixture, until } from "./fixture.ts";

const ownerBatches: number[] = [];
let fixture: Fixture;

beforeAll(async () => {
  fixture = await startFixture(
    {
      async ownersOf(dogs) {
        ownerBatches.push(dogs.length);
        return dogs.map(({ name, namespace }) =>
          name === "dog-1"
            ? new AppError("NOT_FOUND", "OWNER_LOST", "It ran away.")
            : { name, namespace, phone: "555" },
        );
      },
    },
    { limits: { maxBodyBytes: 100_000 } },
  );
});
afterAll(() => fixture.transport.stop(1_000));

describe("GraphQL over HTTP", () => {
  it("passes every audit of graphql-http", async () => {
    const audits = serverAudits({ url: fixture.url });
    const failed: string[] = [];
    for (const audit of audits) {
      const result = await audit.fn();
      if (result.status !== "ok") failed.push(`${audit.name}: ${result.reason}`);
    }
    expect(failed).toEqual([]);
    expect(audits.length).toBeGreaterThanOrEqual(60);
  });

  it("calls the operation for each top-level field, with what the headers said", async () => {
    const before = fixture.calls.length;
    const { body, headers } = await fixture.post(
      "{ ping { ok } again: ping { ok } }",
      {},
      {
        authorization: "Bearer all",
        "x-request-id": "mine-1",
        "x-request-timeout-ms": "1500",
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      },
    );
    expect(body).toEqual({ data: { ping: { ok: true }, again: { ok: true } } });
    const calls = fixture.calls.slice(before);
    expect(calls).toHaveLength(2);
    expect(calls[1]!.incoming).toMatchObject({
      protocol: "graphql",
      authorization: "Bearer all",
      requestId: "mine-1",
      timeoutMs: 1500,
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      idempotencyKey: undefined,
    });
    expect(headers.get("x-request-id")).toBe("mine-1");
    expect(headers.get("ratelimit-policy")).toBe('"namespace";q=100;w=60');
    expect(headers.get("ratelimit")).toMatch(/^"namespace";r=-?\d+;t=30$/);
  });

  it("answers queries on GET and refuses mutations there", async () => {
    const get = (query: string) => fetch(`${fixture.url}?query=${encodeURIComponent(query)}`);
    expect(await (await get("{ ping { ok } }")).json()).toEqual({ data: { ping: { ok: true } } });
    const refused = await get("mutation { __typename }");
    expect(refused.status).toBe(405);
    expect(refused.headers.get("allow")).toBe("POST");
  });

  it("takes JSON alone, so that no form of another site can send anything", async () => {
    const body = JSON.stringify({ query: "{ ping { ok } }" });
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]) {
      const answer = await fetch(fixture.url, { method: "POST", headers: { "content-type": type }, body });
      expect(answer.status, type).toBe(415);
    }
  });

  it("says in one shape what was wrong", async () => {
    const { status, body, headers } = await fixture.post(
      'mutation { givePresent(input: { namespace: "kennel", dog: "busy", present: { toy: { colour: "red" } } }) { received } }',
    );
    expect(status).toBe(200);
    expect(body.data).toEqual({ givePresent: null });
    expect(body.errors[0]).toMatchObject({
      message: "The dog is busy. Come back later.",
      path: ["givePresent"],
      extensions: {
        code: "RESOURCE_EXHAUSTED",
        reason: "DOG_BUSY",
        retryAfterMs: 1500,
        details: { quota: { subject: "dogs/busy", description: "one present at a time" } },
        requestId: headers.get("x-request-id"),
      },
    });
    expect(headers.get("retry-after")).toBe("2");
  });

  it("names the field that the operation's schema refused", async () => {
    const { body } = await fixture.post('{ listDogs(namespace: "Not A Name", pageSize: 0) { dogs { name } } }');
    const { code, reason, details } = body.errors[0].extensions;
    expect([code, reason]).toEqual(["INVALID_ARGUMENT", "INVALID_ARGUMENT"]);
    expect(details.errors.map(({ field }: { field: string }) => field)).toEqual(["namespace", "pageSize"]);
  });

  it.each([
    ["{", "GRAPHQL_PARSE_FAILED"],
    ["{ nothing }", "GRAPHQL_VALIDATION_FAILED"],
    ["query A { ping { ok } } query B { ping { ok } }", "GRAPHQL_UNKNOWN_OPERATION"],
  ])("refuses %s with a code and a reason", async (query, reason) => {
    const { body } = await fixture.post(query);
    expect(body.data).toBeUndefined();
    expect(body.errors[0].extensions).toMatchObject({ code: "INVALID_ARGUMENT", reason });
  });

  it("names the field behind a variable of the wrong type", async () => {
    const query = "mutation ($given: GivePresentInput!) { givePresent(input: $given) { received } }";
    const given = { namespace: "kennel", dog: "rex", present: { bone: { weight: "heavy" } } };
    const { body } = await fixture.post(query, { variables: { given } });
    expect(body.errors[0].extensions).toMatchObject({
      code: "INVALID_ARGUMENT",
      reason: "INVALID_ARGUMENT",
      details: { errors: [{ field: "present.bone.weight" }] },
    });
    const long = await fixture.post(query, { variables: { given: { ...given, dog: Array(5_000).fill(7) } } });
    expect(JSON.stringify(long.body).length).toBeLessThan(5_000);
    const missing = await fixture.post("query ($n: String!) { listDogs(namespace: $n) { dogs { name } } }");
    expect(missing.body.errors[0].extensions.details.errors[0].field).toBe("namespace");
  });

  it("takes null for absent, keeps nulls inside JSON, and tags what @oneOf names", async () => {
    const query =
      "mutation ($input: GivePresentInput!) { givePresent(input: $input) { received present { __typename ... on Bone { weight } } } }";
    const note = { a: null, b: [null, { c: null }] };
    const { body } = await fixture.post(query, {
      variables: { input: { namespace: "kennel", dog: "rex", wrapping: null, note, present: { bone: { weight: 2 } } } },
    });
    expect(body).toEqual({
      data: {
        givePresent: {
          received: { namespace: "kennel", dog: "rex", note, present: { type: "BONE", weight: 2 } },
          present: { __typename: "Bone", weight: 2 },
        },
      },
    });
  });

  it("gives each mutation of a request its own idempotency key", async () => {
    const give =
      'givePresent(input: { namespace: "kennel", dog: "rex", present: { bone: { weight: 1 } } }) { idempotencyKey }';
    const alone = await fixture.post(
      `mutation { ${give} }`,
      {},
      { authorization: "Bearer all", "idempotency-key": "k1" },
    );
    expect(alone.body.data.givePresent.idempotencyKey).toBe("k1");
    const both = await fixture.post(`mutation { a: ${give} b: ${give} }`, { extensions: { idempotencyKey: "k2" } });
    expect(both.body.data).toEqual({ a: { idempotencyKey: "k2:a" }, b: { idempotencyKey: "k2:b" } });
    const twice = await fixture.post(
      `mutation { ${give} }`,
      { extensions: { idempotencyKey: "other" } },
      { authorization: "Bearer all", "idempotency-key": "k1" },
    );
    expect(twice.status).toBe(400);
  });

  it("loads a relation once for all parents, and fails it for one alone", async () => {
    ownerBatches.length = 0;
    const { body } = await fixture.post(
      '{ listDogs(namespace: "kennel", pageSize: 3) { dogs { name owner { name } } } }',
    );
    expect(ownerBatches).toEqual([3]);
    expect(body.data.listDogs.dogs.map(({ owner }: { owner: unknown }) => owner)).toEqual([
      { name: "dog-0" },
      null,
      { name: "dog-2" },
    ]);
    expect(body.errors).toMatchObject([
      { path: ["listDogs", "dogs", 1, "owner"], extensions: { code: "NOT_FOUND", reason: "OWNER_LOST" } },
    ]);
  });

  it("checks the permission of relations and of the fields they answer with", async () => {
    ownerBatches.length = 0;
    const ask = (authorization: string) =>
      fixture.post(
        '{ listDogs(namespace: "kennel", pageSize: 1) { dogs { name owner { name phone } } } }',
        {},
        { authorization },
      );
    const dogOf = async (authorization: string) => (await ask(authorization)).body.data.listDogs.dogs[0];
    expect(await dogOf("Bearer all")).toEqual({ name: "dog-0", owner: { name: "dog-0", phone: "555" } });
    expect(await dogOf("Bearer owners")).toEqual({ name: "dog-0", owner: { name: "dog-0", phone: null } });
    expect(ownerBatches).toEqual([1, 1]);
    const { body } = await ask("Bearer dogs");
    expect(body.data.listDogs.dogs).toEqual([{ name: "dog-0", owner: null }]);
    expect(body.errors[0].extensions).toMatchObject({ code: "PERMISSION_DENIED", reason: "PERMISSION_DENIED" });
    expect(ownerBatches).toEqual([1, 1]);
  });

  it("masks bugs and writes them to the log", async () => {
    fixture.logged.length = 0;
    const { body } = await fixture.post("{ listOwners { owners { name } } }");
    expect(body.errors[0].extensions).toMatchObject({ code: "INTERNAL", reason: "INTERNAL" });
    expect(JSON.stringify(body)).not.toContain("non-nullable");
    expect(String((fixture.logged[0] as { err: Error }).err)).toContain("non-nullable");
  });

  it("refuses bodies over the limit, batches and unknown parameters", async () => {
    const post = (body: string) =>
      fetch(fixture.url, { method: "POST", headers: { "content-type": "application/json" }, body });
    const large = await post(JSON.stringify({ query: `{ ping { ok } } #${"x".repeat(200_000)}` }));
    expect(large.status).toBe(413);
    const batch = await post(JSON.stringify([{ query: "{ ping { ok } }" }, { query: "{ ping { ok } }" }]));
    expect(batch.status).toBe(400);
    expect(await batch.json()).toMatchObject({
      errors: [
        { extensions: { reason: "GRAPHQL_BATCH_TOO_LARGE", details: { metadata: { limit: "1", actual: "2" } } } },
      ],
    });
    const unknown = await post(JSON.stringify({ query: "{ ping { ok } }", id: 1 }));
    expect(await unknown.json()).toMatchObject({
      errors: [{ extensions: { details: { errors: [{ field: "id" }] } } }],
    });
  });

  it("aborts the call when the client goes away", async () => {
    let isAborted = false;
    const hanging = await startFixture({
      ping: (call) =>
        new Promise((_resolve, reject) => {
          call.onAbort((reason) => {
            isAborted = reason.reason === "CLIENT_CLOSED";
            reject(reason);
          });
        }),
    });
    const request = httpRequest(hanging.url, { method: "POST", headers: { "content-type": "application/json" } });
    request.on("error", () => {});
    request.end(JSON.stringify({ query: "{ ping { ok } }" }));
    await until(() => hanging.calls.length === 1, "the call arrives");
    request.destroy();
    await until(() => isAborted, "the call is aborted");
    await hanging.transport.stop(1_000);
  });

  it("tells what is late at a stop that the gateway stops, before the stop's deadline", async () => {
    const hanging = await startFixture({ ping: (call) => new Promise((_, reject) => call.onAbort(reject)) });
    const answer = hanging.post("{ ping { ok } }");
    await until(() => hanging.calls.length === 1, "the call arrives");
    const stoppedAt = performance.now();
    await hanging.transport.stop(300);
    expect(performance.now() - stoppedAt).toBeLessThan(400);
    expect((await answer).body.errors[0].extensions).toMatchObject({
      code: "UNAVAILABLE",
      reason: "GATEWAY_DRAINING",
      retryAfterMs: 1_000,
    });
  });

  it("serves GraphiQL that asks nobody else for anything", async () => {
    const page = await fetch(fixture.url, { headers: { accept: "text/html,*/*" } });
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    const html = await page.text();
    expect(html).toContain("renderYogaGraphiQL");
    expect(html).not.toMatch(/<(script|link)[^>]+(src|href)="https?:/);
  });
});

describe("the limits of a query", () => {
  const deep = (levels: number) =>
    `{ listDogs(namespace: "k") { dogs { owner { ${"... on Owner { ".repeat(levels)} name ${"}".repeat(levels)} } } } }`;

  const costly = Array.from(
    { length: 8 },
    (_, index) => `a${index}: listDogs(namespace: "k", pageSize: 1000) { dogs { owner { name } } }`,
  ).join(" ");

  it.each([
    ["GRAPHQL_TOO_MANY_ALIASES", `{ ${Array.from({ length: 31 }, (_, i) => `a${i}: ping { ok }`).join(" ")} }`, "30"],
    ["GRAPHQL_TOO_MANY_DIRECTIVES", `{ ping { ok ${"@include(if: true) ".repeat(51)} } }`, "50"],
    ["GRAPHQL_TOO_MANY_TOKENS", `{ ${"ping { ok } ".repeat(1_300)} }`, "5000"],
    ["GRAPHQL_TOO_DEEP", `{ ${"a { ".repeat(13)} b ${"}".repeat(13)} }`, "12"],
    ["GRAPHQL_TOO_COSTLY", `{ ${costly} }`, "20000"],
    ["GRAPHQL_TOO_LONG", `{ ping { ok } } #${"x".repeat(66_000)}`, "65536"],
  ])("%s names the limit", async (reason, query, limit) => {
    const calls = fixture.calls.length;
    const { body } = await fixture.post(query);
    expect(body.errors[0].extensions).toMatchObject({
      code: "INVALID_ARGUMENT",
      reason,
      details: { metadata: { limit } },
    });
    expect(body.errors[0].message).toContain(limit);
    expect(fixture.calls.length).toBe(calls);
  });

  it("does not count fragments that only say the type as depth, and lets introspection be as deep as it is", async () => {
    expect((await fixture.post(deep(20))).body.errors?.[0]?.extensions.reason).not.toBe("GRAPHQL_TOO_DEEP");
    expect((await fixture.post(getIntrospectionQuery())).body.errors).toBeUndefined();
  });

  it("bounds introspection that goes in circles", async () => {
    const circle = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }";
    const { body } = await fixture.post(circle);
    expect(body.errors[0].extensions).toMatchObject({ code: "INVALID_ARGUMENT", reason: "GRAPHQL_TOO_DEEP" });
  });

  it("prices what variables and their defaults say", async () => {
    const query = (fallback: number) => `query ($n: Int = ${fallback}) { ${costly.replaceAll("1000", "$n")} }`;
    expect((await fixture.post(query(2))).body.errors?.[0].extensions.reason).not.toBe("GRAPHQL_TOO_COSTLY");
    for (const refused of [
      await fixture.post(query(9_999)),
      await fixture.post(query(2), { variables: { n: 9_999 } }),
    ]) {
      expect(refused.body.errors[0].extensions.reason).toBe("GRAPHQL_TOO_COSTLY");
    }
  });
});

describe("introspection", () => {
  it("asks for a credential where it is not public, and suggests no names", async () => {
    const guarded = await startFixture({}, { introspection: "authenticated" });
    const query = "{ __schema { queryType { name } } }";
    expect((await guarded.post(query, {}, {})).body.errors[0].extensions.code).toBe("UNAUTHENTICATED");
    expect((await guarded.post(query, {}, { authorization: "Bearer nobody" })).body.errors[0].extensions.code).toBe(
      "UNAUTHENTICATED",
    );
    expect((await guarded.post(query)).body).toEqual({ data: { __schema: { queryType: { name: "Query" } } } });
    expect((await guarded.post("{ pint { ok } }")).body.errors[0].message).not.toContain("Did you mean");
    await guarded.transport.stop(1_000);
  });

  it("can be off", async () => {
    const closed = await startFixture({}, { introspection: "off", graphiql: false });
    const { body } = await closed.post('{ __type(name: "Dog") { name } }');
    expect(body.errors[0].extensions).toMatchObject({ code: "PERMISSION_DENIED", reason: "INTROSPECTION_OFF" });
    expect((await closed.post("{ __typename }")).body).toEqual({ data: { __typename: "Query" } });
    await closed.transport.stop(1_000);
  });
});
