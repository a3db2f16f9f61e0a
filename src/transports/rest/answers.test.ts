import { afterAll, beforeAll, expect, test } from "vitest";
import { ERROR_CODES } from "../../core/errors.ts";
import { STATUS_BY_CODE } from "../http/status.ts";
import { type RestFixture, startFixture } from "./test-fixture.ts";

const THINGS = "/v1/namespaces/a/things";
const CONSOLE = "https://console.example.com";
let fixture: RestFixture;

beforeAll(async () => {
  fixture = await startFixture({
    corsOrigins: [CONSOLE],
    metrics: async () => ({ contentType: "text/plain; version=0.0.4; charset=utf-8", text: "up 1\n" }),
  });
});
afterAll(() => fixture.transport.stop(0));

async function call(path: string, init: RequestInit = {}) {
  const answer = await fetch(fixture.url + path, init);
  const text = await answer.text();
  return { answer, status: answer.status, headers: answer.headers, text, body: text ? JSON.parse(text) : undefined };
}

test("the query becomes what the schema wants", async () => {
  const query = "pageSize=7&states=READY&states=DONE&labels[team]=a%26b&labels[x.y/z]=1&deep=true&query=a+b";
  const { body } = await call(`${THINGS}?${query}`);
  expect(body.echo).toEqual({
    namespace: "a",
    pageSize: 7,
    states: ["READY", "DONE"],
    labels: { team: "a&b", "x.y/z": "1" },
    deep: true,
    query: "a b",
  });
});

test("ids hold colons and slashes", async () => {
  expect((await call(`${THINGS}/a%2Fb:c%3Acancel`)).body.thingId).toBe("a/b:c:cancel");
  const { body } = await call(`${THINGS}/a:b:cancel`, { method: "POST" });
  expect(body.echo).toEqual({ namespace: "a", thingId: "a:b", verb: "/{thingId}:cancel" });
});

test("DELETE reads its query, its body, or both where they agree", async () => {
  expect((await call(`${THINGS}/x?force=true`, { method: "DELETE" })).body.echo.force).toBe(true);
  const init = { method: "DELETE", headers: { "content-type": "application/json" }, body: '{"force":true}' };
  expect((await call(`${THINGS}/x`, init)).body.echo.force).toBe(true);
  expect((await call(`${THINGS}/x?force=false`, init)).body.errors[0].field).toBe("force");
});

test.each(ERROR_CODES)("%s is a problem with its status", async (code) => {
  const { status, headers, body } = await call(`/v1/fail/${code}?`, { headers: { "x-request-id": "mine-1" } });
  expect(status).toBe(STATUS_BY_CODE[code]);
  expect(body).toEqual({
    type: "urn:tarl:error:FIXTURE_REASON",
    title: expect.any(String),
    status,
    detail: "A fixture failed.",
    instance: `/v1/fail/${code}`,
    code,
    reason: "FIXTURE_REASON",
    retryAfterMs: 1200,
    requestId: "mine-1",
  });
  expect(headers.get("content-type")).toBe("application/problem+json");
  expect(headers.get("retry-after")).toBe("2");
  expect(headers.get("ratelimit")).toBe('"namespace";r=41;t=13');
  expect(headers.get("www-authenticate")).toBe(code === "UNAUTHENTICATED" ? 'Bearer realm="tarl-gateway"' : null);
});

test("headers become the incoming call", async () => {
  await call(THINGS, {
    headers: {
      authorization: "Bearer k",
      "idempotency-key": '"a \\"b\\""',
      traceparent: "00-1-2-01",
      "x-request-timeout-ms": "1500",
      "x-request-id": "r-1",
    },
  });
  expect(fixture.calls.at(-1)?.incoming).toEqual({
    protocol: "rest",
    authorization: "Bearer k",
    idempotencyKey: 'a "b"',
    traceparent: "00-1-2-01",
    tracestate: undefined,
    timeoutMs: 1500,
    peer: "127.0.0.1",
    requestId: "r-1",
  });
  await call(THINGS, { headers: { "idempotency-key": "bare-key" } });
  expect(fixture.calls.at(-1)?.incoming.idempotencyKey).toBe("bare-key");
});

