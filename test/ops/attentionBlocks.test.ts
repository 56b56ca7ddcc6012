// Contract: with a block mask a query attends to the blocks of 64 keys that its bits name, on every kernel, beside every other mask. What
// it does not attend to changes nothing in its row, and tiles that are hidden from all are not read.
import { describe, expect, test } from "vitest";
import { ArgumentRangeError } from "../../lib/errors.js";
import { native } from "../../lib/device/native.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { attentionPlan } from "../../lib/ops/attentionPlan.js";
import { flashAttention } from "../../lib/ops/flashAttention.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import {
  type BlockMask,
  flashAttention as flashReference,
  type TreeMask,
} from "../reference/flashAttention.js";
import { type CodeDType, fromCodes, toCodes } from "../reference/kvCodes.js";
import { pagedAttention as pagedReference } from "../reference/pagedAttention.js";
import { attentionTolerance, expectAttention, onPortableKernels } from "../support/attentionCases.js";
import { expectSame } from "../support/compare.js";
import { describeOp, type OpCase, OpContext, openTestDevice, withEnvironment } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import type { Lengths } from "../support/hiddenKeys.js";
import { Random } from "../support/random.js";
import { someOf } from "../support/seed.js";
import { starts } from "../support/starts.js";

interface BlockCase extends OpCase {
  readonly lengths: readonly Lengths[];
  readonly dtype: FloatDType;
  readonly Hq: number;
  readonly Hkv: number;
  readonly Dh: number;
  /** Words of a row. */
  readonly W: number;
  /** The mask has one row for all KV heads. */
  readonly shared?: true;
  /** Of blocks that a query attends to. Default 0.4. */
  readonly share?: number;
  readonly window?: number;
  readonly softcap?: number;
  readonly sinks?: true;
  /** A tree mask beside it, random bits for the first 32 queries of each sequence. */
  readonly tree?: true;
  /** All queries have the same bits. */
  readonly alike?: true;
  /** NaN in a key of block 1 and a value of block 2 of each sequence, infinities in block 3, to which no query attends. */
  readonly plant?: true;
  /** No query attends to the blocks 4 to 7 and 12 to 19; with pages of 64 or less these are not in the table. */
  readonly gone?: true;
  /** flashAttention only. */
  readonly causal?: false;
  /** pagedAttention only. */
  readonly Ps?: number;
  readonly queryOffset?: number;
  readonly pages?: CodeDType;
}

const small = { Hq: 2, Hkv: 1, Dh: 64, W: 1 } as const;
const heads = { Hq: 4, Hkv: 2, Dh: 64, W: 1 } as const;
const kinds: Lengths[] = [
  [1, 9],
  [5, 200],
  [80, 300],
  [8, 8],
  [0, 5],
  [1, 700],
  [20, 129],
];
const long: Lengths[] = [
  [1, 1400],
  [6, 1030],
  [40, 1360],
];
const dtypes = ["f32", "bf16", "f16"] as const;

const shared: readonly BlockCase[] = [
  ...dtypes.flatMap((dtype): BlockCase[] => [
    { name: `sequences of all kinds, ${dtype}`, ...heads, dtype, lengths: kinds },
    { name: `one row for all heads, ${dtype}`, ...heads, dtype, shared: true, lengths: kinds },
    { name: `several spans, ${dtype}`, ...small, dtype, share: 0.2, lengths: long },
    { name: `NaN in hidden blocks, ${dtype}`, ...heads, dtype, plant: true, lengths: kinds },
    { name: `NaN in hidden blocks, spans, ${dtype}`, ...small, dtype, plant: true, lengths: long },
    { name: `tiles that are gone, ${dtype}`, ...heads, dtype, gone: true, lengths: long },
  ]),
  { name: "no blocks", ...heads, dtype: "bf16", share: 0, lengths: kinds },
  { name: "no blocks, sinks", ...heads, dtype: "bf16", share: 0, sinks: true, lengths: kinds },
  { name: "few of many", ...small, dtype: "bf16", W: 2, share: 0.05, lengths: [...long, [1, 4500]] },
  { name: "fewer bits than keys", ...small, dtype: "bf16", share: 0.9, lengths: [[3, 2300]] },
  { name: "more words than keys", ...small, dtype: "bf16", W: 3, lengths: kinds },
  { name: "a window", ...heads, dtype: "bf16", window: 90, lengths: kinds },
  { name: "softcap and sinks", ...heads, dtype: "bf16", softcap: 2, sinks: true, lengths: kinds },
  { name: "a tree mask beside it", ...heads, dtype: "bf16", share: 0.7, tree: true, lengths: kinds },
  { name: "a group of 7", ...heads, Hq: 14, dtype: "bf16", lengths: kinds },
  { name: "heads of their own", ...heads, Hq: 3, Hkv: 3, dtype: "bf16", lengths: kinds },
  { name: "several tiles of rows", ...small, Hq: 1, dtype: "bf16", lengths: [[150, 420]] },
  { name: "heads of 128", ...heads, Dh: 128, dtype: "bf16", lengths: kinds },
  { name: "heads of 192", ...small, Dh: 192, dtype: "bf16", lengths: kinds },
  { name: "heads of 256", ...small, Dh: 256, dtype: "bf16", lengths: kinds },
];

