// Contract: with queryOffsets the pages of a call hold a part of the keys that the queries see. A row is attention over what it sees of
// them, with a plan as without and in a graph that is replayed with other offsets; and a context that is computed in parts, merged by
// lse, is the context computed as a whole.
import { attentionPlan } from "../../lib/ops/attentionPlan.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { pagedAttention as reference } from "../reference/pagedAttention.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, type OpCase, type OpContext } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";
import { starts } from "../support/starts.js";

/** Queries, keys and offset of a sequence. */
type Sequence = readonly [number, number, number];

interface Shape {
  readonly Hq: number;
  readonly Hkv: number;
  readonly Dh: number;
  readonly Dv: number;
  readonly Ps: number;
  readonly dtype: FloatDType;
  readonly window: number;
}

interface OffsetCase extends OpCase, Shape {
  readonly sequences: readonly Sequence[];
  /** Of the replays of a graph: as many queries. */
  readonly replayed: readonly Sequence[];
}

const small = { Hq: 2, Hkv: 1, Dh: 32, Dv: 32, Ps: 16, window: 0 } as const;
const dtypes = ["f32", "bf16", "f16"] as const;
const moved = (sequences: readonly Sequence[], by: number): Sequence[] =>
  sequences.map(([queries, keys, offset]) => [queries, keys, offset + by]);
const both = (sequences: readonly Sequence[], by: number) => ({ sequences, replayed: moved(sequences, by) });

const mixed: readonly Sequence[] = [
  [1, 300, 0],
  [40, 130, 7],
  [0, 7, 3],
  [33, 100, -20],
  [20, 5, 4],
  [20, 0, 30],
  [3, 0, -3],
  [1, 64, -64],
  [5, 90, 2000],
  [18, 70, -90],
];

const cases: readonly OffsetCase[] = [
  { name: "no sequences", ...small, dtype: "f32", ...both([], 0) },
  ...dtypes.flatMap((dtype): OffsetCase[] => [
    { name: "zeros are none", ...small, dtype, ...both([[4, 90, 0]], 1) },
    { name: "before, among and behind the keys", ...small, dtype, ...both(mixed, 5) },
    { name: "with a window", ...small, dtype, window: 50, ...both(mixed, -6) },
    { name: "a window of 1", ...small, dtype, window: 1, ...both(mixed, 1) },
    {
      name: "a window that ends in the last tile",
      ...small,
      ...{ dtype, window: 40 },
      ...both(
        Array.from({ length: 24 }, (_, i): Sequence => [i % 2 ? 1 : 20, 60 + i, 24 + (i % 12)]),
        3,
      ),
    },
    {
      name: "spans, whole and split",
      ...small,
      ...{ dtype, Hq: 4, Hkv: 2 },
      ...both(
        [
          [1, 1300, 9],
          [20, 1200, -700],
          [1, 1100, -1050],
          [24, 1024, 1],
        ],
        -3,
      ),
    },
    {
      name: "spans in a window",
      ...small,
      ...{ dtype, window: 600 },
      ...both(
        [
          [1, 1800, 590],
          [20, 1300, 400],
          [1, 1024, 600],
          [4, 512, 598],
        ],
        1,
      ),
    },
  ]),
  {
    name: "far away",
    ...small,
    dtype: "bf16",
    ...both(
      [
        [3, 40, 2 ** 30 - 42],
        [2, 40, -(2 ** 30) + 1],
      ],
      -1,
    ),
  },
  { name: "odd pages, Dv differs", ...small, dtype: "bf16", Dh: 48, Dv: 80, Ps: 7, ...both(mixed, 2) },
  {
    name: "head width 128, a group of 5",
    ...small,
    dtype: "bf16",
    Hq: 10,
    Hkv: 2,
    Dh: 128,
    Dv: 128,
    ...both(mixed, -2),
  },
  { name: "head width 192", ...small, dtype: "f16", Dh: 192, Dv: 128, ...both(mixed, -1) },
];

/** Everything but q that a call reads: pages of the sequences in an order of their own; -1 where nobody may look. */
function makePages(random: Random, { Hkv, Dh, Dv, Ps, dtype }: Shape, lengths: readonly number[]) {
  const counts = lengths.map((length) => Math.ceil(length / Ps));
  const [Pmax, P] = [Math.max(1, ...counts), starts(counts).at(-1)! + 1];
  const order = random.permutation(P);
  const rows = random.permutation(lengths.length + 1).slice(0, lengths.length);
  const table = new Int32Array((lengths.length + 1) * Pmax).fill(-1);
  let next = 0;
  for (const [b, count] of counts.entries())
    for (let i = 0; i < count; i++) table[rows[b]! * Pmax + i] = order[next++]!;
  const k = random.normal(P * Ps * Hkv * Dh, { dtype });
  const v = random.normal(P * Ps * Hkv * Dv, { dtype });
  return { P, Pmax, rows, table, k, v };
}

type Pages = ReturnType<typeof makePages>;

