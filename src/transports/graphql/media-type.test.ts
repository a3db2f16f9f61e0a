import { describe, expect, it } from "vitest";
import { negotiate } from "./media-type.ts";
import { createQueryCache } from "./query-cache.ts";

describe("negotiate", () => {
  it.each([
    [undefined, "application/json"],
    ["*/*", "application/json"],
    ["application/graphql-response+json, application/json;q=0.9", "application/graphql-response+json"],
    ["application/json;q=0.5, application/graphql-response+json;q=0.8", "application/graphql-response+json"],
    ["text/html, */*;q=0.1", "application/json"],
    ["application/json;q=0, */*", "application/graphql-response+json"],
    ["text/event-stream, application/json;q=0.5", "text/event-stream"],
    ["application/json; charset=utf-8", "application/json"],
  ])("%s → %s", (accept, expected) => {
    expect(negotiate(accept)).toBe(expected);
  });

  it("refuses what is not offered", () => {
    for (const accept of ["image/png", "application/json; charset=latin1", "application/json;q=0"]) {
      expect(() => negotiate(accept), accept).toThrow("UTF-8");
    }
  });
});

describe("createQueryCache", () => {
  it("forgets what was unused for longest, and never takes long texts", () => {
    const cache = createQueryCache<number>(2);
    cache.set("a", 1);
    cache.set("b", 2);
    expect(cache.get("a")).toBe(1);
    cache.set("c", 3);
    expect([cache.get("a"), cache.get("b"), cache.get("c")]).toEqual([1, undefined, 3]);
    cache.set("x".repeat(10_000), 4);
    expect(cache.size).toBe(2);
  });
});
