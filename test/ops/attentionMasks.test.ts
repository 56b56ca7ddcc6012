// Contract: a mask selects. What a query does not see, NaN and infinities included, changes nothing in its row: behind the
// causal limit, before the window, behind the context, in freed pages, in sequences without queries and between sequences. What
// it does see shows.
import { flashAttention } from "../../lib/ops/flashAttention.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { flashAttention as flashReference } from "../reference/flashAttention.js";
import { pagedAttention as pagedReference } from "../reference/pagedAttention.js";
import { attentionTolerance } from "../support/attentionCases.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, onKernel, type OpCase, type OpContext } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { blindQueries, hiddenKeys, type Lengths, type Plant } from "../support/hiddenKeys.js";
import { Random } from "../support/random.js";
import { someOf } from "../support/seed.js";
import { starts } from "../support/starts.js";

interface MaskCase extends OpCase {
  readonly lengths: readonly Lengths[];
  readonly Hq: number;
  readonly Hkv: number;
  readonly Dh: number;
  readonly Dv: number;
  readonly dtype: FloatDType;
  /** Dtype of k and v. Default: that of q. */
  readonly keys?: FloatDType;
  readonly window?: number;
  /** Default: that of the op. */
  readonly scale?: number;
  readonly softcap?: number;
  /** One more score for each head. */
  readonly sinks?: boolean;
  /** flashAttention only. Default true. */
  readonly causal?: boolean;
  /** pagedAttention only. */
  readonly Ps?: number;
}

const small = { Hq: 2, Hkv: 1, Dh: 32, Dv: 32 } as const;
const heads = (Dh: number, Dv = Dh) => ({ ...small, Dh, Dv });
/** Around the tiles of 16, 64 and 128 keys. */
const residues = (Lq: number): Lengths[] =>
  [15, 16, 17, 63, 64, 65, 127, 128, 129].map((rest) => [Lq, Lq + rest]);
const kinds: Lengths[] = [
  [1, 5],
  [0, 9],
  [40, 40],
  [1, 64],
  [4, 70],
  [33, 130],
  [0, 0],
];
const dtypes = ["f32", "bf16", "f16"] as const;

const scores = (["f32", "bf16"] as const).flatMap((dtype): MaskCase[] => {
  const [base, longer] = [
    { ...small, dtype, lengths: kinds },
    [...kinds, [5, 1030], [40, 1060]] as Lengths[],
  ];
  return [
    { name: `softcap, ${dtype}`, ...base, softcap: 2, scale: 0.5, lengths: longer },
    { name: `softcap, negative scale, ${dtype}`, ...base, softcap: 2, scale: -0.5 },
    { name: `sinks, ${dtype}`, ...base, sinks: true, lengths: longer },
    { name: `sinks, a group of 7, ${dtype}`, ...base, Hq: 14, Hkv: 2, sinks: true },
    { name: `softcap, sinks, window, ${dtype}`, ...base, softcap: 1, sinks: true, window: 20 },
  ];
});

/** Of each head: from one that changes nothing to one that takes nearly all. */
const sinksOf = ({ Hq, sinks = false }: MaskCase) =>
  sinks ? Float64Array.from({ length: Hq }, (_, h) => 4 * h - 1) : undefined;

const windows = dtypes.flatMap((dtype): MaskCase[] => [
  {
    name: `window of 1, ${dtype}`,
    ...small,
    dtype,
    window: 1,
    lengths: [
      [1, 70],
      [5, 20],
      [40, 40],
    ],
  },
  {
    name: `window of 50, ${dtype}`,
    ...small,
    dtype,
    window: 50,
    lengths: [
      [1, 400],
      [4, 150],
      [70, 200],
    ],
  },
  {
    name: `window of a tile, ${dtype}`,
    ...small,
    dtype,
    window: 64,
    lengths: [
      [5, 128],
      [20, 129],
      [64, 128],
    ],
  },
  {
    name: `window across spans, ${dtype}`,
    ...small,
    dtype,
    window: 300,
    lengths: [
      [3, 1030],
      [20, 900],
    ],
  },
]);

