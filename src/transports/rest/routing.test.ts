import { describe, expect, test } from "vitest";
import { parseRoutePattern } from "./route-pattern.ts";
import { createRouteTable } from "./route-table.ts";

function tableOf(...routes: string[]) {
  const table = createRouteTable(routes.map((route) => ({ pattern: parseRoutePattern(route), target: route })));
  return (request: string) => {
    const [method = "", path = ""] = request.split(" ");
    return table.match(method, path.split("/"));
  };
}

describe("the route table", () => {
  const match = tableOf(
    "GET /v1/queues/{queue}",
    "GET /v1/queues/default",
    "POST /v1/queues/{queue}",
    "POST /v1/queues/{queue}:pause",
    "POST /v1/queues/{queue}:repause",
    "GET /v1/queues:watch",
    "GET /v1/queues/{queue}/tasks/{task}",
  );

  test.each([
    ["GET /v1/queues/a", "GET /v1/queues/{queue}"],
    ["GET /v1/queues/default", "GET /v1/queues/default"],
    ["POST /v1/queues/default", "POST /v1/queues/{queue}"],
    ["POST /v1/queues/a:pause", "POST /v1/queues/{queue}:pause"],
    ["POST /v1/queues/a:repause", "POST /v1/queues/{queue}:repause"],
    ["POST /v1/queues/a:b:pause", "POST /v1/queues/{queue}:pause"],
    ["POST /v1/queues/a:pause:b", "POST /v1/queues/{queue}"],
    ["POST /v1/queues/a%3Apause", "POST /v1/queues/{queue}"],
    ["POST /v1/queues/:pause", "POST /v1/queues/{queue}"],
    ["GET /v1/queues/a:pause", undefined],
    ["GET /v1/queues:watch", "GET /v1/queues:watch"],
    ["GET /v1/queues/default/tasks/1", "GET /v1/queues/{queue}/tasks/{task}"],
    ["GET /v1/queues/a%2Ftasks%2F1", "GET /v1/queues/{queue}"],
    ["GET /v1/queues/", undefined],
    ["GET /v1/queues//tasks/1", undefined],
    ["GET /v1/queues/__proto__", "GET /v1/queues/{queue}"],
    ["constructor /v1/queues/a", undefined],
  ])("%s is %s", (request, route) => {
    expect(match(request)).toBe(route);
  });

  test.each([
    [["GET /v1/{a}", "GET /v1/{b}"]],
    [["GET /v1/{a}/x", "GET /v1/y/{b}"]],
    [["POST /v1/{a}:go", "POST /v1/{b}:go"]],
    [["POST /v1/{a}/{b}:go", "POST /v1/x/{b}"]],
  ])("%j is ambiguous", (routes) => {
    expect(() => tableOf(...routes)).toThrow(/can match the same path/);
  });

  test.each([
    [["GET /v1/{a}", "POST /v1/{a}"]],
    [["GET /v1/{a}", "GET /v1/x"]],
    [["POST /v1/{a}:go", "POST /v1/{a}:stop"]],
    [["POST /v1/{a}:go", "POST /v1/x:go"]],
  ])("%j is not", (routes) => {
    expect(() => tableOf(...routes)).not.toThrow();
  });

  test.each(["GET v1/a", "TRACE /v1/a", "GET /v1/{a}:b/c", "GET /v1/{a}/{a}", "GET /v1//a", "GET /v1/{a-b}"])(
    "%s is refused",
    (route) => {
      expect(() => tableOf(route)).toThrow();
    },
  );
});
