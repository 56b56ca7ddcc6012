/**
 * Contract: the attention ops are right where tiles end: every kernel, with numbers of queries and keys, their differences and
 * windows of a tile's size and one and two either side of it. A case is one call with a sequence for each.
 */
import { flashAttention } from "../../lib/ops/flashAttention.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { flashAttention as flashReference } from "../reference/flashAttention.js";
import { pagedAttention as pagedReference } from "../reference/pagedAttention.js";
import { expectClose } from "../support/compare.js";
import { describeOp, onKernel, type OpCase, withEnvironment } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import {
  around,
  type AttentionTiles,
  attentionTiles,
  narrowRows,
  narrowSpans,
  planThreads,
} from "../support/kernelTiles.js";
import { Random } from "../support/random.js";
import { starts } from "../support/starts.js";

type Lengths = readonly (readonly [queries: number, keys: number])[];

interface BorderCase extends OpCase, AttentionTiles {
  readonly window?: number;
  readonly lengths: Lengths;
}

const anyWhere = { cpu: "the portable cases are the same", cuda: "the portable cases are the same" };

function borders({ rows, keys }: AttentionTiles): { window?: number; name: string; lengths: Lengths }[] {
  const heights = [...new Set([...around(narrowRows), ...around(rows)])];
  return [
    {
      name: "keys",
      lengths: [...around(keys), ...around(2 * keys)].flatMap(
        (Lk) =>
          [
            [1, Lk],
            [narrowRows + 3, Lk],
          ] as const,
      ),
    },
    {
      name: "Lk - Lq",
      lengths: around(keys).flatMap(
        (r) =>
          [
            [3, 3 + r],
            [narrowRows + 5, narrowRows + 5 + r],
          ] as const,
      ),
    },
    { name: "queries", lengths: heights.map((Lq, i) => [Lq, Lq + (i % 4) - 1] as const) },
    ...[1, 2, ...around(keys)].map((window) => ({
      name: "windows",
      window,
      lengths: [
        [1, 2 * keys],
        [2, 2 * keys + 1],
        [narrowRows + 9, keys + narrowRows + 8],
        [narrowRows + 1, 3 * keys],
        ...[0, 1, 2].map((more) => [narrowRows + 4, window + keys + more] as const), // the last row's first key
      ] as const,
    })),
  ];
}

/** Of the kernel for wide tiles, too: what is different are the rows. */
const isMiddle = ({ kernel, rows }: AttentionTiles): boolean => kernel === "hopper" && rows === 64;

const flashCases: readonly BorderCase[] = attentionTiles.flatMap((tiles) =>
  borders(tiles)
    .filter(({ name }) => name === "queries" || !isMiddle(tiles))
    .map((each) => ({ ...each, ...tiles, ...(tiles.kernel === "hopper" && { skip: anyWhere }) })),
);

const dtypeOf = ({ kernel }: AttentionTiles): FloatDType => (kernel === "any" ? "f32" : "bf16");

describeOp("flashAttention at the borders of tiles", flashCases, async (context, c) => {
  const { kernel, lengths, window = 0, Dh, Dv } = c;
  const dtype = dtypeOf(c);
  const stream = withEnvironment(kernel === "tiles" ? { WARPLOOP_KERNEL: "*:portable" } : {}, () =>
    context.device.createStream(),
  );
  const scope = stream.scope();
  const random = new Random(31);
  const [cuQ, cuK] = [starts(lengths.map(([queries]) => queries)), starts(lengths.map(([, keys]) => keys))];
  const [T, S, sizes] = [cuQ.at(-1)!, cuK.at(-1)!, { Hq: 1, Hkv: 1, Dh, Dv }];
  const [q, k, v] = [
    [T, Dh],
    [S, Dh],
    [S, Dv],
  ].map(([rows, width]) => random.normal(rows! * width!, { dtype })) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  const lse = stream.empty("f32", [T, 1]);
  const integers = (values: Int32Array) => stream.fromArray("i32", [values.length], values);
  const out = flashAttention(
    stream,
    context.tensor(dtype, [T, 1, Dh], q, stream),
    context.tensor(dtype, [S, 1, Dh], k, stream),
    context.tensor(dtype, [S, 1, Dv], v, stream),
    { window, lse, cuSeqlensQ: integers(cuQ), cuSeqlensK: integers(cuK) },
  );
  const expected = flashReference(q, k, v, sizes, { window, cuSeqlensQ: cuQ, cuSeqlensK: cuK });
  const longest = Math.max(...lengths.map(([, keys]) => keys));
  const tolerance = { dtype, reduction: longest + Dh, intermediate: dtype } as const;
  expectClose(await out.readFloat32(stream), expected.out, { ...tolerance, shape: [T, 1, Dv] });
  expectClose(await lse.readFloat32(stream), expected.lse, {
    ...tolerance,
    dtype: "f32",
    shape: [T, 1],
    label: "lse",
  });
  scope.close();
  await stream.dispose();
});

interface PagedCase extends OpCase {
  readonly Ps: number;
  readonly Hq: number;
  readonly window?: number;
  readonly dtype: FloatDType;
  readonly lengths: Lengths;
}