const shared: readonly MaskCase[] = [
  ...windows,
  ...scores,
  ...dtypes.flatMap((dtype): MaskCase[] => [
    { name: `prompt, ${dtype}`, ...small, dtype, lengths: [[70, 70]] },
    { name: `sequences of all kinds, ${dtype}`, ...small, dtype, lengths: kinds },
    { name: `few queries, ${dtype}`, ...small, dtype, lengths: residues(3) },
    { name: `two queries, ${dtype}`, ...small, dtype, lengths: residues(2) },
    { name: `many queries, ${dtype}`, ...small, dtype, lengths: residues(20) },
    { name: `more queries, ${dtype}`, ...small, dtype, lengths: residues(40) },
    { name: `spans, few queries, ${dtype}`, ...small, dtype, lengths: [[5, 1030]] },
    { name: `spans, many queries, ${dtype}`, ...small, dtype, lengths: [[20, 1060]] },
    { name: `spans, more queries, ${dtype}`, ...small, dtype, lengths: [[40, 1060]] },
    {
      name: `a group of 7, ${dtype}`,
      ...small,
      dtype,
      Hq: 14,
      Hkv: 2,
      lengths: [
        [2, 90],
        [9, 70],
      ],
    },
  ]),
  ...dtypes.flatMap((dtype): MaskCase[] => [
    { name: `negative scale, ${dtype}`, ...small, dtype, scale: -0.2, lengths: kinds },
    {
      name: `negative scale, spans, ${dtype}`,
      ...small,
      dtype,
      scale: -0.2,
      lengths: [
        [5, 1030],
        [40, 1060],
      ],
    },
  ]),
  { name: "q f32, keys bf16", ...small, dtype: "f32", keys: "bf16", lengths: kinds },
  { name: "q bf16, keys f16", ...small, dtype: "bf16", keys: "f16", lengths: kinds },
  { name: "heads of their own", ...small, Hq: 3, Hkv: 3, dtype: "bf16", lengths: kinds },
  {
    name: "a group of 20",
    ...small,
    Hq: 20,
    dtype: "bf16",
    lengths: [
      [1, 90],
      [9, 70],
    ],
  },
  ...[heads(16), heads(80, 48), heads(64), heads(128), heads(192, 128), heads(256)].map(
    (widths): MaskCase => ({
      name: `head widths ${widths.Dh} and ${widths.Dv}`,
      ...widths,
      dtype: "bf16",
      lengths: [
        [3, 70],
        [20, 90],
      ],
    }),
  ),
  {
    name: "head width 512",
    ...heads(512),
    dtype: "f32",
    lengths: [
      [3, 70],
      [20, 40],
    ],
  },
];

const runs: readonly { readonly plant: Plant; readonly where: "k" | "v" }[] = [
  { plant: "middle", where: "k" },
  { plant: "middle", where: "v" },
  { plant: "last", where: "v" },
  { plant: "oldest", where: "k" },
  { plant: "oldest", where: "v" },
];

/** Rows of [T, Hq, width] whose query is chosen. */
function rowsOf(values: Float64Array, chosen: readonly boolean[]): Float64Array {
  const size = chosen.length === 0 ? 0 : values.length / chosen.length;
  return values.filter((_, i) => chosen[Math.floor(i / size)]);
}

interface Attempt {
  readonly out: Float64Array;
  readonly expected: Float64Array;
}

/**
 * Runs a case as it is with finite values everywhere, then with each plant in keys or in values. The CPU gives the
 * rows that do not see a plant the same bits.
 */
