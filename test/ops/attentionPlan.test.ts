// Contract: pagedAttention gives the same bits with a plan as without, however many calls read it, also in a graph that is replayed
// with other lengths; and no call writes to it. On the CPU a plan holds what the sequences are.
import { expect } from "vitest";
import { byteLength } from "../../lib/device/dtype.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { attentionPlan } from "../../lib/ops/attentionPlan.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { attentionPlan as reference } from "../reference/attentionPlan.js";
import { expectSame } from "../support/compare.js";
import { describeOp, type OpCase, type OpContext } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

/** Queries and tokens of a sequence. */
type Lengths = readonly [number, number];

interface PlanCase extends OpCase {
  readonly lengths: readonly Lengths[];
  /** Of the replays of the graph; as many queries. Default: the same sequences the other way round. */
  readonly replayed?: readonly Lengths[];
  readonly Hq: number;
  readonly Hkv: number;
  readonly Dh: number;
  readonly Dv: number;
  readonly Ps: number;
  readonly dtype: FloatDType;
  /** Dtype of the pages. Default: that of q. */
  readonly pages?: FloatDType;
  readonly window?: number;
  /** Of the plan and of the calls that read it; those without a plan do without. */
  readonly maxQueries?: number;
  /** The last sequences have the last row of the table in common, as padding has. */
  readonly padding?: number;
}

const small = { Hq: 2, Hkv: 1, Dh: 32, Dv: 32, Ps: 16, dtype: "bf16" } as const;
const heads = (Dh: number, Dv = Dh) => ({ ...small, Dh, Dv });
const mixed: readonly Lengths[] = [
  [1, 300],
  [40, 40],
  [0, 7],
  [33, 130],
  [1, 1],
  [3, 90],
];
const decodes: readonly Lengths[] = [5, 64, 65, 1, 300, 17, 1100].map((length) => [1, length]);
const dtypes = ["f32", "bf16", "f16"] as const;

const cases: readonly PlanCase[] = [
  { name: "smallest", ...small, Hq: 1, Dh: 16, Dv: 16, Ps: 1, lengths: [[1, 1]] },
  { name: "no sequences", ...small, lengths: [] },
  {
    name: "only sequences without queries",
    ...small,
    lengths: [
      [0, 5],
      [0, 0],
    ],
  },
  ...dtypes.flatMap((dtype): PlanCase[] => [
    { name: `a prompt, ${dtype}`, ...small, dtype, lengths: [[70, 70]], replayed: [[70, 110]] },
    { name: `prompts, chunks, decodes, ${dtype}`, ...small, dtype, lengths: mixed },
    { name: `window, ${dtype}`, ...small, dtype, window: 50, lengths: mixed },
  ]),
  ...(["f32", "bf16"] as const).flatMap((dtype): PlanCase[] => [
    {
      name: `decodes, then longer ones, ${dtype}`,
      ...small,
      dtype,
      lengths: decodes.map(() => [1, 20]),
      replayed: decodes,
    },
    {
      name: `split and whole tiles of both kinds, ${dtype}`,
      ...small,
      dtype,
      lengths: [
        [1, 300],
        ...Array.from({ length: 9 }, (_, i): Lengths => [1 + (i % 3), 20 + 7 * i]),
        [20, 530],
        ...Array.from({ length: 5 }, (_, i): Lengths => [18 + i, 30 + i]),
        [3, 280],
      ],
    },
  ]),
  { name: "decodes, said to be that", ...small, Hq: 32, lengths: decodes, maxQueries: 1 },
  {
    name: "drafts to verify, of all kinds of tiles",
    ...small,
    Hq: 8,
    lengths: [2, 3, 4, 8, 1, 9].map((queries) => [queries, 20 + 130 * queries]),
    replayed: [9, 8, 1, 2, 4, 3].map((queries) => [queries, 700]),
    maxQueries: 9,
  },
  {
    name: "spans in a window",
    ...small,
    window: 600,
    lengths: [
      [1, 1800],
      [20, 1300],
      [1, 30],
    ],
  },
  {
    name: "padding rows",
    ...small,
    padding: 5,
    lengths: [...decodes, [1, 1], [1, 1], [1, 1], [1, 1], [1, 1]],
    replayed: [...decodes.map(([, length]): Lengths => [1, length + 3]), ...Array<Lengths>(5).fill([1, 1])],
  },
  {
    name: "more sequences than the plan has threads",
    ...small,
    ...{ Hq: 1, Dh: 16, Dv: 16 },
    lengths: Array.from({ length: 520 }, (_, i) => [i % 50 === 0 ? 20 : i % 3, 30 + (i % 5)]),
  },
  { name: "Dv differs", ...heads(48, 80), lengths: mixed },
  { name: "heads of their own", ...small, Hq: 4, Hkv: 4, lengths: mixed },
  { name: "a group of 5", ...small, Hq: 10, Hkv: 2, lengths: mixed },
  { name: "a group of 20", ...small, Hq: 20, lengths: mixed },
  { name: "q f32, pages bf16", ...small, dtype: "f32", pages: "bf16", lengths: mixed },
  ...[heads(64), heads(128), heads(192, 128), heads(256), heads(288)].map((widths): PlanCase => ({
    ...{ ...widths, name: `head widths ${widths.Dh} and ${widths.Dv}` },
    lengths: [
      [3, 70],
      [20, 90],
    ],
  })),
];

