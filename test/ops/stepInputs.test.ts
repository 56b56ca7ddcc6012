// Contract: stepInputs gives every token its id, position, slots and length from what lies on the device, keeps the lengths for
// the next step, leaves padding's row alone, and refuses whatever lies outside rows, pool and tables.
import { describe, expect, test } from "vitest";
import { ExecutionError } from "../../lib/errors.js";
import { stepInputs, type StepInputsOptions } from "../../lib/ops/stepInputs.js";
import { stepInputs as reference } from "../reference/stepInputs.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { Random } from "../support/random.js";

interface Case extends OpCase {
  /** Tokens of each sequence. */
  readonly counts: readonly number[];
  /** How many of the sequences, from the last, run in padding's row. Default 0. */
  readonly padding?: number;
  /** Ps of each cache group. Default one of 16. */
  readonly pageSizes?: readonly number[];
  /** Tokens that a sequence may have before the step, at most. Default 40. */
  readonly longest?: number;
  /** Whether the host says where sequences begin. Default: for every other one. */
  readonly told?: boolean;
  /** N. Default 3, or none without tokens. */
  readonly numLogits?: number;
  /** Pool and tables are views into wider rows. */
  readonly strided?: boolean;
}

const ones = (count: number) => new Array<number>(count).fill(1);
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly Case[] = [
  { name: "smallest", counts: [1], longest: 0, numLogits: 1 },
  { name: "no sequences", counts: [] },
  { name: "no logits", counts: [1, 4], numLogits: 0 },
  { name: "nothing but padding", counts: [1, 1, 1], padding: 3 },
  { name: "padding behind decodes", counts: ones(8), padding: 3, told: false, numLogits: 8 },
  { name: "padding of several tokens", counts: [2, 5], padding: 1 },
  { name: "decodes, told", counts: ones(5), told: true },
  { name: "decodes, from lengths", counts: ones(5), told: false },
  { name: "chunks, decodes and an empty sequence", counts: [7, 1, 0, 30, 1, 17], numLogits: 9 },
  { name: "more logits than tokens", counts: [3], numLogits: 7 },
  { name: "two groups", counts: [7, 1, 30], pageSizes: [16, 64] },
  { name: "three groups, pages of odd sizes", counts: [7, 1, 30, 1], pageSizes: [1, 7, 33], padding: 1 },
  { name: "no group", counts: [7, 1], pageSizes: [] },
  { name: "strided pool and tables", counts: [7, 1, 30], pageSizes: [16, 4], strided: true },
  ...tails.map((T) => ({ name: `a sequence of ${T}`, counts: [T] })),
  ...tails.map((B) => ({ name: `${B} sequences`, counts: ones(B), numLogits: B })),
  { name: "more tokens than threads", counts: [3000, 1, 129, 128, 127], longest: 5000, numLogits: 300 },
  { name: "many sequences", counts: ones(700), longest: 300, padding: 5, numLogits: 700 },
];

/** Sequences in rows that are not in order, with pages that are not either. */
function makeStep(c: Case) {
  const { counts, padding = 0, pageSizes = [16], longest = 40, told } = c;
  const random = new Random(15);
  const real = counts.length - padding;
  const R = real + 3;
  const starts = counts.map(() => random.integer(0, longest + 1));
  const rows = counts.map((_, b) => (b < real ? (b * 7 + 1) % R : R - 1));
  const order = shuffled(random, R - 1);
  const used = rows.map((row, b) => (b < real ? order[b]! : row));
  const L = Math.max(1, ...counts.map((count, b) => starts[b]! + count));
  const lengths = Array.from({ length: R }, () => random.integer(0, L));
  const cuSeqlensQ = [0];
  for (const count of counts) cuSeqlensQ.push(cuSeqlensQ.at(-1)! + count);
  const T = cuSeqlensQ.at(-1)!;
  const isTold = counts.map((_, b) => told ?? b % 2 === 0);
  for (const [b, row] of used.entries()) if (b < real && !isTold[b]) lengths[row] = starts[b]!;
  lengths[R - 1] = 0;
  return {
    rows: used,
    starts: starts.map((start, b) => (isTold[b] ? start : -1)),
    cuSeqlensQ,
    logitIndices: Array.from({ length: T === 0 ? 0 : (c.numLogits ?? 3) }, () => random.integer(0, T)),
    lengths,
    tokenPool: lengths.map(() => Array.from({ length: L }, () => random.integer(0, 2 ** 31))),
    pageTables: pageSizes.map((pageSize) =>
      lengths.map(() => Array.from({ length: Math.ceil(L / pageSize) }, () => random.integer(1, 1_000_000))),
    ),
    pageSizes,
  };
}

function shuffled(random: Random, count: number): number[] {
  const values = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = random.integer(0, i + 1);
    [values[i], values[j]] = [values[j]!, values[i]!];
  }
  return values;
}