function upload(context: OpContext, { Hkv, Dh, Dv, Ps, dtype }: Shape, pages: Pages) {
  const { P, Pmax, rows, table, k, v } = pages;
  return [
    context.tensor(dtype, [P, Ps, Hkv, Dh], k),
    context.tensor(dtype, [P, Ps, Hkv, Dv], v),
    context.integers([rows.length + 1, Pmax], table),
    context.integers([rows.length], rows),
  ] as const;
}

/** How probabilities are rounded, see pagedAttention.test.ts. */
const weightsOf = (context: OpContext, dtype: FloatDType) =>
  dtype === "bf16" || context.deviceName !== "cpu" ? dtype : "f32";

describeOp("pagedAttention, query offsets", cases, async (context, c) => {
  const { stream } = context;
  const { Hq, Hkv, Dh, Dv, Ps, dtype, window, sequences, replayed } = c;
  const random = new Random(11);
  const cu = starts(sequences.map(([queries]) => queries));
  const [T, B] = [cu.at(-1)!, sequences.length];
  const pages = makePages(random, c, sequences.map(([, keys]) => keys)); // prettier-ignore
  const q = random.normal(T * Hq * Dh, { dtype });
  const [k, v, table, rows] = upload(context, c, pages);
  const queries = context.tensor(dtype, [T, Hq, Dh], q);
  const column = (at: 1 | 2, of = sequences) => Int32Array.from(of, (sequence) => sequence[at]);
  const cuSeqlensQ = context.integers([B + 1], cu);
  const lens = context.integers([B], column(1));
  const queryOffsets = context.integers([B], column(2));
  const lse = context.device.empty("f32", [T, Hq]);
  const out = context.device.empty(dtype, [T, Hq, Dv]);
  const call = (options: object) =>
    pagedAttention(stream, queries, k, v, table, rows, cuSeqlensQ, lens, {
      window,
      queryOffsets,
      ...options,
    });
  const sizes = { numQueries: T, numHeads: Hq, numKvHeads: Hkv, headDim: Dh, valueDim: Dv, pageSize: Ps };
  const plan = () =>
    attentionPlan(stream, table, rows, cuSeqlensQ, lens, { ...sizes, window, dtype, queryOffsets });

  const check = async (of: readonly Sequence[]) => {
    const expected = reference(
      ...([
        q,
        pages.k,
        pages.v,
        pages.table,
        pages.rows,
        Int32Array.from(cu),
        column(1),
        { ...c, ...pages },
      ] as const),
      { window, queryOffsets: column(2, of) },
    );
    const reduction = Math.max(0, ...column(1)) + Dh;
    const shape = [T, Hq, Dv];
    const results = await context.read(out);
    expectClose(results, expected.out, { dtype, shape, reduction, intermediate: weightsOf(context, dtype) });
    const sums = Float64Array.from(await lse.readFloat32(stream));
    expectClose(sums, expected.lse, { dtype: "f32", shape: [T, Hq], reduction, label: "lse" });
    return results;
  };
  call({ out, lse });
  const without = await check(sequences);
  expectSame(await call({ plan: plan() }).readFloat32(stream), without, { shape: out.shape, label: "plan" });
  if (sequences.every(([, , offset]) => offset === 0)) {
    const plain = call({ queryOffsets: undefined });
    expectSame(await plain.readFloat32(stream), without, { shape: out.shape, label: "without offsets" });
  }
  using graph = stream.capture(() => void call({ out, lse, plan: plan() }));
  for (const of of [replayed, sequences]) {
    queryOffsets.write(stream, column(2, of));
    graph.replay(stream);
    await check(of);
  }
});

interface PartsCase extends OpCase, Shape {
  /** Queries, keys and how many of them are behind the last query. */
  readonly sequences: readonly Sequence[];
  /** For each part, how many keys of each sequence lie before it. */
  readonly cuts: readonly (readonly number[])[];
}

/** Contexts of random shapes, cut at random places: some parts hold keys that no query sees, some none. */
function randomParts(seed: number): PartsCase {
  const random = new Random(seed);
  const pick = <T>(...values: readonly T[]): T => values[random.integer(0, values.length)]!;
  const decodes = random.uniform() < 0.4;
  const sequences = Array.from({ length: random.integer(1, 5) }, (): Sequence => {
    const queries = decodes ? 1 : random.integer(1, 41);
    const behind = pick(0, 0, random.integer(1, 60));
    return [queries, queries + behind + random.integer(0, pick(40, 300, 1400)), behind];
  });
  const inner = Array.from({ length: random.integer(1, 4) }, () =>
    sequences.map(([, keys]) => random.integer(0, keys + 1)),
  );
  const ordered = sequences.map((_, b) => inner.map((cut) => cut[b]!).sort((a, z) => a - z));
  const [Hkv, Dh] = [pick(1, 2), pick(16, 32, 64, 128)];
  return {
    name: `seed ${seed}`,
    ...{ Hq: Hkv * pick(1, 2, 5), Hkv, Dh, Dv: pick(Dh, 16), Ps: pick(1, 7, 16, 64), dtype: pick(...dtypes) },
    window: pick(0, 0, random.integer(1, 30), random.integer(30, 700)),
    sequences,
    cuts: [sequences.map(() => 0), ...inner.map((_, i) => ordered.map((cuts) => cuts[i]!))],
  };
}