/** Bits of `random`, row after row. */
function blockMask(random: Random, c: BlockCase, T: number): BlockMask & { readonly words: Int32Array } {
  const { W, share = 0.4 } = c;
  const rows = c.shared ? 1 : c.Hkv;
  const words = new Int32Array(T * rows * W);
  for (let row = 0; row < T * rows; row++)
    for (let block = 0; block < 32 * W; block++) {
      if (c.plant && block === 3) continue;
      if (c.gone && ((block >= 4 && block < 8) || (block >= 12 && block < 20))) continue;
      if (random.uniform(0, 1) < share) words[row * W + (block >> 5)]! |= 1 << (block % 32);
    }
  if (c.alike) for (let t = 1; t < T; t++) words.copyWithin(t * rows * W, 0, rows * W);
  return { words, heads: rows, W };
}

function inputs(c: BlockCase) {
  const { lengths, Hq, Hkv, Dh, dtype, plant } = c;
  const random = new Random(61);
  const cuQ = starts(lengths.map(([Lq]) => Lq));
  const cuK = starts(lengths.map(([, Lk]) => Lk));
  const [T, S] = [cuQ.at(-1)!, cuK.at(-1)!];
  const q = random.normal(T * Hq * Dh, { dtype });
  const [k, v] = [0, 1].map(() => random.normal(S * Hkv * Dh, { dtype })) as [Float64Array, Float64Array];
  for (const [b, [, Lk]] of plant ? lengths.entries() : []) {
    const at = (key: number) => (cuK[b]! + key) * Hkv * Dh;
    if (Lk > 70) k[at(70)] = NaN;
    if (Lk > 140) v[at(140)] = NaN;
    if (Lk > 200) for (const to of [k, v]) to.fill(Infinity, at(200), at(201));
  }
  const mask = blockMask(random, c, T);
  const tree: TreeMask & { words: Int32Array } = {
    words: new Int32Array(T).map(() => random.integer(-(2 ** 31), 2 ** 31)),
    W: 1,
  };
  const sinks = c.sinks && Float64Array.from({ length: Hq }, (_, h) => h - 1);
  return { T, S, cuQ, cuK, q, k, v, mask, sinks, ...(c.tree && { tree }) };
}

/** The options of both ops, and of their references. */
function maskOptions(context: OpContext, c: BlockCase, { T, mask, tree, sinks }: ReturnType<typeof inputs>) {
  const scores = { window: c.window ?? 0, softcap: c.softcap ?? 0 };
  const wide = new Int32Array(T * mask.heads * (mask.W + 1)).fill(-1); // rows are strided
  for (let row = 0; row < T * mask.heads; row++)
    wide.set(mask.words.subarray(row * mask.W, (row + 1) * mask.W), row * (mask.W + 1));
  return {
    options: {
      ...scores,
      blockMask: context.integers([T, mask.heads, mask.W + 1], wide).slice(-1, 0, mask.W),
      treeMask: tree && context.integers([T, 1], tree.words),
      sinks: sinks && context.tensor("f32", [c.Hq], sinks),
    },
    expected: { ...scores, blockMask: mask, treeMask: tree, sinks },
  };
}