describeOp("stepInputs", cases, async (context, c) => {
  const step = makeStep(c);
  const expected = reference(step);
  const { rows, starts, cuSeqlensQ, logitIndices, lengths, tokenPool, pageTables, pageSizes } = step;
  const [R, L, G, W] = [lengths.length, tokenPool[0]!.length, pageSizes.length, widthOf(step)];
  const i32 = (values: readonly number[], shape = [values.length]) => context.integers(shape, values);
  /** `width` columns of a tensor with a margin of -5 on both sides, or of one without. */
  const table = (values: readonly (readonly number[])[], outer: readonly number[], width: number) => {
    const margin = c.strided ? 3 : 0;
    const edge = ones(margin).map(() => -5);
    const padded = values.flatMap((row) => [
      ...edge,
      ...Array.from({ length: width }, (_, i) => row[i] ?? -1),
      ...edge,
    ]);
    return i32(padded, [...outer, width + 2 * margin]).slice(-1, margin, margin + width);
  };
  const kept = i32(lengths);
  const result = stepInputs(context.stream, cuSeqlensQ.at(-1)!, {
    rows: i32(rows),
    starts: i32(starts),
    cuSeqlensQ: i32(cuSeqlensQ),
    logitIndices: i32(logitIndices),
    lengths: kept,
    tokenPool: table(tokenPool, [R], L),
    pageTables: table(pageTables.flat(), [G, R], W),
    groups: i32(
      pageSizes.flatMap((pageSize) => [pageSize, 1]),
      [G, 2],
    ),
  });
  const read = async (tensor: Parameters<typeof context.readIntegers>[0]) => [
    ...(await context.readIntegers(tensor)),
  ];
  expect(result.slots.shape).toEqual([G, cuSeqlensQ.at(-1)!]);
  expect({
    tokens: await read(result.tokens),
    positions: await read(result.positions),
    slots: await read(result.slots),
    contextLens: await read(result.contextLens),
    samplePositions: await read(result.samplePositions),
    lengths: await read(kept),
  }).toEqual(expected);
});

/** W: of the group with the smallest pages. */
function widthOf({ pageTables }: ReturnType<typeof makeStep>): number {
  return Math.max(1, ...pageTables.map((table) => table[0]!.length));
}

describe("stepInputs: what it refuses", () => {
  const device = openTestDevice();

  /** Two sequences of one and two tokens in rows 0 and 1 of three, at positions 3 and 0; pages of 4. */
  const valid = {
    rows: [0, 1],
    starts: [-1, 0],
    cuSeqlensQ: [0, 1, 3],
    logitIndices: [0, 2],
    lengths: [3, 0, 0],
    tokenPool: [...ones(24)],
    pageTables: [5, 6, 7, -1, 0, 0],
    groups: [4, 1],
  };
  const shapes = { tokenPool: [3, 8], pageTables: [1, 3, 2], groups: [1, 2] } as const;

  function run(changes: Partial<Record<keyof typeof valid, readonly number[]>>, numTokens = 3) {
    const stream = device.createStream();
    const entries = Object.entries({ ...valid, ...changes }).map(([name, values]) => [
      name,
      stream.fromArray(
        "i32",
        (shapes as Record<string, readonly number[]>)[name] ?? [values.length],
        Int32Array.from(values),
      ),
    ]);
    stepInputs(stream, numTokens, Object.fromEntries(entries) as StepInputsOptions);
    return stream.synchronize();
  }

  test("nothing, when all is well", async () => {
    await expect(run({})).resolves.toBeUndefined();
  });

  test.each([
    [{ starts: [0] }, "starts: expected [B=2] (B from rows axis 0), got [1]"],
    [{ cuSeqlensQ: [0, 3] }, "cuSeqlensQ: expected [3], got [2]"],
    [{ lengths: [3, 0] }, "lengths: expected [R=3] (R from tokenPool axis 0), got [2]"],
  ])("%j", (changes, message) => {
    expect(() => run(changes)).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_RANGE", message: `stepInputs: ${message}` }),
    );
  });

  test.each([
    [{ rows: [0, 3] }, "rows[1] = 3 is outside [0, R=3)"],
    [{ rows: [-1, 1] }, "rows[0] = -1 is outside [0, R=3)"],
    [{ cuSeqlensQ: [0, 4, 3] }, /cuSeqlensQ.(0..\] = 0, 4|1..\] = 4, 3) is no range within .0, T=3/],
    [{ cuSeqlensQ: [0, 1, 2] }, "the sequences have the tokens [0, 2), the step has [0, T=3)"],
    [{ cuSeqlensQ: [1, 1, 3] }, "the sequences have the tokens [1, 3), the step has [0, T=3)"],
    [{ starts: [-2, 0] }, "starts[0] = -2 is neither a position nor -1"],
    [{ lengths: [-3, 0, 0] }, "lengths[0] = -3 is negative"],
    [{ starts: [0, 7] }, "sequence 1 ends at 9, beyond the L=8 of its row"],
    [{ groups: [0, 1] }, "groups[0] has pages of 0 tokens"],
    [
      { groups: [1, 1], pageTables: [5, 6, 7, 8, 0, 0] },
      "sequence 0 has a token in column 3, pageTables has W=2",
    ],
    [{ starts: [-1, 4] }, "page -1 in column 1 of sequence 1 belongs to nobody"],
    [{ groups: [4, 6] }, "page 5 in column 0 of sequence 0 belongs to nobody"],
    [
      { pageTables: [2 ** 30, 6, 7, -1, 0, 0] },
      "page 1073741824 in column 0 of sequence 0 belongs to nobody",
    ],
    [{ logitIndices: [0, 3] }, "logitIndices[1] = 3 is outside [0, T=3)"],
    [{ logitIndices: [-1, 0] }, "logitIndices[0] = -1 is outside [0, T=3)"],
  ])("%j: poisons the stream", async (changes, message) => {
    await expect(run(changes)).rejects.toThrow(ExecutionError);
    await expect(run(changes)).rejects.toThrow(message);
  });
});