const parts = Array.from({ length: 20 }, (_, i) => randomParts(i + 1));

/** The keys [first, end) of each sequence, moved to pages of their own. */
function partOf(
  whole: Pages,
  shape: Shape,
  first: readonly number[],
  end: readonly number[],
  random: Random,
) {
  const { Ps, Hkv, Dh, Dv } = shape;
  const lengths = first.map((at, b) => end[b]! - at);
  const part = makePages(random, shape, lengths);
  const place = ({ table, rows, Pmax }: Pages, b: number, key: number) =>
    table[rows[b]! * Pmax + Math.floor(key / Ps)]! * Ps + (key % Ps);
  for (const [b, length] of lengths.entries()) {
    for (let j = 0; j < length; j++) {
      const [from, to] = [place(whole, b, first[b]! + j), place(part, b, j)];
      for (const [name, width] of [
        ["k", Hkv * Dh],
        ["v", Hkv * Dv],
      ] as const)
        // prettier-ignore
        part[name].set(whole[name].subarray(from * width, (from + 1) * width), to * width);
    }
  }
  return { part, lengths };
}

/** Adds to sums, weighted by what the rows have seen: out = sum of e^lse_i out_i / sum of e^lse_i. */
function merge(
  into: { out: Float64Array; lse: Float64Array },
  out: Float64Array,
  lse: Float32Array,
  Dv: number,
) {
  for (const [row, more] of lse.entries()) {
    if (more === -Infinity) continue;
    const before = into.lse[row]!;
    const max = Math.max(before, more);
    const [kept, added] = [Math.exp(before - max), Math.exp(more - max)];
    for (let d = row * Dv; d < (row + 1) * Dv; d++)
      into.out[d] = (into.out[d]! * kept + out[d]! * added) / (kept + added);
    into.lse[row] = max + Math.log(kept + added);
  }
}

describeOp("pagedAttention, contexts in parts", parts, async (context, c) => {
  const { stream } = context;
  const { Hq, Dh, Dv, dtype, window, sequences, cuts } = c;
  const random = new Random(3);
  const cu = starts(sequences.map(([queries]) => queries));
  const [T, B] = [cu.at(-1)!, sequences.length];
  const keys = sequences.map(([, count]) => count);
  const whole = makePages(random, c, keys);
  const q = random.normal(T * Hq * Dh, { dtype });
  const queries = context.tensor(dtype, [T, Hq, Dh], q);
  const cuSeqlensQ = context.integers([B + 1], cu);
  const attend = (pages: Pages, lengths: readonly number[], offsets: readonly number[]) => {
    const [lse, out] = [stream.empty("f32", [T, Hq]), stream.empty("f32", [T, Hq, Dv])];
    const [lens, queryOffsets] = [context.integers([B], lengths), context.integers([B], offsets)];
    const inputs = [...upload(context, c, pages), cuSeqlensQ, lens] as const;
    pagedAttention(stream, queries, ...inputs, { window, lse, out, queryOffsets });
    return { lse, out };
  };
  const merged = { out: new Float64Array(T * Hq * Dv), lse: new Float64Array(T * Hq).fill(-Infinity) };
  for (const [i, first] of cuts.entries()) {
    const end = cuts[i + 1] ?? keys;
    const { part, lengths } = partOf(whole, c, first, end, random);
    const offsets = sequences.map(([, count, behind], b) => count - behind - end[b]!);
    const { out, lse } = attend(part, lengths, offsets);
    merge(merged, await context.read(out), await lse.readFloat32(stream), Dv);
  }
  const behind = sequences.map(([, , count]) => -count);
  const together = attend(whole, keys, behind);
  const expected = reference(
    ...([q, whole.k, whole.v, whole.table, whole.rows, Int32Array.from(cu), Int32Array.from(keys)] as const),
    ...([
      { ...c, ...whole },
      { window, queryOffsets: behind },
    ] as const),
  );
  const reduction = Math.max(...keys) + Dh;
  const tolerance = { dtype: "f32", reduction, intermediate: weightsOf(context, dtype) } as const;
  for (const [label, out, lse] of [
    ["parts", merged.out, merged.lse],
    ["whole", await context.read(together.out), await together.lse.readFloat32(stream)],
  ] as const) {
    expectClose(out, expected.out, { ...tolerance, shape: [T, Hq, Dv], label });
    expectClose(Float64Array.from(lse), expected.lse, {
      dtype: "f32",
      shape: [T, Hq],
      reduction,
      label: `lse, ${label}`,
    });
  }
});