const layers = 2;
/** Bytes around the plan that stay what they are. */
const guard = 64;

/** The device arrays of a step, which can be written again. */
function makeSequences(context: OpContext, random: Random, c: PlanCase) {
  const { Ps, lengths, replayed = [...lengths].reverse(), padding = 0 } = c;
  const B = lengths.length;
  const R = B - padding + 1;
  const Pmax = Math.max(1, ...[...lengths, ...replayed].map(([, length]) => Math.ceil(length / Ps)));
  const P = 40;
  const order = [...random.permutation(R - 1)];
  const rows = Array.from({ length: B }, (_, b) => (b < B - padding ? order[b]! : R - 1));
  const table = Array.from({ length: R * Pmax }, (_, i) => (i * 13 + 5) % P);
  const arrays = (some: readonly Lengths[]) => {
    const cu = [0];
    for (const [queries] of some) cu.push(cu.at(-1)! + queries);
    return { rows, cu, lens: some.map(([, length]) => length) };
  };
  const first = arrays(lengths);
  const tensors = {
    table: context.integers([R, Pmax], table),
    rows: context.integers([B], first.rows),
    cu: context.integers([B + 1], first.cu),
    lens: context.integers([B], first.lens),
  };
  const write = (some: readonly Lengths[]) => {
    const { cu, lens } = arrays(some);
    tensors.cu.write(context.stream, Int32Array.from(cu));
    tensors.lens.write(context.stream, Int32Array.from(lens));
  };
  return { P, T: first.cu.at(-1)!, tensors, first, replayed, write };
}

/** Room for a plan, with bytes around it. */
function guarded(context: OpContext, bytes: number): { readonly plan: Tensor; readonly whole: Tensor } {
  const whole = context.stream.empty("u8", [bytes + 2 * guard]);
  whole.write(context.stream, new Uint8Array(whole.numel).fill(0x5a));
  return { plan: whole.slice(0, guard, guard + bytes), whole };
}