const tolerance = (context: OpContext, { dtype, lengths, Dh }: BlockCase, { shape }: Tensor) =>
  attentionTolerance(context, { dtype, shape, reduction: Math.max(...lengths.map(([, Lk]) => Lk)) + Dh });

const codes = (["i8", "fp8e4m3"] as const).flatMap((pages): BlockCase[] => [
  { name: `${pages} pages`, ...heads, dtype: "bf16", pages, lengths: kinds },
  { name: `${pages} pages, heads of 128, NaN`, ...heads, Dh: 128, dtype: "bf16", pages, lengths: kinds },
  { name: `${pages} pages, spans, f32`, ...small, dtype: "f32", pages, gone: true, lengths: long },
]);
const pagedCases = onPortableKernels("pagedAttention", [
  ...shared,
  ...codes,
  { name: "pages of 7", ...small, Ps: 7, dtype: "bf16", lengths: kinds },
  { name: "pages of 256", ...small, Ps: 256, dtype: "bf16", lengths: kinds },
  { name: "queries farther back", ...small, queryOffset: 70, dtype: "bf16", lengths: kinds },
  { name: "queries before the last keys", ...small, queryOffset: -70, dtype: "bf16", lengths: kinds },
]);

/** Keys and values in pages of their own; those of blocks that are gone are in no table. */
function inPages(c: BlockCase, { cuK, k, v }: ReturnType<typeof inputs>) {
  const { lengths, Hkv, Dh, Ps = 16 } = c;
  const counts = lengths.map(([, Lk]) => Math.ceil(Lk / Ps));
  const [first, Pmax] = [starts(counts), Math.max(...counts)];
  const P = first.at(-1)!;
  const table = new Int32Array(lengths.length * Pmax).fill(-1);
  const [kPages, vPages] = [k, v].map((rows) => {
    const pages = new Float64Array(P * Ps * Hkv * Dh).fill(c.pages ? 1 : NaN);
    for (const [b, [, Lk]] of lengths.entries()) {
      for (let i = 0; i < counts[b]!; i++) {
        const block = Math.floor((i * Ps) / 64);
        const isGone = c.gone && ((block >= 4 && block < 8) || (block >= 12 && block < 20));
        table[b * Pmax + i] = isGone ? P + 1000 : first[b]! + i;
      }
      pages.set(rows.subarray(cuK[b]! * Hkv * Dh, (cuK[b]! + Lk) * Hkv * Dh), first[b]! * Ps * Hkv * Dh);
    }
    return pages;
  }) as [Float64Array, Float64Array];
  return { P, Ps, Pmax, table, kPages, vPages };
}

describeOp("pagedAttention of blocks", someOf(pagedCases, pagedCases.length / 8), async (context, c) => {
  const { lengths, Hq, Hkv, Dh, dtype, pages } = c;
  const made = inputs(c);
  const { P, Ps, Pmax, table, kPages, vPages } = inPages(c, made);
  const { T, cuQ, q } = made;
  const B = lengths.length;
  const [rows, lens] = [Int32Array.from(lengths, (_, b) => b), Int32Array.from(lengths, ([, Lk]) => Lk)];
  const kept = pages && ([kPages, vPages].map((x) => toCodes(pages, x, Dh)) as [Codes, Codes]);
  const ArrayType = pages === "i8" ? Int8Array : Uint8Array;
  const sides = [kPages, vPages].map((x, i) =>
    kept
      ? context.stream.fromArray(pages, [P, Ps, Hkv, Dh], ArrayType.from(kept[i]!.codes))
      : context.tensor(dtype, [P, Ps, Hkv, Dh], x),
  ) as [Tensor, Tensor];
  const [slots, contexts] = [rows, lens].map((x) => context.integers([B], x)) as [Tensor, Tensor];
  const sequences = [
    ...([context.integers([B, Pmax], table), slots, context.integers([B + 1], cuQ), contexts] as const),
  ] as const;
  const { options: masks, expected: known } = maskOptions(context, c, made);
  const offsets = c.queryOffset === undefined ? undefined : new Int32Array(B).fill(c.queryOffset);
  const queryOffsets = offsets && context.integers([B], offsets);
  const [kScales, vScales] = (kept ?? []).map(({ scales }) => context.tensor("f32", [P, Ps, Hkv], scales));
  const options = { ...masks, queryOffsets, kScales, vScales };
  const call = [context.tensor(dtype, [T, Hq, Dh], q), ...sides, ...sequences] as const;
  const lse = context.stream.empty("f32", [T, Hq]);
  const out = pagedAttention(context.stream, ...call, { ...options, lse });
  const plan = attentionPlan(context.stream, ...sequences, {
    ...{ numQueries: T, numHeads: Hq, numKvHeads: Hkv, headDim: Dh, pageSize: Ps, window: known.window },
    ...{ dtype, queryOffsets, ...(pages && { kvDtype: pages }) },
  });
  const planned = pagedAttention(context.stream, ...call, { ...options, plan });
  const [keys, values] = kept ? kept.map((x) => fromCodes(pages, x, Dh)) : [kPages, vPages];
  const sizes = { Hq, Hkv, Dh, Dv: Dh, Ps, Pmax };
  const expected = pagedReference(q, keys!, values!, table, rows, cuQ, lens, sizes, {
    ...{ ...known, ...(offsets && { queryOffsets: offsets }) },
  });
  await expectAttention(context, tolerance(context, c, out), [out, lse], expected);
  expectSame(await planned.readFloat32(context.stream), await out.readFloat32(context.stream), {
    ...{ shape: out.shape, label: "with a plan" },
  });
});
type Codes = ReturnType<typeof toCodes>;

