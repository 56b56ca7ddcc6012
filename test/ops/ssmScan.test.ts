// Contract: ssmScan runs each sequence from its state, or from zeros where it begins, keeps the state behind its last token, has the
// same bits in chunks of any sizes, and refuses what lies outside tokens and state.
import { describe, expect, test } from "vitest";
import type { Tensor } from "../../lib/device/tensor.js";
import { ExecutionError } from "../../lib/errors.js";
import { ssmScan, type SsmScanOptions } from "../../lib/ops/ssmScan.js";
import { ssmScan as reference } from "../reference/ssmScan.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, inEachDType, type OpCase, type OpContext, openTestDevice } from "../support/devices.js";
import { type FloatDType, roundTo } from "../support/dtype.js";
import { Random } from "../support/random.js";
import { starts } from "../support/starts.js";

interface Case extends OpCase {
  readonly dtype?: FloatDType;
  /** Default 2, 8, 1 and 8. */
  readonly H?: number;
  readonly P?: number;
  readonly G?: number;
  readonly N?: number;
  /** Tokens of each sequence in this step. */
  readonly counts: readonly number[];
  /** Tokens of each sequence before this step; 0: it begins, and its state holds NaN. Default 0, 1, 2, ... */
  readonly before?: readonly number[];
  /** How many sequences, from the last, have no place in the state. */
  readonly padding?: number;
  /** S. Default B + 2. */
  readonly places?: number;
  /** Without skip and dtBias. */
  readonly bare?: true;
  /** Rows between margins, misaligned; or tokens as columns of wider rows, and a state of wider blocks, as models have them. */
  readonly strided?: "all" | "model";
  readonly dtMin?: number;
  readonly dtMax?: number;
  /** Mean and deviation of dt. Default -1 and 1. */
  readonly dt?: readonly [number, number];
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);
/** Sizes around vectors and tiles: the race checker takes seconds for each. */
const tails = [...upTo(5), 7, 8, 9, 15, 16, 17, 31, 32, 33];
const ones = (count: number): number[] => new Array<number>(count).fill(1);
const mixed = { counts: [5, 1, 0, 12, 3, 2], before: [0, 7, 3, 0, 1, 30] };
const few = { counts: [3, 1, 2], before: [0, 4, 9] };

