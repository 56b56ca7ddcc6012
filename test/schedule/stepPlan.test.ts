// Contract: one Int32Array holds a whole step; decode layouts depend on the padded size only, and their padding touches
// nothing but the dummy row and the dummy page.
import { describe, expect, test } from "vitest";
import { Request } from "../../lib/schedule/request.js";
import type { ScheduledStep } from "../../lib/schedule/scheduledStep.js";
import { Scheduler } from "../../lib/schedule/scheduler.js";
import {
  chooseLayout,
  decodeLayout,
  fillPlan,
  mixedLayout,
  paddedBatchSizes,
  type PlanField,
  type PlanLayout,
} from "../../lib/schedule/stepPlan.js";

const range = (length: number, from = 0) => Array.from({ length }, (_, i) => from + i);

function makeScheduler(): Scheduler {
  return new Scheduler({
    maxSequences: 4,
    maxStepTokens: 16,
    maxModelLen: 64,
    pageSize: 4,
    numBlocks: 40,
    admission: "optimistic",
    prefixCache: true,
  });
}

function fill(step: ScheduledStep, layout: PlanLayout): Record<PlanField, number[]> {
  const out = new Int32Array(layout.length).fill(777);
  fillPlan(step, layout, out);
  const names = Object.keys(layout.offsets) as PlanField[];
  const entries = names.map((name) => {
    const from = layout.offsets[name];
    return [name, [...out.subarray(from, from + layout.sizes[name])]] as const;
  });
  return Object.fromEntries(entries) as Record<PlanField, number[]>;
}

test("a mixed step: a decode, a full prompt and a first chunk", () => {
  const scheduler = makeScheduler();
  scheduler.add(new Request("a", range(4), { maxTokens: 9 }));
  scheduler.commit(scheduler.schedule()!, [50]);
  scheduler.add(new Request("b", range(3, 20), { maxTokens: 9 }));
  scheduler.add(new Request("c", range(20, 30), { maxTokens: 9 }));
  const step = scheduler.schedule()!;
  const layout = chooseLayout(step, [1, 2, 4]);
  expect(layout).toMatchObject({
    kind: "mixed",
    numTokens: 16,
    numSequences: 3,
    numUpdates: 7,
    numLogits: 2,
  });
  // Page 1 belongs to a; its new page is 2, b has 3, c has 4 to 8.
  expect(fill(step, layout)).toEqual({
    rows: [0, 1, 2],
    starts: [-1, 0, 0],
    cuSeqlensQ: [0, 1, 4, 16],
    updateRows: [0, 1, 2, 2, 2, 2, 2],
    updateCols: [1, 0, 0, 1, 2, 3, 4],
    updatePages: [2, 3, 4, 5, 6, 7, 8],
    logitIndices: [0, 3],
    sampleRows: [0, 1],
  });
});

test("a decode step is padded with the dummy row, which updates and samples nothing", () => {
  const scheduler = makeScheduler();
  for (const id of ["a", "b", "c"]) scheduler.add(new Request(id, range(4), { maxTokens: 9 }));
  scheduler.commit(scheduler.schedule()!, [50, 51, 52]);
  const step = scheduler.schedule()!;
  const layout = chooseLayout(step, [1, 2, 4]);
  expect(layout).toEqual(decodeLayout(4, 1));
  expect(fill(step, layout)).toEqual({
    rows: [0, 1, 2, 4],
    starts: [-1, -1, -1, -1],
    cuSeqlensQ: [0, 1, 2, 3, 4],
    updateRows: [0, 1, 2, -1],
    updateCols: [1, 1, 1, 0],
    updatePages: [4, 5, 6, 0],
    logitIndices: [0, 1, 2, 3],
    sampleRows: [0, 1, 2, -1],
  });
});

