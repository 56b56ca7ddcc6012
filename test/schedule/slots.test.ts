// Contract: a request has its own slot, whatever its length; the prefix cache has copies of slots, made where others are likely to
// go on from, and a request that begins from one copies it back. Copies cost nobody their blocks.
import { describe, expect, test, vi } from "vitest";
import { Request } from "../../lib/schedule/request.js";
import type { ScheduledStep } from "../../lib/schedule/scheduledStep.js";
import { Scheduler } from "../../lib/schedule/scheduler.js";
import type { SchedulerOptions } from "../../lib/schedule/schedulerOptions.js";

const range = (length: number, from = 0) => Array.from({ length }, (_, i) => from + i);

/** Two layers with slots beside a group that keeps everything, in pages of 4 tokens. */
const makeScheduler = (options: Partial<SchedulerOptions> = {}) =>
  new Scheduler({
    ...{ maxSequences: 4, maxStepTokens: 64, maxModelLen: 128, pageSize: 4, numBlocks: 60, slotLayers: 2 },
    ...{ admission: "optimistic", prefixCache: true, ...options },
  });

/** Runs a request alone. @returns its steps */
function run(scheduler: Scheduler, request: Request): ScheduledStep[] {
  scheduler.add(request);
  const steps = [];
  for (let step = scheduler.schedule(); step; step = scheduler.schedule()) {
    steps.push(step);
    scheduler.checkIntegrity();
    scheduler.commit(step, new Int32Array(step.samples.length).fill(7));
    scheduler.checkIntegrity();
  }
  return steps;
}
let ids = 0;
const ask = (tokens: number[], maxTokens = 1) => new Request(`r${ids++}`, tokens, { maxTokens });
const chunks = (steps: readonly ScheduledStep[]) =>
  steps.map(({ sequences }) => sequences.map(({ start, count }) => `${start}+${count}`).join(" "));
const numCopies = (steps: readonly ScheduledStep[]) =>
  steps.map(({ copies }) => [copies.beforeModel.length, copies.afterModel.length]);

test("a slot is a block for each layer, in a table of its own behind those of the groups", () => {
  const scheduler = makeScheduler();
  const request = ask(range(4), 40);
  scheduler.add(request);
  const step = scheduler.schedule()!;
  const [first, second] = request.slot;
  expect(step.pageUpdates.filter(({ group }) => group === 1)).toEqual([
    { group: 1, row: 0, col: 0, page: first },
    { group: 1, row: 0, col: 1, page: second },
  ]);
  expect(new Set([...request.slot, ...request.held[0]!.blocks]).size).toBe(3);
  for (let i = 0; i < 40; i++) {
    scheduler.commit(step.index === i ? step : scheduler.schedule()!, [7]);
    if (i < 39) expect(request.slot).toEqual([first, second]);
  }
  expect(scheduler.stats).toMatchObject({ usedPages: 0, running: 0 });
});

test("is copied at the last border of a prompt, which cuts it there", () => {
  const scheduler = makeScheduler();
  const steps = run(scheduler, ask(range(30)));
  expect(chunks(steps)).toEqual(["0+28", "28+2"]);
  expect(numCopies(steps)).toEqual([
    [0, 2],
    [0, 0],
  ]);
  expect(run(scheduler, ask([1, 2, 3])).map(({ numTokens }) => numTokens)).toEqual([3]); // no border in it
});

test("is restored for who has the same beginning", () => {
  const scheduler = makeScheduler();
  const [first] = run(scheduler, ask(range(30)));
  const again = ask(range(34));
  const steps = run(scheduler, again);
  expect(again.hitLen).toBe(28);
  expect(chunks(steps)).toEqual(["28+4", "32+2"]);
  expect(numCopies(steps)).toEqual([
    [2, 2],
    [0, 0],
  ]);
  expect(steps[0]!.copies.beforeModel.map(({ from }) => from)).toEqual(
    first!.copies.afterModel.map(({ to }) => to),
  );
});

test("a prefix that pages have and no slot has is run again, and its slot kept where the two part", () => {
  const scheduler = makeScheduler();
  run(scheduler, ask(range(30)));
  const fork = [...range(13), ...range(20, 50)];
  const second = ask(fork);
  expect(chunks(run(scheduler, second))).toEqual(["0+12", "12+20", "32+1"]);
  expect(second.hitLen).toBe(0);
  const third = ask([...range(13), ...range(20, 80)]);
  run(scheduler, third);
  expect(third.hitLen).toBe(12);
});

test("where windows have long prefixes and no slot has, it is looked for once at each border", () => {
  const scheduler = makeScheduler({
    ...{ numBlocks: 500, maxModelLen: 1100, maxStepTokens: 2000 },
    groups: [{ window: 400, pagesPerBlock: 1 }],
  });
  run(scheduler, ask(range(1000)));
  const other = ask([...range(980), ...range(20, 2000)]);
  const lookups = vi.spyOn(other.pageHashes, "at");
  scheduler.add(other);
  scheduler.schedule();
  expect(scheduler.stats.prefix.hits).toBe(0);
  // 250 pages, of which a window has 100.
  expect(lookups.mock.calls.length).toBeLessThan(2000);
});

describe("with little room", () => {
  test("no copy is made at the expense of others", () => {
    // Two slots and what 30 and 14 tokens need leave one block.
    const scheduler = makeScheduler({ numBlocks: 1 + 4 + 8 + 4 + 1 });
    scheduler.add(ask(range(30), 3));
    scheduler.add(ask(range(14, 40), 3));
    const steps = [];
    for (let step = scheduler.schedule(); step; step = scheduler.schedule()) {
      steps.push(step);
      scheduler.commit(step, new Int32Array(step.samples.length).fill(7));
      scheduler.checkIntegrity();
    }
    expect(steps.flatMap(({ copies }) => copies.afterModel)).toEqual([]);
    expect(scheduler.stats.preemptions).toBe(0);
  });

  test("a request that fits, but not beside the copy it could begin from, begins from the start", () => {
    const scheduler = makeScheduler({ numBlocks: 1 + 2 + 8 });
    run(scheduler, ask(range(9)));
    const request = ask(range(29), 4);
    const steps = run(scheduler, request);
    expect(request).toMatchObject({ hitLen: 0, finishReason: "length" });
    expect(steps.flatMap(({ copies }) => copies.beforeModel)).toEqual([]);
  });

  test("what can never fit with its slot is refused", () => {
    const scheduler = makeScheduler({ numBlocks: 1 + 2 + 7 });
    expect(() => scheduler.add(ask(range(29), 4))).toThrow(/need 10 KV pages, there are 9/);
  });
});

test("a slot alone finds prefixes at the border of every page", () => {
  const scheduler = makeScheduler({ groups: [], numBlocks: 20 });
  run(scheduler, ask(range(30)));
  const again = ask(range(40));
  expect(chunks(run(scheduler, again))).toEqual(["28+8", "36+4"]);
});
