// Contract: work of many callers shares the turns of the event loop in order, stops in each turn after a few ms, and waits for
// promises without holding up the others.
import { expect, test } from "vitest";
import { inTurns, runNow, type Steps, waitFor } from "../lib/eventLoop.js";
import { turnsDuring } from "./support/turns.js";

const spin = (ms: number): void => {
  for (const end = performance.now() + ms; performance.now() < end;);
};

function* count(name: string, steps: number, msPerStep: number, log: string[]): Steps<string> {
  for (let i = 0; i < steps; i++) {
    spin(msPerStep);
    yield;
  }
  log.push(name);
  return name;
}

test("long work of many callers ends in order, and the event loop turns all the while", async () => {
  const log: string[] = [];
  const names = Array.from({ length: 20 }, (_, i) => `job ${i}`);
  const work = Promise.all(names.map((name) => inTurns(count(name, 5, 1, log))));
  expect(log).toEqual([]); // never before the caller has gone on
  expect(await turnsDuring(() => work)).toBeGreaterThanOrEqual((20 * 5 * 1) / 4 - 1);
  expect(log).toEqual(names);
});

test("many short jobs do not run in one turn either", async () => {
  const log: string[] = [];
  const work = Promise.all(Array.from({ length: 30 }, (_, i) => inTurns(count(`${i}`, 1, 1, log))));
  expect(await turnsDuring(() => work)).toBeGreaterThan(5);
});

test("who hands over jobs for longer than a turn has used it up: the next turn works", async () => {
  await new Promise((resolve) => setImmediate(resolve));
  const log: string[] = [];
  const all = Array.from({ length: 20 }, (_, i) => {
    spin(0.5);
    return inTurns(count(`${i}`, 1, 0, log));
  });
  await Promise.resolve().then(() => undefined);
  expect(log).toEqual([]);
  await Promise.all(all);
  expect(log.length).toBe(20);
});

test("a chain of short jobs leaves the loop its turns", async () => {
  const chain = async (): Promise<void> => {
    for (let i = 0; i < 30; i++) await inTurns(count("", 1, 1, []));
  };
  expect(await turnsDuring(chain)).toBeGreaterThan(5);
});

test("a job that waits lets the others go first", async () => {
  const log: string[] = [];
  let arrive!: (value: number) => void;
  const promise = new Promise<number>((resolve) => (arrive = resolve));
  const waiting = inTurns(
    (function* () {
      log.push("waits");
      const value = yield* waitFor(promise);
      log.push(`got ${value}`);
      return value;
    })(),
  );
  await inTurns(count("other", 3, 0, log));
  expect(log).toEqual(["waits", "other"]);
  arrive(7);
  expect(await waiting).toBe(7);
});

test("what a job or its promise throws reaches its caller only", async () => {
  const failing = inTurns(
    (function* (): Steps<void> {
      yield;
      throw new Error("mine");
    })(),
  );
  const refused = inTurns(
    (function* (): Steps<string> {
      return yield* waitFor(Promise.reject<string>(new Error("theirs")));
    })(),
  );
  const caught = inTurns(
    (function* (): Steps<string> {
      try {
        yield* waitFor(Promise.reject(new Error("caught")));
      } catch (error) {
        return (error as Error).message;
      }
      return "";
    })(),
  );
  await expect(failing).rejects.toThrow("mine");
  await expect(refused).rejects.toThrow("theirs");
  expect(await caught).toBe("caught");
  expect(await inTurns(count("x", 1, 0, []))).toBe("x");
});

test("runNow runs to the end at once", () => {
  const log: string[] = [];
  expect(runNow(count("a", 3, 0, log))).toBe("a");
  expect(log).toEqual(["a"]);
});

test("a turn that the caller has used up is followed by one for timers, before anything of it is done", async () => {
  const log: string[] = [];
  await new Promise((resolve) => setImmediate(resolve));
  const work = inTurns(count("job", 1, 0, log));
  setTimeout(() => log.push("timer"), 1);
  spin(5); // and the timer is due
  await work;
  expect(log).toEqual(["timer", "job"]);
});

test("urgent work goes first, and what is not urgent has its part of every turn", async () => {
  const log: string[] = [];
  const slow = inTurns(count("slow", 10, 1, log));
  let isOver = false;
  const endless = inTurns(
    (function* (): Steps<void> {
      while (!isOver) {
        spin(1);
        yield;
      }
    })(),
    { isUrgent: true },
  );
  const urgent = inTurns(count("urgent", 1, 1, log), { isUrgent: true });
  await slow; // although urgent work does not end
  isOver = true;
  await Promise.all([endless, urgent]);
  const late = inTurns(count("later", 1, 0, log));
  await inTurns(count("sooner", 1, 0, log), { isUrgent: true });
  await late;
  expect(log).toEqual(["slow", "urgent", "sooner", "later"]);
});