test("prompt logits come after the sampled rows and leave no position out", () => {
  const scheduler = makeScheduler();
  scheduler.add(new Request("a", range(3), { maxTokens: 9, promptLogits: true }));
  scheduler.add(new Request("b", range(2), { maxTokens: 9 }));
  const step = scheduler.schedule()!;
  const layout = chooseLayout(step, []);
  const plan = fill(step, layout);
  expect(step.kind).toBe("mixed");
  expect(layout.maxQueries).toBe(3); // of the longer one
  expect(plan.logitIndices).toEqual([2, 4, 0, 1]);
  expect(step.promptLogits.map(({ sequence, position }) => [sequence.request.id, position])).toEqual([
    ["a", 0],
    ["a", 1],
  ]);
});

test("a planned step can be filled after its requests have ended", () => {
  const scheduler = makeScheduler();
  scheduler.add(new Request("a", range(6), { maxTokens: 9 }));
  const step = scheduler.schedule()!;
  const before = fill(step, chooseLayout(step, []));
  scheduler.finish("a", "abort");
  expect(fill(step, chooseLayout(step, []))).toEqual(before);
});

describe("layouts", () => {
  test("fields are aligned to 16 bytes, in order, without overlap", () => {
    for (const layout of [
      mixedLayout(7, 3, 5, 2, 1),
      mixedLayout(1, 1, 0, 0, 0),
      decodeLayout(1, 1),
      decodeLayout(24, 1),
    ]) {
      let end = 0;
      for (const name of Object.keys(layout.offsets) as PlanField[]) {
        expect(layout.offsets[name] % 4).toBe(0);
        expect(layout.offsets[name]).toBeGreaterThanOrEqual(end);
        end = layout.offsets[name] + layout.sizes[name];
      }
      expect(layout.length).toBeGreaterThanOrEqual(end);
      expect(layout.sizes.cuSeqlensQ).toBe(layout.numSequences + 1);
    }
  });

  test("a step that is larger than every captured size runs with its exact layout", () => {
    const scheduler = makeScheduler();
    for (const id of ["a", "b", "c"]) scheduler.add(new Request(id, [1], { maxTokens: 9 }));
    const step = scheduler.schedule()!;
    expect(step.kind).toBe("decode");
    expect(chooseLayout(step, [1, 2])).toEqual(mixedLayout(3, 3, 3, 3, 3, 1));
    expect(chooseLayout(step, [1, 2, 3])).toEqual(decodeLayout(3, 1));
  });

  const sizes: [number, number[]][] = [
    [1, [1]],
    [2, [1, 2]],
    [3, [1, 2, 3]],
    [4, [1, 2, 4]],
    [7, [1, 2, 4, 7]],
    [8, [1, 2, 4, 8]],
    [9, [1, 2, 4, 8, 9]],
    [32, [1, 2, 4, 8, 16, 24, 32]],
  ];
  for (const [max, expected] of sizes) {
    test(`paddedBatchSizes(${max})`, () => expect(paddedBatchSizes(max)).toEqual(expected));
  }
});

describe("fillPlan refuses", () => {
  const scheduler = makeScheduler();
  scheduler.add(new Request("a", range(3), { maxTokens: 9 }));
  const prefill = scheduler.schedule()!;
  const cases: [string, PlanLayout, number, RegExp][] = [
    [
      "a mixed step in a decode layout",
      decodeLayout(4, 1),
      999,
      /a mixed step of \[T=3.* does not fit the decode/,
    ],
    ["a layout of another size", mixedLayout(4, 1, 1, 1, 1), 999, /does not fit the mixed layout of \[T=4/],
    ["a layout of shorter sequences", mixedLayout(3, 1, 1, 1, 1, 2), 999, /maxQueries=3.* maxQueries=2\]/],
    [
      "an array that is too short",
      chooseLayout(prefill, []),
      8,
      /out: expected at least \d+ elements, got 8/,
    ],
  ];
  for (const [name, layout, length, message] of cases) {
    test(name, () => expect(() => fillPlan(prefill, layout, new Int32Array(length))).toThrow(message));
  }
});