async function checkMasks(
  context: OpContext,
  c: MaskCase,
  attempt: (k: { plant: Plant; clean?: boolean }, v: { plant: Plant; clean?: boolean }) => Promise<Attempt>,
): Promise<void> {
  const mask = { causal: c.causal ?? true, window: c.window ?? 0 };
  const reduction = Math.max(...c.lengths.map(([, Lk]) => Lk)) + c.Dh;
  const clean = { plant: "none", clean: true } as const;
  const none = { plant: "none" } as const;
  const plain = await attempt(clean, clean);
  for (const { plant, where } of runs) {
    if (plant === "oldest" && mask.window === 0) continue; // every query sees it
    const label = `${plant} token planted in ${where}`;
    const { out, expected } = await attempt(
      where === "k" ? { plant } : none,
      where === "v" ? { plant } : none,
    );
    const shape = [expected.length / c.Dv, c.Dv];
    const { dtype, keys } = c;
    expectClose(out, expected, {
      ...attentionTolerance(context, { dtype, keys, shape, reduction }),
      label,
    });
    if (context.deviceName !== "cpu") continue;
    const blind = blindQueries(c.lengths, mask, plant);
    const rows = rowsOf(plain.out, blind);
    expectSame(rowsOf(out, blind), rows, { shape: [rows.length / c.Dv, c.Dv], label });
  }
}

const pagedShapes: readonly MaskCase[] = [
  ...shared,
  { name: "pages of 7", ...small, Ps: 7, dtype: "bf16", window: 30, lengths: kinds },
  { name: "pages larger than a tile", ...small, Ps: 100, dtype: "bf16", lengths: kinds },
  { name: "pages of two tiles", ...small, Ps: 256, dtype: "bf16", window: 150, lengths: [[40, 700]] },
];
const paged: readonly MaskCase[] = [
  ...pagedShapes,
  ...onKernel(
    "pagedAttention",
    "tiles",
    pagedShapes.filter(({ dtype, keys = "bf16" }) => dtype === "bf16" && keys === "bf16"),
  ),
];

describeOp("pagedAttention: hidden NaN", someOf(paged, paged.length / 3), async (context, c) => {
  const { lengths, Hq, Hkv, Dh, Dv, dtype, window = 0, Ps = 16 } = c;
  const options = { window, softcap: c.softcap ?? 0, ...(c.scale !== undefined && { scale: c.scale }) };
  const sinks = sinksOf(c);
  const keys = c.keys ?? dtype;
  const random = new Random(31);
  const counts = lengths.map(([, Lk]) => Math.ceil(Lk / Ps));
  const first = starts(counts);
  const [P, Pmax, B] = [first.at(-1)! + 3, Math.max(...counts) + 1, lengths.length];
  const scattered = random.permutation(P);
  const pageTable = new Int32Array(B * Pmax).fill(-1);
  for (const [b, [Lq, Lk]] of lengths.entries()) {
    const freed = window > 0 ? Math.floor(Math.max(Lk - Lq - window + 1, 0) / Ps) : 0; // whole pages before the window
    for (let i = 0; i < counts[b]!; i++)
      if (i >= freed || i % 2 === 0) pageTable[b * Pmax + i] = scattered[first[b]! + i]!; // some still in the table
  }
  const rowOf = (b: number, j: number) => scattered[first[b]! + Math.floor(j / Ps)]! * Ps + (j % Ps);
  const cu = starts(lengths.map(([Lq]) => Lq));
  const contextLens = Int32Array.from(lengths, ([, Lk]) => Lk);
  const rows = Int32Array.from(lengths, (_, b) => b);
  const q = random.normal(cu.at(-1)! * Hq * Dh, { dtype });
  const store = { rows: P * Ps, Hkv, dtype: keys, rowOf };
  const mask = { causal: true, window };
  await checkMasks(context, c, async (inK, inV) => {
    const k = hiddenKeys(new Random(32), { ...store, width: Dh }, lengths, mask, inK);
    const v = hiddenKeys(new Random(33), { ...store, width: Dv }, lengths, mask, inV);
    const out = pagedAttention(
      context.stream,
      context.tensor(dtype, [cu.at(-1)!, Hq, Dh], q),
      context.tensor(keys, [P, Ps, Hkv, Dh], k),
      context.tensor(keys, [P, Ps, Hkv, Dv], v),
      context.integers([B, Pmax], pageTable),
      context.integers([B], rows),
      context.integers([B + 1], cu),
      context.integers([B], contextLens),
      { ...options, sinks: sinks && context.tensor("f32", [Hq], sinks) },
    );
    const sizes = { Hq, Hkv, Dh, Dv, Ps, Pmax };
    const { out: expected } = pagedReference(q, k, v, pageTable, rows, cu, contextLens, sizes, {
      ...options,
      sinks,
    });
    return { out: await context.read(out), expected };
  });
});

