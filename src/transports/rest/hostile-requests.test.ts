import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RestFixture, sendRaw, startFixture } from "./test-fixture.ts";

const THINGS = "/v1/namespaces/a/things";
let fixture: RestFixture;

beforeAll(async () => {
  fixture = await startFixture({ limits: { maxBodyBytes: 1000, headersTimeoutMs: 200, requestTimeoutMs: 400 } });
});
afterAll(() => fixture.transport.stop(0));

function post(body: string | Uint8Array, headers: Record<string, string> = {}, path = THINGS): Buffer {
  const lines = Object.entries({
    Host: "x",
    Connection: "close",
    "Content-Type": "application/json",
    "Content-Length": String(Buffer.byteLength(body)),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n`), Buffer.from(body)]);
}

function get(path: string, headers = "", method = "GET"): string {
  return `${method} ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n`;
}

/** What is sent, the status it must get, and a text the answer must hold. */
const CASES: readonly [name: string, request: string | Uint8Array, status: number, holds: string][] = [
  ["an unknown body field", post('{"colour":1}'), 400, '"field":"colour"'],
  ["an unknown nested field", post('{"items":[{"name":"a","bad":1}]}'), 400, '"field":"items[0].bad"'],
  ["an unknown query parameter", get(`${THINGS}?colour=1`), 400, '"field":"colour"'],
  ["a query parameter on a POST", post("{}", {}, `${THINGS}?name=x`), 400, '"field":"name"'],
  ["a scalar parameter given twice", get(`${THINGS}?pageSize=1&pageSize=1`), 400, '"field":"pageSize"'],
  ["a label given twice", get(`${THINGS}?labels[a]=1&labels[a]=2`), 400, '"field":"labels[a]"'],
  ["a map without a key", get(`${THINGS}?labels=1`), 400, '"field":"labels"'],
  ["a parameter that is no number", get(`${THINGS}?pageSize=0x10`), 400, '"field":"pageSize"'],
  ["a parameter that is infinite", get(`${THINGS}?pageSize=1e999`), 400, '"field":"pageSize"'],
  ["a parameter that is no boolean", get(`${THINGS}?deep=yes`), 400, '"field":"deep"'],
  ["__proto__ in the query", get(`${THINGS}?__proto__=1`), 400, '"field":"__proto__"'],
  ["__proto__ as a map's key", get(`${THINGS}?labels[__proto__]=1`), 400, "labels[__proto__]"],
  ["broken percent-encoding in the query", get(`${THINGS}?query=%zz`), 400, '"field":"query"'],
  ["broken UTF-8 in the query", get(`${THINGS}?query=%ff`), 400, '"field":"query"'],
  ["broken UTF-8 in the path", get(`${THINGS}/%ff`), 400, '"field":"thingId"'],
  ["a query that disagrees with the path", get(`${THINGS}?namespace=b`), 400, '"field":"namespace"'],
  ["a body that disagrees with the path", post('{"namespace":"b"}'), 400, '"field":"namespace"'],
  ["a body that agrees with the path", post('{"namespace":"a"}'), 200, '"namespace":"a"'],
  ["a cut JSON body", post('{"name":'), 400, "position 8 (line 1, column 9): expected a value"],
  ["a JSON body with a comma too many", post('{\n"name": "x",}'), 400, "position 14 (line 2, column 13)"],
  ["an unclosed string", post('{"name":"x'), 400, "position 10 (line 1, column 11)"],
  ["a line break in a string", post('{"name":"x\ny"}'), 400, "position 10 (line 1, column 11)"],
  ["text after the JSON", post("{} x"), 400, "position 3"],
  ["NaN", post('{"payload":NaN}'), 400, "position 11"],
  ["an array as the body", post("[]"), 400, "must be a JSON object"],
  ["null as the body", post("null"), 400, "must be a JSON object"],
  ["malformed UTF-8", post(Buffer.from([0x22, 0xff, 0x22])), 400, "not valid UTF-8"],
  ["a byte order mark", post("\ufeff{}"), 400, "position 0"],
  ["an overlong UTF-8 sequence", post(Buffer.from([0x22, 0xc0, 0xaf, 0x22])), 400, "not valid UTF-8"],
  ["__proto__ in the body", post('{"__proto__":{"admin":true}}'), 400, '"field":"__proto__"'],
  ["an escaped __proto__", post('{"payload":{"a":[{"\\u005f_proto__":1}]}}'), 400, '"field":"payload.a[0].__proto__"'],
  ["constructor as a field", post('{"constructor":1}'), 400, '"field":"constructor"'],
  ["a lone surrogate in a payload", post('{"payload":"\\ud800"}'), 400, '"field":"payload"'],
  ["deep JSON", post(`{"payload":${"[".repeat(450)}${"]".repeat(450)}}`), 400, '"field":"payload"'],
  ["duplicate keys, of which the last wins", post('{"name":"x","name":"y"}'), 200, '"name":"y"'],
  ["no body at all", post("", { "Content-Type": "text/plain" }), 200, '"namespace":"a"'],
  ["a form", post("a=b", { "Content-Type": "application/x-www-form-urlencoded" }), 415, "application/json"],
  ["another charset", post("{}", { "Content-Type": "application/json; charset=utf-16" }), 415, "UTF-8"],
  ["UTF-8 named", post("{}", { "Content-Type": 'Application/JSON ; charset="UTF-8"' }), 200, "echo"],
  ["a compressed body", post("{}", { "Content-Encoding": "gzip" }), 415, "compressed"],
  ["a declared body over the limit", post("x".repeat(1001)), 413, "1000 bytes"],
  ["a long declaration without a body", post("", { "Content-Length": "99999999999" }), 413, "BODY_TOO_LARGE"],
  ["a body on a GET", get(THINGS, "Content-Length: 2\r\n").concat("{}"), 400, "UNEXPECTED_BODY"],
  ["an Accept that cannot be met", get(THINGS, "Accept: image/png\r\n"), 406, "application/json"],
  ["an Accept that refuses JSON", get(THINGS, "Accept: */*, application/json;q=0\r\n"), 406, "NOT_ACCEPTABLE"],
  ["a browser's Accept", get(THINGS, "Accept: text/html,*/*;q=0.8\r\n"), 200, "echo"],
  ["JSON asked of a stream", get(`${THINGS}:watch`, "Accept: application/json\r\n"), 406, "text/event-stream"],
  ["a wrong method", get(THINGS, "", "PUT"), 405, "Allow: GET, HEAD, OPTIONS, POST"],
  ["a wrong method on a verb", get(`${THINGS}/x:cancel`), 405, "Allow: OPTIONS, POST"],
  ["an override of the method", get(THINGS, "X-HTTP-Method-Override: DELETE\r\n"), 200, "echo"],
  ["HEAD on a stream", get(`${THINGS}:watch`, "", "HEAD"), 405, "Allow: GET, OPTIONS"],
  ["a method nobody knows", get(THINGS, "", "BREW"), 400, "MALFORMED_HTTP"],
  ["a path nobody knows", get("/v1/nothing"), 404, "PATH_NOT_FOUND"],
  ["a path that climbs", get("/docs/../../etc/passwd"), 404, "PATH_NOT_FOUND"],
  ["a path that climbs in disguise", get("/docs/%2e%2e%2fpackage.json"), 404, "PATH_NOT_FOUND"],
  ["a page's path that cannot be decoded", get("/docs/%"), 404, "PATH_NOT_FOUND"],
  ["an empty id", get(`${THINGS}/`), 404, "PATH_NOT_FOUND"],
  ["a POST to a page", post("{}", {}, "/docs"), 405, "Allow: GET, HEAD, OPTIONS"],
  ["a long URL", get(`${THINGS}?query=${"x".repeat(9000)}`), 414, "URL_TOO_LONG"],
  ["large headers", get(THINGS, `X-Large: ${"x".repeat(20_000)}\r\n`), 431, "HEADERS_TOO_LARGE"],
  ["no HTTP", "hello\r\n\r\n", 400, "MALFORMED_HTTP"],
  [
    "two lengths",
    `POST ${THINGS} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
    400,
    "MALFORMED",
  ],
  [
    "a length and chunks",
    `POST ${THINGS} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    400,
    "MALFORMED_HTTP",
  ],
  ["an unusable timeout", get(THINGS, "X-Request-Timeout-Ms: -5\r\n"), 400, "X-Request-Timeout-Ms"],
  ["two idempotency keys", get(THINGS, 'Idempotency-Key: "a"\r\nIdempotency-Key: "b"\r\n'), 400, "Idempotency-Key"],
  ["the whole URL as the target", get(`http://elsewhere${THINGS}`), 200, "echo"],
];

describe("hostile requests", () => {
  test.each(CASES)("%s", async (_name, request, status, holds) => {
    const answer = await sendRaw(fixture.port, request);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toContain(holds);
    if (status >= 400) expect(answer).toContain("Content-Type: application/problem+json");
  });

  test("leave no trace on prototypes", () => {
    expect(({} as { admin?: unknown }).admin).toBeUndefined();
  });

  test("a chunked body over the limit is cut while the client still sends", async () => {
    const socket = connect(fixture.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.write(
      `POST ${THINGS} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`,
    );
    const chunk = `1000\r\n${"x".repeat(4096)}\r\n`;
    const closed = new Promise((resolve) => socket.once("close", resolve));
    let answer = "";
    socket.on("data", (data) => {
      answer += data;
    });
    let isClosed = false;
    void closed.then(() => {
      isClosed = true;
    });
    let sentBytes = 0;
    // Endless, were it not for the server: it must close on a client that never stops.
    while (!isClosed) {
      if (!socket.write(chunk)) {
        await Promise.race([new Promise((resolve) => socket.once("drain", resolve)), closed]);
      } else await new Promise(setImmediate);
      sentBytes += chunk.length;
    }
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
    expect(answer.split("\r\n\r\n")[0]).toContain("Connection: close");
    expect(sentBytes).toBeLessThan(64 * 1024 * 1024);
  });

  test("a body that would be refused is not asked for, and another is", async () => {
    const expecting = { Expect: "100-continue" };
    const refused = await sendRaw(fixture.port, post("", { ...expecting, "Content-Length": "5000" }));
    expect(refused).toMatch(/^HTTP\/1.1 413 /);
    const asked = await sendRaw(fixture.port, post("{}", expecting));
    expect(asked).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 200 /);
  });

  test("a client that dribbles its headers is cut off", async () => {
    expect(await sendRaw(fixture.port, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow:")).toMatch(/^HTTP\/1.1 408 /);
  });

  test("a client that dribbles its body is cut off", async () => {
    expect(await sendRaw(fixture.port, post("{", { "Content-Length": "100" }))).toMatch(/^HTTP\/1.1 408 /);
  });
});
