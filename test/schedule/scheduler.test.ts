// Contract: decodes first, then unfinished prefills, then arrivals in order, under one budget; exact lengths; typed rejects;
// commits in order.
import { describe, expect, test } from "vitest";
import { Request, type RequestParams } from "../../lib/schedule/request.js";
import type { ScheduledStep } from "../../lib/schedule/scheduledStep.js";
import { Scheduler } from "../../lib/schedule/scheduler.js";
import type { SchedulerOptions } from "../../lib/schedule/schedulerOptions.js";
import { smallPool } from "./smallPool.js";

const range = (length: number, from = 0) => Array.from({ length }, (_, i) => from + i);
const makeScheduler = (options: Partial<SchedulerOptions> = {}) =>
  new Scheduler({ ...smallPool, ...options });

function add(scheduler: Scheduler, id: string, length: number, params: Partial<RequestParams> = {}): Request {
  const request = new Request(id, range(length, 1), { maxTokens: 20, ...params });
  scheduler.add(request);
  return request;
}

const ran = (step: ScheduledStep | null) =>
  step?.sequences.map(({ request, start, count }) => `${request.id}:${start}+${count}`).join(" ") ?? null;
const commit = (scheduler: Scheduler, step: ScheduledStep | null, id = 7) =>
  scheduler.commit(step!, new Array<number>(step!.samples.length).fill(id));

describe("what a step runs", () => {
  test("decodes, then the rest of a prefill, then arrivals, under the budget", () => {
    const scheduler = makeScheduler();
    add(scheduler, "a", 3);
    expect(ran(scheduler.schedule())).toBe("a:0+3");
    add(scheduler, "b", 20);
    add(scheduler, "c", 2);
    expect(ran(scheduler.schedule())).toBe("a:3+1 b:0+15");
    expect(ran(scheduler.schedule())).toBe("a:4+1 b:15+5 c:0+2");
    expect(ran(scheduler.schedule())).toBe("a:5+1 b:20+1 c:2+1");
  });

  test("chunkTokens leaves room for others beside a long prompt", () => {
    const scheduler = makeScheduler({ chunkTokens: 8 });
    add(scheduler, "long", 30);
    add(scheduler, "short", 3);
    expect(ran(scheduler.schedule())).toBe("long:0+8 short:0+3");
    expect(ran(scheduler.schedule())).toBe("short:3+1 long:8+8");
  });

  test("of long prompts that the prefix cache has, a step admits only so many, in order", () => {
    const size = { maxSequences: 64, maxStepTokens: 4096, maxModelLen: 9000, pageSize: 16, numBlocks: 2000 };
    const scheduler = makeScheduler({ ...size, prefixCache: true });
    add(scheduler, "first", 8000, { maxTokens: 1 });
    for (let step = scheduler.schedule(); step; step = scheduler.schedule()) commit(scheduler, step);
    for (let i = 0; i < 40; i++) add(scheduler, `${i}`, 8000);
    const admitted: string[][] = [];
    while (admitted.flat().length < 40) {
      const step = scheduler.schedule()!;
      admitted.push(step.admissions.map(({ request }) => request.id));
      commit(scheduler, step);
    }
    expect(admitted.flat()).toEqual(range(40).map(String));
    expect(admitted.map((ids) => ids.length)).toEqual([9, 9, 9, 9, 4]);
    scheduler.checkIntegrity();
  });

  test("no more requests than rows; a row is reused when its request ends", () => {
    const scheduler = makeScheduler({ maxSequences: 2 });
    const [a, b, c] = ["a", "b", "c"].map((id) => add(scheduler, id, 1));
    expect(ran(scheduler.schedule())).toBe("a:0+1 b:0+1");
    const row = a!.row;
    scheduler.finish("a", "abort");
    const step = scheduler.schedule()!;
    expect(ran(step)).toBe("b:1+1 c:0+1");
    expect([a!.row, b!.row, c!.row]).toEqual([-1, 1 - row, row]);
    expect(step.admissions).toEqual([{ request: c, row, tokens: Int32Array.of(1) }]);
  });

  test("steps are planned ahead of their results; the last sample is planned exactly once", () => {
    const scheduler = makeScheduler();
    const request = add(scheduler, "a", 2, { maxTokens: 3 });
    const steps = [scheduler.schedule(), scheduler.schedule(), scheduler.schedule()];
    expect(steps.map(ran)).toEqual(["a:0+2", "a:2+1", "a:3+1"]);
    expect(scheduler.schedule()).toBeNull();
    const results = steps.flatMap((step) => commit(scheduler, step));
    expect(results.map(({ position, finishReason }) => [position, finishReason])).toEqual([
      [2, null],
      [3, null],
      [4, "length"],
    ]);
    expect(request).toMatchObject({ status: "finished", finishReason: "length" });
    expect([...request.tokens]).toEqual([1, 2, 7, 7, 7]);
  });

  test("the context length ends a request before maxTokens does", () => {
    const scheduler = makeScheduler({ maxModelLen: 5 });
    const request = add(scheduler, "a", 4);
    expect(commit(scheduler, scheduler.schedule())[0]!.finishReason).toBe("length");
    expect(request.tokens).toHaveLength(5);
  });

  test("a stop token is reported, and what was planned behind it is discarded", () => {
    const scheduler = makeScheduler();
    const request = add(scheduler, "a", 2, { stopTokenIds: new Set([9]) });
    const first = scheduler.schedule();
    const second = scheduler.schedule();
    expect(commit(scheduler, first, 9)).toEqual([
      { request, tokenId: 9, position: 2, sampleIndex: 0, finishReason: "stop" },
    ]);
    expect(commit(scheduler, second)).toEqual([]);
    expect([...request.tokens]).toEqual([1, 2, 9]);
    scheduler.checkIntegrity();
  });

  test("a prefix is found in the step after the one that computes it, before any result is known", () => {
    const scheduler = makeScheduler({ prefixCache: true });
    add(scheduler, "a", 10);
    add(scheduler, "same step", 6);
    expect(ran(scheduler.schedule())).toBe("a:0+10 same step:0+6");
    const late = add(scheduler, "b", 10);
    expect(ran(scheduler.schedule())).toBe("a:10+1 same step:6+1 b:8+2");
    expect(late.hitLen).toBe(8);
  });

  test("a later turn finds the generated tokens of the earlier one, up to the last full page", () => {
    const scheduler = makeScheduler({ prefixCache: true });
    const first = add(scheduler, "a", 4, { maxTokens: 5 });
    // Two steps in flight: the id that fills the second page becomes known when nothing more is planned.
    let ahead = scheduler.schedule();
    while (ahead !== null) {
      const next = scheduler.schedule();
      commit(scheduler, ahead);
      ahead = next;
    }
    expect(first.tokens).toHaveLength(9);
    const second = new Request("b", [...first.tokens, 1, 2], { maxTokens: 1 });
    scheduler.add(second);
    scheduler.schedule();
    expect(second.hitLen).toBe(8);
  });
});

