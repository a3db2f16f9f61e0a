import { status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { ERROR_CODES } from "../../core/errors.ts";
import { GRPC_STATUS, statusMessage } from "./status.ts";

test("every code has the number that grpc-js knows it by", () => {
  expect(GRPC_STATUS).toEqual(Object.fromEntries(ERROR_CODES.map((code) => [code, status[code]])));
});

test("a message can always be percent-encoded and stays short", () => {
  expect(statusMessage("größer als 日本")).toBe("größer als 日本");
  expect(() => encodeURI(statusMessage("half a pair \ud800"))).not.toThrow();
  const long = statusMessage("日".repeat(10_000));
  expect(encodeURI(long).length).toBeLessThanOrEqual(2048 + encodeURI("…").length);
  expect(long.endsWith("…")).toBe(true);
});