const portable = attentionTiles.filter(({ kernel, Dh }) => kernel === "tiles" && Dh === 64)[0]!;
/** With pages of all kinds: that fill tiles, that do not, and of half a tile. */
const pagedBorders = (tiles: AttentionTiles, dtype: FloatDType): PagedCase[] =>
  borders(tiles)
    .filter(({ window }) => window === undefined || window % 2 === 0)
    .map((each, i) => ({ ...each, dtype, Hq: 1, Ps: [16, 7, 64][i % 3]! }));
const pagedCases: readonly PagedCase[] = (["bf16", "f32"] as const).flatMap((dtype) => [
  ...pagedBorders(portable, dtype),
  {
    name: "spans",
    dtype,
    Hq: 1,
    Ps: 16,
    lengths: [...around(narrowSpans[0].span), ...around(2 * narrowSpans[0].span)].map(
      (Lk) => [1, Lk] as const,
    ),
  },
  {
    name: "lengths from which spans are longer",
    dtype,
    Hq: 1,
    Ps: 16,
    lengths: narrowSpans.slice(0, 2).flatMap(({ keys }) => around(keys).map((Lk) => [1, Lk] as const)),
  },
  {
    name: "windows that begin with a span",
    ...{ dtype, Hq: 1, Ps: 16, window: 40 },
    lengths: around(narrowSpans[0].span).flatMap((start) => [
      [1, start + 40] as const,
      [3, start + 42] as const,
    ]),
  },
  ...[-1, 0, 1].map((more) => ({
    name: "one sequence, few rows or many",
    ...{ dtype, Hq: 1, Ps: 16, lengths: [[narrowRows + more, narrowRows + 50]] as const },
  })),
  ...[0, 2].map((more) => ({
    name: "sequences of a round of the plan and more",
    ...{ dtype, Hq: 1, Ps: 4, lengths: new Array<Lengths[number]>(planThreads + more).fill([1, 3]) },
  })),
  ...[3, 4].map((Hq) => ({
    name: "rows of several heads",
    ...{ dtype, Hq, Ps: 16 },
    lengths: [...around(Math.ceil(narrowRows / Hq)), ...around(Math.ceil(portable.rows / Hq))].map(
      (Lq, i) => [Lq, Lq + 11 * i] as const,
    ),
  })),
]);
const [hopperMiddle, hopperWide] = attentionTiles.filter(
  ({ kernel, Dh }) => kernel === "hopper" && Dh === 64,
) as [AttentionTiles, AttentionTiles];
const oneSequence = [narrowRows, hopperMiddle.rows].flatMap((rows) =>
  around(rows).map((Lq): PagedCase => ({
    ...{ name: "one sequence", dtype: "bf16", Hq: 1, Ps: 16, lengths: [[Lq, Lq + 50]] },
  })),
);
const onEveryKernel = [
  ...pagedCases,
  ...onKernel("pagedAttention", "tiles", pagedBorders(portable, "bf16")),
  ...onKernel("pagedAttention", "hopper", [
    ...oneSequence,
    ...pagedBorders(hopperWide, "bf16"),
    ...pagedBorders(hopperMiddle, "bf16").filter(({ name }) => name === "queries"),
  ]),
];

describeOp("pagedAttention at the borders of tiles", onEveryKernel, async (context, c) => {
  const { lengths, Ps, Hq, dtype, window = 0 } = c;
  const [Hkv, Dh, Dv] = [1, 64, 64];
  const random = new Random(32);
  const cu = starts(lengths.map(([queries]) => queries));
  const lens = Int32Array.from(lengths, ([queries, keys]) => Math.max(queries, keys));
  const counts = [...lens].map((length) => Math.ceil(length / Ps));
  const [T, B, Pmax, P] = [
    cu.at(-1)!,
    lengths.length,
    Math.max(...counts) + 1,
    counts.reduce((a, b) => a + b) + 1,
  ];
  const pages = random.permutation(P);
  const table = new Int32Array(B * Pmax).fill(-1);
  let next = 0;
  counts.forEach((count, b) => {
    for (let i = 0; i < count; i++) table[b * Pmax + i] = pages[next++]!;
  });
  const rows = Int32Array.from({ length: B }, (_, b) => b);
  const q = random.normal(T * Hq * Dh, { dtype });
  const [k, v] = [random.normal(P * Ps * Dh, { dtype }), random.normal(P * Ps * Dv, { dtype })];
  const out = pagedAttention(
    context.stream,
    context.tensor(dtype, [T, Hq, Dh], q),
    context.tensor(dtype, [P, Ps, Hkv, Dh], k),
    context.tensor(dtype, [P, Ps, Hkv, Dv], v),
    context.integers([B, Pmax], table),
    context.integers([B], rows),
    context.integers([B + 1], cu),
    context.integers([B], lens),
    { window },
  );
  const sizes = { Hq, Hkv, Dh, Dv, Ps, Pmax };
  const { out: expected } = pagedReference(q, k, v, table, rows, cu, lens, sizes, { window });
  const tolerance = {
    dtype,
    shape: [T, Hq, Dv],
    reduction: Math.max(...lens) + Dh,
    intermediate: dtype,
  } as const;
  expectClose(await context.read(out), expected, tolerance);
});