describe("add rejects", () => {
  test("a prompt that leaves no room for a token", () => {
    const error = expect.objectContaining({ code: "ERR_CONTEXT_LENGTH", name: "ArgumentRangeError" });
    expect(() => add(makeScheduler(), "a", 64)).toThrow(error);
    expect(() => add(makeScheduler(), "a", 63)).not.toThrow();
  });

  for (const admission of ["optimistic", "reserve"] as const) {
    test(`what needs more pages than exist (${admission})`, () => {
      const scheduler = makeScheduler({ numBlocks: 4, admission });
      expect(() => add(scheduler, "a", 5, { maxTokens: 9 })).toThrow(
        expect.objectContaining({ code: "ERR_CAPACITY" }),
      );
      add(scheduler, "b", 5, { maxTokens: 8 });
      expect(scheduler.stats.waiting).toBe(1);
    });
  }

  test("an id in use, and a request added before; an id is free again after the end", () => {
    const scheduler = makeScheduler();
    const request = add(scheduler, "a", 1);
    expect(() => add(scheduler, "a", 1)).toThrow(/the id is in use/);
    scheduler.finish("a", "abort");
    expect(() => scheduler.add(request)).toThrow(/was added before/);
    add(scheduler, "a", 1);
  });
});

describe("commit", () => {
  test("refuses another order and too few ids, and then still works", () => {
    const scheduler = makeScheduler();
    add(scheduler, "a", 1);
    const first = scheduler.schedule();
    const second = scheduler.schedule();
    expect(() => commit(scheduler, second)).toThrow(/commit of step 1, expected 0/);
    expect(() => scheduler.commit(first!, [])).toThrow(/expected 1 sampled ids, got 0/);
    commit(scheduler, first);
    expect(() => commit(scheduler, first)).toThrow(/commit of step 0, expected 1/);
    commit(scheduler, second);
    scheduler.checkIntegrity();
  });

  test("ignores the padding behind the sampled ids", () => {
    const scheduler = makeScheduler();
    add(scheduler, "a", 1);
    expect(scheduler.commit(scheduler.schedule()!, Int32Array.of(5, 0, 0, 0))).toHaveLength(1);
  });
});

test("stats", () => {
  const scheduler = makeScheduler({ maxSequences: 1, prefixCache: true });
  add(scheduler, "a", 8);
  add(scheduler, "b", 8);
  scheduler.schedule();
  expect(scheduler.stats).toEqual({
    running: 1,
    waiting: 1,
    preemptions: 0,
    stepsInFlight: 1,
    freePages: 38,
    cachedPages: 0,
    usedPages: 2,
    prefix: { queries: 8, hits: 0, evictions: 0 },
  });
  expect([...scheduler.requests].map((request) => request.id)).toEqual(["a", "b"]);
  scheduler.finish("a", "abort");
  expect(scheduler.stats).toMatchObject({ running: 0, cachedPages: 2, usedPages: 0, freePages: 38 });
});

describe("options", () => {
  const cases: [Partial<Record<keyof SchedulerOptions, unknown>>, string][] = [
    [{ maxSequences: 0 }, "maxSequences"],
    [{ maxStepTokens: 3 }, "maxStepTokens: expected an integer in \\[4,"],
    [{ maxModelLen: 1 }, "maxModelLen"],
    [{ pageSize: 1.5 }, "pageSize"],
    [{ numBlocks: 1 }, "numBlocks"],
    [{ numBlocks: 2 ** 29, pageSize: 16 }, "numBlocks"],
    [{ chunkTokens: 0 }, "chunkTokens"],
    [{ maxSequences: "4" }, "maxSequences: expected a number, got string"],
    [{ admission: "greedy" }, "admission"],
    [{ prefixCache: 1 }, "prefixCache"],
  ];
  for (const [options, message] of cases) {
    test(`refuses ${JSON.stringify(options)}`, () => {
      const make = () => makeScheduler(options as Partial<SchedulerOptions>);
      expect(make).toThrow(new RegExp(message));
      expect(make).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/^ERR_ARGUMENT_/) as string }),
      );
    });
  }
});
