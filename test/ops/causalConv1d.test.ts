// Contract: causalConv1d convolves each sequence with what came before it, in this step or in its state, keeps its last inputs, begins
// from zeros where a sequence begins, has the same bits in chunks of any sizes, and refuses what lies outside tokens and state.
import { describe, expect, test } from "vitest";
import type { Tensor } from "../../lib/device/tensor.js";
import { ExecutionError } from "../../lib/errors.js";
import { causalConv1d, type CausalConv1dOptions } from "../../lib/ops/causalConv1d.js";
import { causalConv1d as reference } from "../reference/causalConv1d.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, inEachDType, type OpCase, type OpContext, openTestDevice } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";
import { starts } from "../support/starts.js";

interface Case extends OpCase {
  readonly dtype?: FloatDType;
  readonly W?: number;
  readonly D: number;
  /** Tokens of each sequence in this step. */
  readonly counts: readonly number[];
  /** Tokens of each sequence before this step; 0: it begins, and its state holds NaN. Default 0, 1, 2, ... */
  readonly before?: readonly number[];
  /** How many sequences, from the last, have no place in the state. */
  readonly padding?: number;
  /** N. Default B + 2. */
  readonly places?: number;
  readonly bias?: true;
  readonly silu?: true;
  /** Rows between margins, misaligned; or only the state as a view of wider blocks. */
  readonly strided?: "all" | "blocks";
  /** Magnitudes 2^low to 2^high instead of normal values. */
  readonly exponents?: readonly [number, number];
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
const ones = (count: number): number[] => new Array<number>(count).fill(1);
const mixed = { counts: [5, 1, 0, 12, 3, 2], before: [0, 7, 3, 0, 1, 30] };
const taps = [2, 3, 4, 5, 6, 7, 8];

const cases: readonly Case[] = [
  { name: "smallest", D: 1, W: 2, counts: [1] },
  { name: "no tokens", D: 8, counts: [] },
  { name: "no tokens of two sequences", D: 8, counts: [0, 0] },
  { name: "no channels", D: 0, counts: [3] },
  { name: "padding alone, no places", D: 5, counts: [3, 1], padding: 2, places: 0 },
  { name: "an empty place beside none", D: 5, counts: [0, 3, 0], before: [0, 4, 4] },
  ...inEachDType(
    taps.flatMap((W) => [
      { name: "sequences of all kinds", D: 24, W, ...mixed },
      { name: "bias and silu", D: 21, W, ...mixed, bias: true as const, silu: true as const },
    ]),
  ),
  ...inEachDType([
    { name: "bias, in vectors", D: 64, ...mixed, bias: true as const },
    { name: "silu, in vectors", D: 64, ...mixed, silu: true as const, padding: 1 },
    { name: "padding", D: 40, counts: [1, 1, 1, 4], before: [5, 0, 1, 9], padding: 2 },
    { name: "strided rows", D: 37, ...mixed, strided: "all" as const, bias: true as const },
    { name: "state in wider blocks", D: 32, ...mixed, strided: "blocks" as const },
  ]),
  ...upTo(35).map((D) => ({ name: `${D} channels`, D, ...mixed })),
  ...upTo(35).map((D) => ({ name: `${D} channels, bf16`, D, ...mixed, dtype: "bf16" as const })),
  ...upTo(17).map((count) => ({ name: `a sequence of ${count}`, D: 12, W: 8, counts: [count], before: [3] })),
  { name: "decodes", D: 48, dtype: "bf16", counts: ones(33), bias: true, silu: true },
  { name: "decodes behind a chunk", D: 48, dtype: "bf16", counts: [19, ...ones(9)] },
  { name: "channels over parts", D: 300, dtype: "bf16", ...mixed, silu: true },
  { name: "tokens over tiles", D: 9, counts: [63, 64, 65, 128, 129], before: [1, 0, 9, 2, 0] },
  { name: "several tokens to a thread", D: 67, counts: [...upTo(40), 700], bias: true },
  { name: "many tokens to a thread", D: 131, dtype: "bf16", counts: [2000, 1, 0, 1, 599], W: 3 },
  { name: "huge and tiny", D: 20, ...mixed, exponents: [-50, 50] },
  { name: "tiny, silu", D: 20, ...mixed, exponents: [-60, -30], silu: true },
];

interface Step {
  readonly cuSeqlensQ: readonly number[];
  readonly contextLens: readonly number[];
  readonly stateIndices: readonly number[];
}

/** Places that are not in order. */
function makeStep(c: Case, random: Random): Step {
  const { counts, before = counts.map((_, b) => b), padding = 0 } = c;
  const order = random.permutation(counts.length + 2);
  return {
    cuSeqlensQ: [...starts(counts)],
    contextLens: counts.map((count, b) => count + before[b]!),
    stateIndices: counts.map((_, b) => (b < counts.length - padding ? order[b]! : -1)),
  };
}

/** NaN in the places of sequences that begin: nobody may read them. */
function spoilBeginnings(state: Float64Array, step: Step, placeSize: number): void {
  step.stateIndices.forEach((place, b) => {
    const count = step.cuSeqlensQ[b + 1]! - step.cuSeqlensQ[b]!;
    if (place >= 0 && step.contextLens[b] === count)
      state.fill(NaN, place * placeSize, (place + 1) * placeSize);
  });
}

const integersOf = (context: OpContext, step: Step) => ({
  cuSeqlensQ: context.integers([step.cuSeqlensQ.length], step.cuSeqlensQ),
  contextLens: context.integers([step.contextLens.length], step.contextLens),
  stateIndices: context.integers([step.stateIndices.length], step.stateIndices),
});

/** A view of blocks that hold more than the state. */
function inBlocks(
  context: OpContext,
  dtype: FloatDType,
  shape: readonly number[],
  values: Float64Array,
): Tensor {
  const [N, kept, D] = shape as [number, number, number];
  const block = (kept + 3) * D;
  const padded = new Float64Array(N * block).fill(7);
  for (let n = 0; n < N; n++)
    padded.set(values.subarray(n * kept * D, (n + 1) * kept * D), n * block + 2 * D);
  return context.tensor(dtype, [N, kept + 3, D], padded).slice(1, 2, 2 + kept);
}

describeOp("causalConv1d", cases, async (context, c) => {
  const { D, W = 4, dtype = "f32", silu = false } = c;
  const random = new Random(21);
  const step = makeStep(c, random);
  const [T, N] = [step.cuSeqlensQ.at(-1)!, c.places ?? c.counts.length + 2];
  const values = (count: number): Float64Array =>
    c.exponents ? random.magnitudes(count, ...c.exponents, dtype) : random.normal(count, { dtype });
  const [x, state] = [values(T * D), values(N * (W - 1) * D)];
  spoilBeginnings(state, step, (W - 1) * D);
  const [weight, bias] = [random.normal(D * W), random.normal(D)];
  const place = (shape: readonly number[], data: Float64Array): Tensor =>
    c.strided === "all"
      ? context.stridedRows(dtype, shape, data, { before: 3, after: 2 })
      : context.tensor(dtype, shape, data);

  const shape = [N, W - 1, D];
  const kept = c.strided === "blocks" ? inBlocks(context, dtype, shape, state) : place(shape, state);
  const out = causalConv1d(context.stream, place([T, D], x), context.tensor("f32", [D, W], weight), {
    ...integersOf(context, step),
    state: kept,
    ...(c.bias && { bias: context.tensor("f32", [D], bias) }),
    ...(silu && { activation: "silu" }),
    ...(c.strided === "all" && { out: place([T, D], new Float64Array(T * D)) }),
  });

  const expected = reference(x, weight, { D, W }, { ...step, state, silu, ...(c.bias && { bias }) });
  expect(out.shape).toEqual([T, D]);
  expect(out.dtype).toBe(dtype);
  expectClose(await context.read(out), expected.out, { dtype, shape: [T, D], reduction: W + 1 });
  const changed = T * D > 0 ? expected.state : state;
  expectSame(await context.read(kept), changed, { shape, label: "state" });
});

interface ChunkCase extends OpCase {
  readonly dtype: FloatDType;
  readonly W: number;
  /** Tokens of a sequence that each step runs. */
  readonly chunk: number;
  /** One sequence per step instead of all of them side by side. */
  readonly alone?: true;
}

const chunkCases: readonly ChunkCase[] = inEachDType(
  [2, 3, 4, 8].flatMap((W) => [
    ...[1, 2, 3, W, 16, 40].map((chunk) => ({ name: `chunks of ${chunk}`, W, chunk })),
    { name: "chunks of 5, alone", W, chunk: 5, alone: true as const },
  ]),
);

describeOp("causalConv1d: chunks have the bits of the whole", chunkCases, async (context, c) => {
  const { dtype, W, chunk, alone = false } = c;
  const [D, lengths] = [27, [37, 5, 1, 66]];
  const random = new Random(22);
  const begins = starts(lengths);
  const [B, T] = [lengths.length, begins.at(-1)!];
  const x = random.normal(T * D, { dtype });
  const weight = context.tensor("f32", [D, W], random.normal(D * W));
  const bias = context.tensor("f32", [D], random.normal(D));
  const indices = upTo(B).map((b) => B - b);
  const emptyState = () => context.tensor(dtype, [B, W - 1, D], new Float64Array(B * (W - 1) * D).fill(NaN));
  const run = (state: Tensor, parts: readonly (readonly [from: number, end: number])[]) => {
    const rows = parts.flatMap(([from, end], b) => [
      ...x.subarray((begins[b]! + from) * D, (begins[b]! + end) * D),
    ]);
    const step = {
      cuSeqlensQ: [...starts(parts.map(([from, end]) => end - from))],
      contextLens: parts.map(([, end]) => end),
      stateIndices: indices,
    };
    const input = context.tensor(dtype, [rows.length / D, D], Float64Array.from(rows));
    const options = { ...integersOf(context, step), state, bias, activation: "silu" } as const;
    return context.read(causalConv1d(context.stream, input, weight, options));
  };

  const [whole, pieces] = [emptyState(), emptyState()];
  const expected = await run(
    whole,
    lengths.map((length) => [0, length]),
  );
  const got = lengths.map((): number[] => []);
  const isRunning = (b: number): boolean => got[b]!.length < lengths[b]! * D;
  while (lengths.some((_, b) => isRunning(b))) {
    const first = lengths.findIndex((_, b) => isRunning(b));
    const parts = lengths.map((length, b): [number, number] => {
      const from = got[b]!.length / D;
      return [from, alone && b !== first ? from : Math.min(length, from + chunk)];
    });
    const values = await run(pieces, parts);
    let at = 0;
    parts.forEach(([from, end], b) => got[b]!.push(...values.subarray(at, (at += (end - from) * D))));
  }
  expectSame(got.flat(), expected, { shape: [T, D] });
  const shape = [B, W - 1, D];
  expectSame(await context.read(pieces), await context.read(whole), { shape, label: "state" });
});

describe("causalConv1d: what it refuses", () => {
  const device = openTestDevice();

  const valid = { cuSeqlensQ: [0, 1, 3], contextLens: [4, 2], stateIndices: [1, -1] };
  type Changes = Partial<Record<keyof typeof valid, readonly number[]>>;

  function run(changes: Changes, more: Partial<CausalConv1dOptions> = {}, W = 4) {
    const stream = device.createStream();
    const integers = Object.entries({ ...valid, ...changes }).map(([name, values]) => [
      name,
      stream.fromArray("i32", [values.length], Int32Array.from(values)),
    ]);
    const given = Object.fromEntries(integers) as Record<keyof typeof valid, Tensor>;
    const zeros = (...shape: number[]) =>
      stream.fromArray("f32", shape, new Float32Array(shape.reduce((a, b) => a * b, 1)));
    causalConv1d(stream, zeros(3, 8), zeros(8, W), { ...given, state: zeros(2, W - 1, 8), ...more });
    return stream.synchronize();
  }

  test("nothing, when all is well", async () => {
    await expect(run({})).resolves.toBeUndefined();
  });

  test.each([
    [{ cuSeqlensQ: [0, 3] }, {}, 4, "cuSeqlensQ: expected [3], got [2]"],
    [{ stateIndices: [0] }, {}, 4, "stateIndices: expected [B=2] (B from contextLens axis 0), got [1]"],
    [{}, { bias: device.empty("f32", [7]) }, 4, "bias: expected [D=8] (D from x axis 1), got [7]"],
    [
      {},
      { state: device.empty("f32", [2, 2, 8]) },
      4,
      "state: expected [N, 3, D=8] (D from x axis 1), got [2, 2, 8]",
    ],
    [
      {},
      { out: device.empty("f32", [2, 8]) },
      4,
      "out: expected [T=3, D=8] (T from x axis 0; D from x axis 1), got [2, 8]",
    ],
    [{}, {}, 1, "weight: expected 2 to 8 columns, got 1"],
    [{}, {}, 9, "weight: expected 2 to 8 columns, got 9"],
  ] as const)("%j %#", (changes, more, W, message) => {
    expect(() => run(changes, more, W)).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_RANGE", message: `causalConv1d: ${message}` }),
    );
  });

  test("another dtype than that of x", () => {
    expect(() => run({}, { state: device.empty("bf16", [2, 3, 8]) })).toThrow(
      "causalConv1d: state: expected dtype f32 (from x), got bf16",
    );
    expect(() => run({}, { activation: "relu" as "silu" })).toThrow(/^causalConv1d: activation: expected/);
  });

  test.each([
    [{ cuSeqlensQ: [0, 4, 3] }, /cuSeqlensQ.(0..\] = 0, 4|1..\] = 4, 3) is no range within .0, T=3/],
    [{ cuSeqlensQ: [0, -1, 3] }, /cuSeqlensQ.(0..\] = 0, -1|1..\] = -1, 3) is no range within .0, T=3/],
    [{ cuSeqlensQ: [0, 1, 2] }, "the sequences have the tokens [0, 2), the step has [0, T=3)"],
    [{ cuSeqlensQ: [1, 1, 3] }, "the sequences have the tokens [1, 3), the step has [0, T=3)"],
    [
      { cuSeqlensQ: [0], contextLens: [], stateIndices: [] },
      "the sequences have the tokens [0, 0), the step has [0, T=3)",
    ],
    [{ contextLens: [4, 1] }, "contextLens[1] = 1 is below the 2 tokens of this step"],
    [{ contextLens: [-1, 2] }, "contextLens[0] = -1 is below the 1 tokens of this step"],
    [{ stateIndices: [2, -1] }, "stateIndices[0] = 2 is outside [-1, N=2)"],
    [{ stateIndices: [1, -2] }, "stateIndices[1] = -2 is outside [-1, N=2)"],
  ])("%j: poisons the stream", async (changes: Changes, message) => {
    await expect(run(changes)).rejects.toThrow(ExecutionError);
    await expect(run(changes)).rejects.toThrow(message);
  });
});
