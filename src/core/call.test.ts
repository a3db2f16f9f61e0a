import { describe, expect, test } from "vitest";
import { Call } from "./call.ts";

function openCall(idempotencyKey?: string) {
  const call = new Call({ protocol: "rest", idempotencyKey });
  const undone: string[] = [];
  return { call, undone, register: (name = "grant") => call.onUndelivered(() => undone.push(name)) };
}

describe("what a call granted", () => {
  test("is taken back once where its answer is lost", () => {
    const { call, undone, register } = openCall();
    register("first");
    register("second");
    call.undelivered();
    call.undelivered();
    expect(undone).toEqual(["first", "second"]);
  });

  test("is taken back at once where the answer was lost before the operation had ended", () => {
    const { call, undone, register } = openCall();
    call.undelivered();
    register();
    expect(undone).toEqual(["grant"]);
  });

  test("stays where the answer was handed over, whatever happens to the connection later", () => {
    const { call, undone, register } = openCall();
    register("before");
    call.delivered();
    call.undelivered();
    register("after");
    expect(undone).toEqual([]);
  });

  test("stays under an idempotency key, for the client asks again", () => {
    const { call, undone, register } = openCall("key");
    register();
    call.undelivered();
    register();
    expect(undone).toEqual([]);
  });

  test("is left to end by itself where it cannot be taken back", () => {
    const { call, undone, register } = openCall();
    call.onUndelivered(() => {
      throw new Error("The database is away.");
    });
    register();
    call.undelivered();
    expect(undone).toEqual(["grant"]);
  });
});
