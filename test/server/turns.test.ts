/** Heaps of answers and of requests take several turns of the event loop. */
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { Receivers } from "../../server/child/receivers.js";
import type { Answer } from "../../server/child/messages.js";
import { Turns } from "../../server/turns.js";

test("a heap is done in order, a little in each turn", async () => {
  const done: number[] = [];
  const turns = new Turns<number>(3, (item) => done.push(item));
  turns.add([0, 1, 2, 3, 4]);
  turns.add([5, 6, 7]);
  const perTurn = [done.length];
  for (let last = 0; last < done.length; await setImmediate())
    (perTurn.push(done.length - last), (last = done.length));
  expect(done).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  expect(Math.max(...perTurn)).toBe(3);
});

test("a turn that has had its share takes no more, and the next one does at once", async () => {
  const done: string[] = [];
  const turns = new Turns<string>(1, (item) => done.push(item));
  turns.add(["a"]);
  turns.add(["b"]);
  expect(done).toEqual(["a"]);
  await setImmediate();
  await setImmediate();
  expect(done).toEqual(["a", "b"]);
  await setImmediate();
  turns.add(["c"]);
  expect(done).toEqual(["a", "b", "c"]);
});

/** Notes what it is given until it has had `last` answers. */
class Notes {
  readonly seen: string[] = [];
  constructor(readonly last: number) {}
  take(answer: Answer): boolean {
    return this.seen.push((answer as unknown as { value: string }).value) === this.last;
  }
  lose(error: Error): void {
    this.seen.push(error.message);
  }
}

test("the end of an engine comes behind what it has answered, to those that wait for more", async () => {
  const receivers = new Receivers();
  const [whole, cut] = [new Notes(20), new Notes(30)];
  receivers.add(1, whole);
  receivers.add(2, cut);
  const answers = Array.from({ length: 20 }, (_, i) => [1, 2].map((id) => ({ id, value: `${i}` }))).flat();
  receivers.give(answers);
  expect(whole.seen.length).toBeLessThan(20);
  receivers.lose(new Error("gone"));
  const all = Array.from({ length: 20 }, (_, i) => `${i}`);
  expect(whole.seen).toEqual(all);
  expect(cut.seen).toEqual([...all, "gone"]);
  expect(() => receivers.add(3, new Notes(1))).toThrow("gone");
  await setImmediate();
  expect(cut.seen).toHaveLength(21);
});