const cases: readonly Case[] = [
  { name: "smallest", H: 1, P: 1, N: 1, counts: [1] },
  { name: "no tokens", counts: [] },
  { name: "no tokens of two sequences", counts: [0, 0] },
  { name: "no heads", H: 0, counts: [3] },
  { name: "no channels", P: 0, counts: [3] },
  { name: "padding alone, no places", counts: [3, 1], padding: 2, places: 0 },
  { name: "an empty place beside none", counts: [0, 3, 0], before: [0, 4, 4] },
  ...inEachDType([
    { name: "sequences of all kinds", P: 64, N: 64, ...mixed },
    { name: "sequences of all kinds, bare", P: 24, N: 16, ...mixed, bare: true as const },
    { name: "groups", H: 6, G: 3, P: 16, N: 32, ...mixed },
    { name: "a group for each head", H: 3, G: 3, P: 20, N: 12, ...mixed },
    { name: "padding", P: 40, counts: [1, 1, 1, 4], before: [5, 0, 1, 9], padding: 2 },
    { name: "strided rows", P: 37, N: 19, ...mixed, strided: "all" as const },
    { name: "as in a model", H: 4, G: 2, P: 64, N: 128, ...few, strided: "model" as const },
    { name: "an odd width between vectors", P: 33, N: 32, ...mixed, strided: "model" as const },
  ]),
  ...tails.map((P) => ({ name: `${P} channels`, H: 1, P, N: 4, ...mixed })),
  ...tails.map((N) => ({ name: `states of ${N}`, H: 1, P: 5, N, ...mixed, dtype: "bf16" as const })),
  ...tails.map((count) => ({ name: `a sequence of ${count}`, H: 1, counts: [count], before: [3] })),
  ...[63, 64, 65, 66, 127, 128, 129].map((P) => ({ name: "channels over blocks", H: 2, P, N: 8, ...few })),
  ...[63, 64, 65, 127, 128, 129, 255, 256].map((N) => ({ name: "states over slices", P: 12, N, ...few })),
  { name: "decodes", H: 3, P: 32, N: 64, dtype: "bf16", counts: ones(9) },
  { name: "decodes behind a chunk", P: 32, N: 16, dtype: "bf16", counts: [19, ...ones(5)] },
  { name: "tokens over tiles", P: 9, counts: [15, 16, 17, 32, 33], before: [1, 0, 9, 2, 0] },
  { name: "steps near zero", P: 16, N: 16, ...mixed, dt: [-30, 4] },
  { name: "steps that forget all", P: 16, N: 16, ...mixed, dt: [60, 20] },
  { name: "softplus around its bends", P: 16, N: 16, counts: [40], dt: [0, 12] },
  { name: "steps that overflow their exponential", P: 16, N: 16, ...mixed, dt: [-200, 1] },
  { name: "limits of a config without infinity", P: 16, N: 16, ...mixed, dtMin: 0, dtMax: 1e30 },
  { name: "limits that bind", P: 16, N: 16, ...mixed, dtMin: 0.05, dtMax: 0.3 },
  { name: "one step for all", P: 16, N: 16, ...mixed, dtMin: 0.1, dtMax: 0.1 },
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

/** [outer, ...inner] as a view of rows that hold 8 elements in front and 4 behind: aligned as wider projections are. */
function inWiderRows(
  context: OpContext,
  dtype: FloatDType,
  [outer = 0, ...inner]: readonly number[],
  values: Float64Array,
): Tensor {
  const width = inner.reduce((product, size) => product * size, 1);
  const padded = new Float64Array(outer * (width + 12)).fill(NaN);
  for (let row = 0; row < outer; row++)
    padded.set(values.subarray(row * width, (row + 1) * width), row * (width + 12) + 8);
  const view = context.tensor(dtype, [outer, width + 12], padded).slice(1, 8, 8 + width);
  return inner.length === 1 ? view : view.splitLast(...inner);
}

/** The inputs of so many tokens, rounded to their dtypes. */
function makeInputs(c: Case, T: number, random: Random) {
  const { H = 2, P = 8, G = 1, N = 8, dtype = "f32", dt: [mean, deviation] = [-1, 1] } = c;
  const steps = random.normal(T * H, { std: deviation }).map((value) => value + mean);
  return {
    sizes: { H, P, G, N },
    x: random.normal(T * H * P, { dtype }),
    dt: roundTo(dtype, steps),
    a: random.normal(H).map((value) => -Math.fround(Math.exp(value))),
    b: random.normal(T * G * N, { dtype }),
    c: random.normal(T * G * N, { dtype }),
    skip: random.normal(H),
    dtBias: random.normal(H),
  };
}

describeOp("ssmScan", cases, async (context, c) => {
  const { dtype = "f32", bare = false, dtMin, dtMax } = c;
  const random = new Random(31);
  const step = makeStep(c, random);
  const [T, S] = [step.cuSeqlensQ.at(-1)!, c.places ?? c.counts.length + 2];
  const inputs = makeInputs(c, T, random);
  const { H, P, G, N } = inputs.sizes;
  const state = random.normal(S * H * N * P);
  spoilBeginnings(state, step, H * N * P);
  const place = (of: FloatDType, shape: readonly number[], data: Float64Array): Tensor => {
    if (c.strided === "all") return context.stridedRows(of, shape, data, { before: 3, after: 2 });
    return c.strided ? inWiderRows(context, of, shape, data) : context.tensor(of, shape, data);
  };

  const shape = [S, H, N, P];
  const kept = place("f32", shape, state);
  const factors = { skip: inputs.skip, dtBias: inputs.dtBias };
  const limits = { ...(dtMin !== undefined && { dtMin }), ...(dtMax !== undefined && { dtMax }) };
  const out = ssmScan(
    context.stream,
    place(dtype, [T, H, P], inputs.x),
    place(dtype, [T, H], inputs.dt),
    context.tensor("f32", [H], inputs.a),
    place(dtype, [T, G, N], inputs.b),
    place(dtype, [T, G, N], inputs.c),
    {
      ...integersOf(context, step),
      ...limits,
      state: kept,
      ...(!bare && {
        skip: context.tensor("f32", [H], inputs.skip),
        dtBias: context.tensor("f32", [H], inputs.dtBias),
      }),
      ...(c.strided === "all" && { out: place(dtype, [T, H, P], new Float64Array(T * H * P)) }),
    },
  );

  const expected = reference(inputs.x, inputs.dt, inputs.a, inputs.b, inputs.c, inputs.sizes, {
    ...{ ...step, state, ...limits },
    ...(!bare && factors),
  });
  expect(out.shape).toEqual([T, H, P]);
  expect(out.dtype).toBe(dtype);
  // A state is a sum over the tokens, what comes out one over N of them, any of which may cancel.
  const reduction = N + Math.max(0, ...c.counts);
  expectClose(await context.read(out), expected.out, { dtype, shape: [T * H * P], reduction, ops: 2 });
  const changed = T * H * P > 0 ? expected.state : state;
  const close = { dtype: "f32", shape: [S, H * N * P], reduction, ops: 2, label: "state" } as const;
  expectClose(await context.read(kept), changed, close);
});

interface ChunkCase extends OpCase {
  readonly dtype: FloatDType;
  readonly N: number;
  /** Tokens of a sequence that each step runs. */
  readonly chunk: number;
  /** One sequence per step instead of all of them side by side. */
  readonly alone?: true;
}

const chunkCases: readonly ChunkCase[] = inEachDType(
  [16, 72].flatMap((N) => [
    ...[1, 3, 16, 20].map((chunk) => ({ name: `chunks of ${chunk}`, N, chunk })),
    { name: "chunks of 5, alone", N, chunk: 5, alone: true as const },
  ]),
);

describeOp("ssmScan: chunks have the bits of the whole", chunkCases, async (context, c) => {
  const { dtype, N, chunk, alone = false } = c;
  const lengths = [19, 5, 1, 34];
  const random = new Random(32);
  const begins = starts(lengths);
  const [B, T] = [lengths.length, begins.at(-1)!];
  const inputs = makeInputs({ name: "", counts: lengths, dtype, N, H: 1, P: 6 }, T, random);
  const { H, P, G } = inputs.sizes;
  const [a, skip, dtBias] = (["a", "skip", "dtBias"] as const).map((name) => {
    return context.tensor("f32", [H], inputs[name]);
  }) as [Tensor, Tensor, Tensor];
  const indices = upTo(B).map((b) => B - b);
  const emptyState = () => context.tensor("f32", [B, H, N, P], new Float64Array(B * H * N * P).fill(NaN));
  const run = (state: Tensor, parts: readonly (readonly [from: number, end: number])[]) => {
    const rows = (values: Float64Array, ...shape: number[]): Tensor => {
      const width = shape.reduce((product, size) => product * size, 1);
      const taken = parts.flatMap(([from, end], b) => [
        ...values.subarray((begins[b]! + from) * width, (begins[b]! + end) * width),
      ]);
      return context.tensor(dtype, [taken.length / width, ...shape], Float64Array.from(taken));
    };
    const step = {
      cuSeqlensQ: [...starts(parts.map(([from, end]) => end - from))],
      contextLens: parts.map(([, end]) => end),
      stateIndices: indices,
    };
    const [b, read] = [rows(inputs.b, G, N), rows(inputs.c, G, N)];
    const options = { ...integersOf(context, step), state, skip, dtBias };
    return context.read(
      ssmScan(context.stream, rows(inputs.x, H, P), rows(inputs.dt, H), a, b, read, options),
    );
  };

  const [whole, pieces] = [emptyState(), emptyState()];
  const expected = await run(
    whole,
    lengths.map((length) => [0, length]),
  );
  const width = H * P;
  const got = lengths.map((): number[] => []);
  const isRunning = (b: number): boolean => got[b]!.length < lengths[b]! * width;
  while (lengths.some((_, b) => isRunning(b))) {
    const first = lengths.findIndex((_, b) => isRunning(b));
    const parts = lengths.map((length, b): [number, number] => {
      const from = got[b]!.length / width;
      return [from, alone && b !== first ? from : Math.min(length, from + chunk)];
    });
    const values = await run(pieces, parts);
    let at = 0;
    parts.forEach(([from, end], b) => got[b]!.push(...values.subarray(at, (at += (end - from) * width))));
  }
  expectSame(got.flat(), expected, { shape: [T, H, P] });
  const shape = [B, H, N, P];
  expectSame(await context.read(pieces), await context.read(whole), { shape, label: "state" });
});

describe("ssmScan: what it refuses", () => {
  const device = openTestDevice();

  const valid = { cuSeqlensQ: [0, 1, 3], contextLens: [4, 2], stateIndices: [1, -1] };
  type Changes = Partial<Record<keyof typeof valid, readonly number[]>>;
  type Tensors = Partial<Record<"x" | "dt" | "a" | "b" | "c", Tensor>>;

  /** Three tokens of two sequences; H = 4, P = 8, G = 2, N = 16. */
  function run(changes: Changes, more: Partial<SsmScanOptions> = {}, tensors: Tensors = {}) {
    const stream = device.createStream();
    const integers = Object.entries({ ...valid, ...changes }).map(([name, values]) => [
      name,
      stream.fromArray("i32", [values.length], Int32Array.from(values)),
    ]);
    const given = Object.fromEntries(integers) as Record<keyof typeof valid, Tensor>;
    const zeros = (...shape: number[]) =>
      stream.fromArray("f32", shape, new Float32Array(shape.reduce((a, b) => a * b, 1)));
    const { x = zeros(3, 4, 8), dt = zeros(3, 4), a = zeros(4) } = tensors;
    const { b = zeros(3, 2, 16), c = zeros(3, 2, 16) } = tensors;
    ssmScan(stream, x, dt, a, b, c, { ...given, state: zeros(2, 4, 16, 8), ...more });
    return stream.synchronize();
  }
  const empty = (...shape: number[]) => device.empty("f32", shape);

  test("nothing, when all is well", async () => {
    await expect(run({})).resolves.toBeUndefined();
  });

  test.each([
    [{ cuSeqlensQ: [0, 3] }, {}, {}, "cuSeqlensQ: expected [3], got [2]"],
    [{ stateIndices: [0] }, {}, {}, "stateIndices: expected [B=2] (B from contextLens axis 0), got [1]"],
    [{}, { skip: empty(5) }, {}, "skip: expected [H=4] (H from x axis 1), got [5]"],
    [{}, { dtBias: empty(5) }, {}, "dtBias: expected [H=4] (H from x axis 1), got [5]"],
    [
      {},
      { state: empty(2, 4, 8, 16) },
      {},
      "state: expected [S, H=4, N=16, P=8] (H from x axis 1; N from b axis 2; P from x axis 2), got [2, 4, 8, 16]",
    ],
    [
      {},
      { out: empty(3, 4, 9) },
      {},
      "out: expected [T=3, H=4, P=8] (T from x axis 0; H from x axis 1; P from x axis 2), got [3, 4, 9]",
    ],
    [{}, {}, { dt: empty(2, 4) }, "dt: expected [T=3, H=4] (T from x axis 0; H from x axis 1), got [2, 4]"],
    [{}, {}, { b: empty(3, 3, 16) }, "b: expected groups that divide the heads of x, got 3"],
    [{}, {}, { b: empty(3, 0, 16) }, "b: expected groups that divide the heads of x, got 0"],
    [{}, {}, { b: empty(3, 2, 257) }, "b: expected 1 to 256 columns, got 257"],
    [{}, {}, { b: empty(3, 2, 0) }, "b: expected 1 to 256 columns, got 0"],
    [
      {},
      {},
      { c: empty(3, 2, 15) },
      "c: expected [T=3, G=2, N=16] (T from x axis 0; G from b axis 1; N from b axis 2), got [3, 2, 15]",
    ],
    [{}, { dtMin: -1 }, {}, "dtMin: expected a number from 0 to dtMax, got -1"],
    [{}, { dtMin: 2, dtMax: 1 }, {}, "dtMin: expected a number from 0 to dtMax, got 2"],
    [{}, { dtMax: NaN }, {}, "dtMax: expected a number from 0 on, got nan"],
  ] as const)("%j %#", (changes, more, tensors, message) => {
    expect(() => run(changes, more, tensors)).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_RANGE", message: `ssmScan: ${message}` }),
    );
  });

  test("another dtype than that of x, a state that is not f32", () => {
    expect(() => run({}, {}, { dt: device.empty("bf16", [3, 4]) })).toThrow(
      "ssmScan: dt: expected dtype f32 (from x), got bf16",
    );
    expect(() => run({}, { state: device.empty("bf16", [2, 4, 16, 8]) })).toThrow(
      "ssmScan: state: expected dtype f32, got bf16",
    );
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
    [{ stateIndices: [2, -1] }, "stateIndices[0] = 2 is outside [-1, S=2)"],
    [{ stateIndices: [1, -2] }, "stateIndices[1] = -2 is outside [-1, S=2)"],
  ])("%j: poisons the stream", async (changes: Changes, message) => {
    await expect(run(changes)).rejects.toThrow(ExecutionError);
    await expect(run(changes)).rejects.toThrow(message);
  });
});