test("a request id is made where none or an unfit one comes", async () => {
  expect((await call(THINGS, { headers: { "x-request-id": "r-2" } })).headers.get("x-request-id")).toBe("r-2");
  const made = (await call(THINGS, { headers: { "x-request-id": "no spaces please" } })).headers.get("x-request-id");
  expect(made).toMatch(/^[0-9a-f-]{36}$/);
});

test("an answer says where the rate limit stands", async () => {
  const { headers } = await call(THINGS);
  expect(headers.get("ratelimit-policy")).toBe('"namespace";q=100;w=60');
  expect(headers.get("ratelimit")).toBe('"namespace";r=41;t=13');
});

test("a read with a version answers 304 to who has it", async () => {
  const first = await call(`${THINGS}/x`);
  expect(first.headers.get("etag")).toBe('W/"v7"');
  for (const known of ['W/"v7"', '"v7"', '"v1", W/"v7"', "*"]) {
    const again = await call(`${THINGS}/x`, { headers: { "if-none-match": known } });
    expect([again.status, again.text]).toEqual([304, ""]);
  }
  expect((await call(`${THINGS}/x`, { headers: { "if-none-match": '"v6"' } })).status).toBe(200);
});

test("HEAD is GET without its body", async () => {
  const { status, headers, text } = await call(`${THINGS}/x`, { method: "HEAD" });
  expect([status, text, headers.get("content-length")]).toEqual([200, "", "27"]);
});

test("OPTIONS says what is offered, and lets listed origins in", async () => {
  const preflight = { "access-control-request-method": "POST" };
  const listed = await call(THINGS, { method: "OPTIONS", headers: { ...preflight, origin: CONSOLE } });
  expect(listed.status).toBe(204);
  expect(listed.headers.get("allow")).toBe("GET, HEAD, OPTIONS, POST");
  expect(listed.headers.get("access-control-allow-origin")).toBe(CONSOLE);
  expect(listed.headers.get("access-control-allow-methods")).toContain("POST");
  const other = await call(THINGS, { method: "OPTIONS", headers: { ...preflight, origin: "https://evil.example" } });
  expect(other.headers.get("access-control-allow-origin")).toBeNull();
  expect(other.headers.get("vary")).toBe("Origin");
});

test("a client that goes away aborts its call", async () => {
  const callsBefore = fixture.calls.length;
  const leaving = new AbortController();
  const answer = fetch(`${fixture.url}/v1/wait`, { method: "POST", signal: leaving.signal }).catch(() => "left");
  await expect.poll(() => fixture.calls.length).toBe(callsBefore + 1);
  const waiting = fixture.calls.at(-1)!;
  leaving.abort();
  expect(await answer).toBe("left");
  await expect.poll(() => waiting.abortReason?.reason).toBe("CLIENT_CLOSED");
});

test("pages: documents, probes and metrics", async () => {
  expect((await call("/openapi.json")).body.openapi).toBe("3.1.0");
  expect((await call("/livez")).body).toEqual({ status: "SERVING" });
  const ready = await call("/readyz");
  expect([ready.status, ready.body]).toEqual([503, { status: "NOT_SERVING", checks: { database: "down" } }]);
  const metrics = await fetch(`${fixture.url}/metrics`);
  expect(metrics.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(await metrics.text()).toBe("up 1\n");
});

test("the docs page loads only what the gateway serves", async () => {
  for (const path of ["/", "/docs"]) {
    const page = await fetch(fixture.url + path);
    const html = await page.text();
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(html).not.toMatch(/(src|href)="(https?:)?\/\//);
    for (const [, address] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
      const linked = await fetch(new URL(address!, fixture.url + path));
      expect([address, linked.status === 503 ? 200 : linked.status]).toEqual([address, 200]);
      await linked.arrayBuffer();
    }
  }
});