const flashCases: readonly BlockCase[] = [
  ...onPortableKernels("flashAttention", shared),
  { name: "not causal", ...heads, dtype: "bf16", causal: false, lengths: kinds },
  { name: "not causal, NaN", ...heads, dtype: "bf16", causal: false, plant: true, lengths: kinds },
];

/** The calls of a case, with the options given instead of its own. */
function flashCall(context: OpContext, c: BlockCase, made: ReturnType<typeof inputs>) {
  const { Hq, Hkv, Dh, dtype, causal = true } = c;
  const { T, S, cuQ, cuK, q, k, v } = made;
  const [keys, values] = [k, v].map((x) => context.tensor(dtype, [S, Hkv, Dh], x)) as [Tensor, Tensor];
  const queries = context.tensor(dtype, [T, Hq, Dh], q);
  const sequences = {
    cuSeqlensQ: context.integers([cuQ.length], cuQ),
    cuSeqlensK: context.integers([cuK.length], cuK),
  };
  return (options: Parameters<typeof flashAttention>[4]) =>
    flashAttention(context.stream, queries, keys, values, { ...sequences, causal, ...options });
}

describeOp("flashAttention of blocks", someOf(flashCases, flashCases.length / 8), async (context, c) => {
  const { Hq, Hkv, Dh, causal = true } = c;
  const made = inputs(c);
  const { options, expected: known } = maskOptions(context, c, made);
  const lse = context.stream.empty("f32", [made.T, Hq]);
  const out = flashCall(context, c, made)({ ...options, lse });
  const expected = flashReference(
    ...([made.q, made.k, made.v, { Hq, Hkv, Dh, Dv: Dh }] as const),
    ...[{ ...known, causal, cuSeqlensQ: made.cuQ, cuSeqlensK: made.cuK }],
  );
  await expectAttention(context, tolerance(context, c, out), [out, lse], expected);
});

const whole = onPortableKernels(
  "flashAttention",
  dtypes.map((dtype) => ({ name: dtype, ...heads, dtype, lengths: [...kinds, ...long] })),
);
describeOp(
  "a block mask whose bits are all set gives the bits of a call without it",
  someOf(whole, whole.length / 3),
  async (context, c) => {
    const made = inputs({ ...c, share: 2 });
    const call = flashCall(context, c, made);
    const [masked, plain] = [call(maskOptions(context, c, made).options), call({})];
    expectSame(await context.read(masked), await context.read(plain), { shape: plain.shape });
  },
);

const onCpu = describe.skipIf(native.setScratch !== undefined);
const onSimt = describe.skipIf(native.setScratch === undefined);