const flash: readonly MaskCase[] = [
  ...shared,
  { name: "not causal", ...small, dtype: "bf16", causal: false, lengths: kinds },
  {
    name: "window, not causal",
    ...small,
    dtype: "bf16",
    causal: false,
    window: 20,
    lengths: [
      [5, 90],
      [60, 80],
    ],
  },
  {
    name: "more queries than keys",
    ...small,
    dtype: "bf16",
    lengths: [
      [90, 70],
      [5, 2],
      [2, 0],
    ],
  },
  ...[heads(64), heads(128), heads(192, 128), heads(256)].flatMap((widths): MaskCase[] => [
    {
      name: `tiles and blocks, ${widths.Dh}`,
      ...widths,
      dtype: "bf16",
      lengths: [
        [150, 300],
        [65, 200],
      ],
    },
    {
      name: `tiles and blocks, ${widths.Dh}, window`,
      ...widths,
      dtype: "f16",
      window: 100,
      lengths: [[150, 300]],
    },
    {
      name: `tiles and blocks, ${widths.Dh}, window, not causal`,
      ...widths,
      dtype: "bf16",
      causal: false,
      window: 100,
      lengths: [[70, 200]],
    },
  ]),
];

describeOp("flashAttention: hidden NaN", someOf(flash, flash.length / 3), async (context, c) => {
  const { lengths, Hq, Hkv, Dh, Dv, dtype, causal = true, window = 0 } = c;
  const softcap = c.softcap ?? 0;
  const masks = { causal, window, softcap, ...(c.scale !== undefined && { scale: c.scale }) };
  const sinks = sinksOf(c);
  const keys = c.keys ?? dtype;
  const [before, behind] = [2, 70]; // rows of nobody
  const cuQ = starts(lengths.map(([Lq]) => Lq));
  const cuK = starts(lengths.map(([, Lk]) => Lk)).map((start) => start + before);
  const [T, S] = [cuQ.at(-1)!, cuK.at(-1)! + behind];
  const q = new Random(31).normal(T * Hq * Dh, { dtype });
  const store = { rows: S, Hkv, dtype: keys, rowOf: (b: number, j: number) => cuK[b]! + j };
  const mask = { causal, window };
  await checkMasks(context, c, async (inK, inV) => {
    const k = hiddenKeys(new Random(32), { ...store, width: Dh }, lengths, mask, inK);
    const v = hiddenKeys(new Random(33), { ...store, width: Dv }, lengths, mask, inV);
    const lse = context.stream.empty("f32", [T, Hq]);
    const out = flashAttention(
      context.stream,
      context.tensor(dtype, [T, Hq, Dh], q),
      context.tensor(keys, [S, Hkv, Dh], k),
      context.tensor(keys, [S, Hkv, Dv], v),
      {
        ...masks,
        lse,
        sinks: sinks && context.tensor("f32", [Hq], sinks),
        cuSeqlensQ: context.integers([cuQ.length], cuQ),
        cuSeqlensK: context.integers([cuK.length], cuK),
      },
    );
    const options = { cuSeqlensQ: cuQ, cuSeqlensK: cuK, ...masks, sinks };
    const expected = flashReference(q, k, v, { Hq, Hkv, Dh, Dv }, options);
    const reduction = Math.max(...lengths.map(([, Lk]) => Lk)) + Dh;
    expectClose(await context.read(lse), expected.lse, {
      dtype: "f32",
      shape: [T, Hq],
      reduction,
      label: "lse",
    });
    return { out: await context.read(out), expected: expected.out };
  });
});
