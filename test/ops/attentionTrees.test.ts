// Contract: a tree mask hides what its bits say of the keys of a call's own queries, on every kernel: branches of drafts see
// their ancestors alone, prompts beside them what they see without it. What a branch does not see changes nothing in it.
import { describe, expect, test } from "vitest";
import { ArgumentRangeError } from "../../lib/errors.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { attentionPlan } from "../../lib/ops/attentionPlan.js";
import { flashAttention } from "../../lib/ops/flashAttention.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { flashAttention as flashReference, type TreeMask } from "../reference/flashAttention.js";
import { pagedAttention as pagedReference } from "../reference/pagedAttention.js";
import { attentionTolerance, expectAttention, onPortableKernels } from "../support/attentionCases.js";
import { expectSame } from "../support/compare.js";
import { describeOp, openTestDevice, type OpCase, type OpContext } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";
import { starts } from "../support/starts.js";

/** Queries and keys of a sequence; `tree`: its queries are drafts, else a prompt whose bits are all set. */
interface Sequence {
  readonly Lq: number;
  readonly Lk: number;
  readonly tree: boolean;
}
const drafts = (Lq: number, Lk: number): Sequence => ({ Lq, Lk, tree: true });
const prompt = (Lq: number, Lk: number): Sequence => ({ Lq, Lk, tree: false });

interface TreeCase extends OpCase {
  readonly sequences: readonly Sequence[];
  readonly dtype: FloatDType;
  readonly Hq: number;
  readonly Hkv: number;
  readonly Dh: number;
  /** Words of a row. */
  readonly W: number;
  readonly window?: number;
  readonly softcap?: number;
  /** flashAttention only. */
  readonly causal?: false;
  /** NaN in a value of the first sequence that only the descendants of its second draft see. */
  readonly plant?: true;
}

const small = { Hq: 2, Hkv: 1, Dh: 64, W: 2 } as const;
const kinds = [drafts(1, 9), drafts(5, 70), prompt(80, 150), drafts(8, 8), drafts(40, 128), drafts(0, 5)];
const dtypes = ["f32", "bf16", "f16"] as const;

const cases: readonly TreeCase[] = [
  ...dtypes.flatMap((dtype): TreeCase[] => [
    { name: `trees and a prompt, ${dtype}`, ...small, dtype, sequences: kinds },
    { name: `a NaN of another branch, ${dtype}`, ...small, dtype, sequences: [drafts(7, 60)], plant: true },
    {
      name: `a NaN of another branch of many, ${dtype}`,
      ...small,
      dtype,
      sequences: [drafts(60, 99)],
      plant: true,
    },
    { name: `several spans, ${dtype}`, ...small, dtype, sequences: [drafts(6, 1030), drafts(40, 1060)] },
  ]),
  {
    name: "the first draft is the last key of a tile",
    ...small,
    dtype: "bf16",
    sequences: [15, 63, 127].flatMap((before) => [drafts(6, before + 6), drafts(40, before + 40)]),
  },
  {
    name: "fewer bits than queries",
    ...small,
    dtype: "bf16",
    W: 1,
    sequences: [drafts(40, 90), drafts(6, 20)],
  },
  {
    name: "a group of 7, window, softcap",
    ...small,
    Hq: 14,
    Hkv: 2,
    dtype: "bf16",
    window: 20,
    softcap: 2,
    sequences: kinds,
  },
  { name: "130 drafts", ...small, dtype: "bf16", W: 5, sequences: [drafts(130, 190)] },
  { name: "heads of 128", ...small, Dh: 128, dtype: "bf16", sequences: kinds },
  { name: "heads of 256", ...small, Dh: 256, dtype: "bf16", sequences: kinds },
];

