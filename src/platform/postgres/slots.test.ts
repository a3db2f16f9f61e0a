import { expect, test } from "vitest";
import { createSlots, giveEach, NoSlotError, takeEach } from "./slots.ts";

test("slots go to who waits longest, and who waits too long is refused and no longer waits", async () => {
  const slots = createSlots(1, 20);
  expect(slots.take()).toBeUndefined();
  await expect(slots.take()).rejects.toBeInstanceOf(NoSlotError);
  const turns: string[] = [];
  const waiting = ["first", "second"].map(async (name) => {
    await slots.take();
    turns.push(name);
    slots.give();
  });
  slots.give();
  await Promise.all(waiting);
  expect(turns).toEqual(["first", "second"]);
  expect(slots.take()).toBeUndefined();
});

test("who does not get one of each keeps none", async () => {
  const [first, second, third] = [createSlots(1, 20), createSlots(1, 20), createSlots(1, 20)];
  third.take();
  await expect(takeEach([first, second, third])).rejects.toBeInstanceOf(NoSlotError);
  expect(takeEach([first, second])).toBeUndefined();
  await expect(takeEach([first])).rejects.toBeInstanceOf(NoSlotError);
  giveEach([first, second, third]);
  expect(takeEach([first, second, third])).toBeUndefined();
});
