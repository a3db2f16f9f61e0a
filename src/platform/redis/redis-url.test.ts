import { expect, test } from "vitest";
import { parseRedisUrl } from "./redis-url.ts";

test.each([
  ["redis://h", { kind: "single", hosts: [{ host: "h", port: 6379 }], tls: false, database: 0, username: undefined }],
  [
    "rediss://u:p%40ss@h:7/2",
    { tls: true, username: "u", password: "p@ss", hosts: [{ host: "h", port: 7 }], database: 2 },
  ],
  ["redis://:secret@[::1]:6380", { username: undefined, password: "secret", hosts: [{ host: "::1", port: 6380 }] }],
  [
    "redis+sentinel://a:1,b/main/4",
    {
      kind: "sentinel",
      masterName: "main",
      database: 4,
      hosts: [
        { host: "a", port: 1 },
        { host: "b", port: 26_379 },
      ],
    },
  ],
  [
    "rediss+cluster://a:1,b:2",
    {
      kind: "cluster",
      tls: true,
      hosts: [
        { host: "a", port: 1 },
        { host: "b", port: 2 },
      ],
    },
  ],
])("reads %s", (url, expected) => {
  expect(parseRedisUrl(url)).toMatchObject(expected);
});

test.each([
  "http://h",
  "redis:/h",
  "redis://",
  "redis://h:99999",
  "redis://h/x",
  "redis://h/-1",
  "redis+cluster://a:1,b:2/3",
  "redis+sentinel://a:1",
  "redis://u:topsecret@h:port",
])("refuses %s, says how it should look, and does not repeat it", (url) => {
  expect(() => parseRedisUrl(url)).toThrowError(/must/);
  expect(() => parseRedisUrl(url)).not.toThrowError(/topsecret/);
});
