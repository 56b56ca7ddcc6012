// Contract: however many wait for a signal, it has one listener, and each is called once or not at all.
import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { onAbort } from "../lib/abortSignals.js";

test("thousands wait with one listener, and are called once, in order", () => {
  const controller = new AbortController();
  const calls: number[] = [];
  for (let i = 0; i < 2000; i++) onAbort(controller.signal, () => calls.push(i));
  expect(getEventListeners(controller.signal, "abort").length).toBe(1);
  controller.abort();
  controller.abort();
  expect(calls).toEqual([...calls.keys()]);
  expect(calls.length).toBe(2000);
});

test("who does not wait any more is not called, and the last one takes the listener away", () => {
  const controller = new AbortController();
  const calls: string[] = [];
  const endFirst = onAbort(controller.signal, () => calls.push("first"));
  const endSecond = onAbort(controller.signal, () => calls.push("second"));
  endFirst();
  endFirst();
  expect(getEventListeners(controller.signal, "abort").length).toBe(1);
  endSecond();
  expect(getEventListeners(controller.signal, "abort").length).toBe(0);
  onAbort(controller.signal, () => calls.push("third"));
  endSecond();
  controller.abort();
  expect(calls).toEqual(["third"]);
});

test("a call may end the wait of others, and its own", () => {
  const controller = new AbortController();
  const calls: string[] = [];
  const ends: (() => void)[] = [];
  for (const name of ["a", "b", "c"]) {
    ends.push(
      onAbort(controller.signal, () => {
        calls.push(name);
        for (const end of ends) end();
      }),
    );
  }
  controller.abort();
  expect(calls).toEqual(["a"]);
});