/** Bits of each query of `sequences`, row after row: ancestors and itself, or everything. */
function treeMask(
  random: Random,
  sequences: readonly Sequence[],
  W: number,
): TreeMask & { readonly words: Int32Array } {
  const T = sequences.reduce((sum, { Lq }) => sum + Lq, 0);
  const words = new Int32Array(T * W).fill(-1);
  let first = 0;
  for (const { Lq, tree } of sequences) {
    for (let i = 0; tree && i < Lq; i++) {
      const row = words.subarray((first + i) * W, (first + i + 1) * W).fill(0);
      const parent = i === 0 ? -1 : random.integer(-1, i);
      if (parent >= 0) row.set(words.subarray((first + parent) * W, (first + parent + 1) * W));
      if (i < 32 * W) row[i >> 5]! |= 1 << (i % 32);
    }
    first += Lq;
  }
  return { words, W };
}

/** The parts of a case that both ops have; keys of all sequences lie one behind the other. */
function inputs({ sequences, Hq, Hkv, Dh, dtype, W, plant }: TreeCase) {
  const random = new Random(51);
  const cuQ = starts(sequences.map(({ Lq }) => Lq));
  const cuK = starts(sequences.map(({ Lk }) => Lk));
  const q = random.normal(cuQ.at(-1)! * Hq * Dh, { dtype });
  const [k, v] = [0, 1].map(() => random.normal(cuK.at(-1)! * Hkv * Dh, { dtype })) as [
    Float64Array,
    Float64Array,
  ];
  const mask = treeMask(random, sequences, W);
  const planted = sequences[0]!.Lk - sequences[0]!.Lq + 1;
  if (plant) v[planted * Hkv * Dh] = NaN;
  return { cuQ, cuK, q, k, v, mask };
}

const tolerance = (context: OpContext, { dtype, sequences, Dh }: TreeCase, { shape }: Tensor) =>
  attentionTolerance(context, { dtype, shape, reduction: Math.max(...sequences.map(({ Lk }) => Lk)) + Dh });

describeOp("pagedAttention of trees", onPortableKernels("pagedAttention", cases), async (context, c) => {
  const { sequences, Hq, Hkv, Dh, dtype, W, window = 0, softcap = 0 } = c;
  const Ps = 16;
  const { cuQ, cuK, q, k, v, mask } = inputs(c);
  const counts = sequences.map(({ Lk }) => Math.ceil(Lk / Ps));
  const [first, Pmax, B] = [starts(counts), Math.max(...counts), sequences.length];
  const table = new Int32Array(B * Pmax).fill(-1);
  const [kPages, vPages] = [k, v].map((rows) => {
    const pages = new Float64Array(first.at(-1)! * Ps * Hkv * Dh).fill(NaN);
    for (const [b, { Lk }] of sequences.entries()) {
      for (let i = 0; i < counts[b]!; i++) table[b * Pmax + i] = first[b]! + i;
      const own = rows.subarray(cuK[b]! * Hkv * Dh, (cuK[b]! + Lk) * Hkv * Dh);
      pages.set(own, first[b]! * Ps * Hkv * Dh);
    }
    return pages;
  }) as [Float64Array, Float64Array];
  const [rows, lens] = [Int32Array.from(sequences, (_, b) => b), Int32Array.from(sequences, ({ Lk }) => Lk)];
  const [T, P] = [cuQ.at(-1)!, first.at(-1)!];
  const tensors = [
    context.tensor(dtype, [T, Hq, Dh], q),
    context.tensor(dtype, [P, Ps, Hkv, Dh], kPages),
    context.tensor(dtype, [P, Ps, Hkv, Dh], vPages),
    context.integers([B, Pmax], table),
    context.integers([B], rows),
    context.integers([B + 1], cuQ),
    context.integers([B], lens),
  ] as const;
  const bits = context.integers([T, W], mask.words);
  const lse = context.stream.empty("f32", [T, Hq]);
  const out = pagedAttention(context.stream, ...tensors, { window, softcap, treeMask: bits, lse });
  const plan = attentionPlan(context.stream, ...([tensors[3], tensors[4], tensors[5], tensors[6]] as const), {
    ...{ numQueries: T, numHeads: Hq, numKvHeads: Hkv, headDim: Dh, pageSize: Ps, window, dtype },
  });
  const planned = pagedAttention(context.stream, ...tensors, { window, softcap, treeMask: bits, plan });
  const sizes = { Hq, Hkv, Dh, Dv: Dh, Ps, Pmax };
  const expected = pagedReference(q, kPages, vPages, table, rows, cuQ, lens, sizes, {
    ...{ window, softcap, treeMask: mask },
  });
  await expectAttention(context, tolerance(context, c, out), [out, lse], expected);
  expectSame(await planned.readFloat32(context.stream), await out.readFloat32(context.stream), {
    ...{ shape: out.shape, label: "with a plan" },
  });
});