// A row's own bits: a tile that is hidden from it and not from others is there or not.
onCpu("a row has the same bits alone as beside others", () => {
  test.each(["f32", "bf16"] as const)("%s", async (dtype) => {
    await using device = openTestDevice();
    const [Lq, Lk] = [130, 900];
    const c = { ...heads, name: "", dtype, share: 0.3, lengths: [[Lq, Lk]] } as const;
    const context = new OpContext("cpu", device, device.createStream());
    const made = inputs(c);
    const { options } = maskOptions(context, c, made);
    const together = await context.read(flashCall(context, c, made)(options));
    const size = together.length / Lq;
    for (let i = 0; i < Lq; i += 7) {
      const end = Lk - Lq + i + 1;
      const row = { ...made, T: 1, S: end, cuQ: Int32Array.of(0, 1), cuK: Int32Array.of(0, end) };
      const wide = made.q.length / Lq;
      Object.assign(row, { q: made.q.subarray(i * wide, (i + 1) * wide) });
      for (const side of ["k", "v"] as const) row[side] = made[side].subarray(0, end * c.Hkv * c.Dh);
      const alone = flashCall(context, c, row)({ blockMask: options.blockMask.slice(0, i, i + 1) });
      expectSame(await context.read(alone), together.subarray(i * size, (i + 1) * size), {
        ...{ shape: alone.shape, label: `query ${i}` },
      });
    }
  });
});

/** That attention has besides those of split tiles: AttentionCounter of native/cuda/attention/items.cuh. */
const ownCounters = 4;

// Groups of spans are 8192 keys here; some spans and groups have no block at all.
onSimt("spans without blocks: the same bits from a block for all of them and from one for each", () => {
  const cases = [1, 40].flatMap((Lq) =>
    ["hopper", "tiles", "any"].map((kernel) => ({ kernel, lengths: [[Lq, 26_000]] as Lengths[] })),
  );
  test.each(someOf(cases, 1))("%o", async ({ kernel, lengths }) => {
    await using device = openTestDevice();
    const c: BlockCase = { ...small, name: "", dtype: "bf16", W: 13, share: 0.02, alike: true, lengths };
    const made = inputs(c);
    const run = async (check: boolean) => {
      const stream = withEnvironment({ WARPLOOP_KERNEL: `flashAttention:${kernel}` }, () =>
        device.createStream(),
      );
      const context = new OpContext("simt", device, stream);
      const { options, expected: known } = maskOptions(context, c, made);
      const lse = stream.empty("f32", [made.T, c.Hq]);
      const out = flashCall(context, c, made)({ ...options, lse });
      if (check) {
        const lengths = { cuSeqlensQ: made.cuQ, cuSeqlensK: made.cuK };
        const sizes = { Hq: c.Hq, Hkv: c.Hkv, Dh: c.Dh, Dv: c.Dh };
        const expected = flashReference(made.q, made.k, made.v, sizes, { ...known, ...lengths });
        await expectAttention(context, tolerance(context, c, out), [out, lse], expected);
      }
      return { shape: out.shape, values: await context.read(out) };
    };
    const { shape, values } = await run(true);
    native.setScratch!(1 << 26, ownCounters);
    expectSame((await run(false).finally(() => native.setScratch!())).values, values, { shape });
  });
});

describe("a block mask", () => {
  test("has a row for each query and one or all KV heads, and a word", async () => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const [q, k] = [stream.empty("f32", [3, 4, 16]), stream.empty("f32", [8, 2, 16])];
    const integers = (...shape: number[]) => stream.empty("i32", shape);
    const call = (blockMask: Tensor) => () => flashAttention(stream, q, k, k, { blockMask });
    for (const [mask, said] of [
      [integers(2, 2, 1), "expected [T=3, 1 or Hkv, W] (T from q axis 0), got [2, 2, 1]"],
      [integers(3, 2), "expected [T=3, 1 or Hkv, W] (T from q axis 0), got [3, 2]"],
      [integers(3, 4, 1), "expected rows for 1 head or Hkv, got 4"],
      [integers(3, 2, 0), "expected at least one word in a row, got 0"],
      [stream.empty("f32", [3, 2, 1]), "blockMask"],
    ] as const) {
      expect(call(mask)).toThrow(said);
    }
    expect(call(integers(3, 4, 1))).toThrow(ArgumentRangeError);
  });
});