describeOp("attentionPlan", cases, async (context, c) => {
  const { stream } = context;
  const { Hq, Hkv, Dh, Dv, Ps, dtype, window = 0, maxQueries } = c;
  const random = new Random(17);
  const { P, T, tensors, first, replayed, write } = makeSequences(context, random, c);
  const { table, rows, cu, lens } = tensors;
  const kvDtype = c.pages ?? dtype;
  const normal = (of: FloatDType, shape: readonly number[]) => {
    const count = shape.reduce((product, size) => product * size, 1);
    return context.tensor(of, shape, random.normal(count, { dtype: of }));
  };
  const inputs = Array.from({ length: layers }, () => ({
    q: normal(dtype, [T, Hq, Dh]),
    k: normal(kvDtype, [P, Ps, Hkv, Dh]),
    v: normal(kvDtype, [P, Ps, Hkv, Dv]),
  }));
  const sizes = { numQueries: T, numHeads: Hq, numKvHeads: Hkv, headDim: Dh, valueDim: Dv, pageSize: Ps };
  const makePlan = (out?: Tensor) =>
    attentionPlan(stream, table, rows, cu, lens, {
      ...sizes,
      window,
      maxQueries,
      dtype,
      kvDtype,
      ...(out && { out }),
    });
  const attend = (plan?: Tensor, outs: readonly Tensor[] = []) =>
    inputs.map(({ q, k, v }, i) => {
      const out = outs[i];
      const options = { window, ...(plan && { plan, maxQueries }), ...(out && { out }) };
      return pagedAttention(stream, q, k, v, table, rows, cu, lens, options);
    });
  const shape = [T, Hq, Dv];
  const expectEqual = async (got: readonly Tensor[], wanted: readonly Tensor[]) => {
    for (const [i, out] of got.entries())
      expectSame(await context.read(out), await context.read(wanted[i]!), { shape, label: `layer ${i}` });
  };

  const { plan, whole } = guarded(context, makePlan().numel);
  makePlan(plan);
  const before = await whole.read(stream);
  await expectEqual(attend(plan), attend());
  expect(await whole.read(stream)).toEqual(before);
  const edges = [before.subarray(0, guard), before.subarray(guard + plan.numel)];
  expect(edges.map((edge) => edge.every((byte) => byte === 0x5a))).toEqual([true, true]);
  if (context.deviceName === "cpu") {
    const words = new Int32Array((before as Uint8Array).slice(guard + 128, guard + plan.numel).buffer);
    const planned = reference(first.rows, first.cu, first.lens).flatMap((s) => Object.values(s));
    expect([...words]).toEqual(planned);
  }

  const outs = inputs.map(() => context.device.empty(dtype, shape));
  using graph = stream.capture(() => {
    attend(makePlan(plan), outs);
  });
  // The first replay runs the commands one by one, the second one as a graph.
  for (const some of [replayed, c.lengths]) {
    write(some);
    graph.replay(stream);
    await expectEqual(outs, attend());
  }
});

interface FullCase extends OpCase {
  readonly B: number;
  readonly queries: number;
}

// As many tiles as an H200 (132 multiprocessors) splits at most, see native/core/attention_plan.h.
const full: readonly FullCase[] = [
  { name: "as many split tiles of few rows as there can be", B: 4 * 3 * 132 - 1, queries: 1 },
  { name: "as many split tiles of 64 rows as there can be", B: 4 * 2 * 132 - 1, queries: 17 },
  { name: "as many split tiles of 128 rows as there can be", B: 4 * 132 - 1, queries: 65 },
  { name: "more tiles of few rows than are split", B: 2 * 4 * 3 * 132, queries: 1 },
  { name: "more tiles of 64 rows than are split", B: 2 * 4 * 2 * 132, queries: 17 },
  { name: "more tiles of 128 rows than are split", B: 2 * 4 * 132, queries: 65 },
];

describeOp("attentionPlan, full lists", full, async (context, { B, queries }) => {
  const [Ps, Pmax] = [16, 64];
  const counted = (count: number, value: (i: number) => number) =>
    context.integers(
      [count],
      Array.from({ length: count }, (_, i) => value(i)),
    );
  const [rows, cu, lens] = [
    counted(B, () => 0),
    counted(B + 1, (b) => b * queries),
    counted(B, () => Ps * Pmax),
  ] as const;
  const table = context.integers([1, Pmax], new Int32Array(Pmax));
  const options = { numQueries: B * queries, numHeads: 1, numKvHeads: 1, headDim: 16, pageSize: Ps };
  const make = (out?: Tensor) =>
    attentionPlan(context.stream, table, rows, cu, lens, { ...options, dtype: "bf16", ...(out && { out }) });
  const { plan, whole } = guarded(context, byteLength("u8", make().numel));
  make(plan);
  const bytes = (await whole.read(context.stream)) as Uint8Array;
  const outside = [...bytes.subarray(0, guard), ...bytes.subarray(guard + plan.numel)];
  expect(outside.every((byte) => byte === 0x5a)).toBe(true);
});