const flashCases: readonly TreeCase[] = [
  ...onPortableKernels("flashAttention", cases),
  { name: "not causal", ...small, dtype: "bf16", causal: false, sequences: kinds },
  {
    name: "not causal, a NaN of another branch",
    ...small,
    dtype: "bf16",
    causal: false,
    sequences: [drafts(7, 60)],
    plant: true,
  },
  {
    name: "not causal, more queries than keys",
    ...small,
    dtype: "bf16",
    causal: false,
    sequences: [prompt(9, 5), drafts(6, 4)],
  },
];

describeOp("flashAttention of trees", flashCases, async (context, c) => {
  const { Hq, Hkv, Dh, dtype, W, window = 0, softcap = 0, causal = true } = c;
  const { cuQ, cuK, q, k, v, mask } = inputs(c);
  const [T, S] = [cuQ.at(-1)!, cuK.at(-1)!];
  const options = { window, softcap, causal };
  const lse = context.stream.empty("f32", [T, Hq]);
  const out = flashAttention(
    context.stream,
    context.tensor(dtype, [T, Hq, Dh], q),
    context.tensor(dtype, [S, Hkv, Dh], k),
    context.tensor(dtype, [S, Hkv, Dh], v),
    {
      ...options,
      lse,
      treeMask: context.integers([T, W], mask.words),
      cuSeqlensQ: context.integers([cuQ.length], cuQ),
      cuSeqlensK: context.integers([cuK.length], cuK),
    },
  );
  const expected = flashReference(
    q,
    k,
    v,
    { Hq, Hkv, Dh, Dv: Dh },
    {
      ...options,
      ...{ cuSeqlensQ: cuQ, cuSeqlensK: cuK, treeMask: mask },
    },
  );
  await expectAttention(context, tolerance(context, c, out), [out, lse], expected);
});

describe("a tree mask", () => {
  test("whose bits are all set gives the bits of a call without it", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const tensor = (shape: readonly number[], seed: number) => {
      const count = shape.reduce((product, size) => product * size, 1);
      return stream.fromArray("f32", shape, Float32Array.from(new Random(seed).normal(count)));
    };
    const tensors = [tensor([30, 2, 32], 1), tensor([90, 1, 32], 2), tensor([90, 1, 32], 3)] as const;
    const whole = stream.fromArray("i32", [30, 1], new Int32Array(30).fill(-1));
    const [plain, masked] = [{}, { treeMask: whole }].map((options) =>
      flashAttention(stream, ...tensors, options),
    );
    expect(await masked!.readFloat32(stream)).toEqual(await plain!.readFloat32(stream));
  });

  test("has a row for each query, and no queryOffsets beside it", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const [q, pages] = [stream.empty("f32", [3, 1, 16]), stream.empty("f32", [1, 8, 1, 16])];
    const integers = (values: readonly number[], shape: readonly number[] = [values.length]) =>
      stream.fromArray("i32", shape, Int32Array.from(values));
    const call = (options: Parameters<typeof pagedAttention>[8]) => () =>
      pagedAttention(
        stream,
        q,
        pages,
        pages,
        integers([0], [1, 1]),
        integers([0]),
        integers([0, 3]),
        integers([3]),
        options,
      );
    expect(call({ treeMask: integers([1, 1], [2, 1]) })).toThrow(/treeMask/);
    expect(call({ treeMask: stream.empty("f32", [3, 1]) })).toThrow(/treeMask/);
    const both = call({ treeMask: integers([1, 3, 7], [3, 1]), queryOffsets: integers([0]) });
    expect(both).toThrow(ArgumentRangeError);
    expect(both).toThrow(/treeMask/);
  });
});
