/**
 * Contract: linear and groupedLinear are right where tiles end: every kernel, with rows (of an expert) and columns of a tile's
 * size and one and two either side of it, also where the second block of a cluster has no rows.
 */
import { groupedLinear } from "../../lib/ops/groupedLinear.js";
import { linear } from "../../lib/ops/linear.js";
import { emptyGroupedWeight, packExpert, packLinear } from "../../lib/ops/packLinear.js";
import { groupedLinear as groupedReference } from "../reference/groupedLinear.js";
import { linear as linearReference } from "../reference/linear.js";
import { siluMul as siluMulReference } from "../reference/siluMul.js";
import { expectClose } from "../support/compare.js";
import { describeOp, type OpCase, withEnvironment } from "../support/devices.js";
import { toStorage, type FloatDType } from "../support/dtype.js";
import {
  around,
  hopperGrouped,
  hopperProducts,
  portableProducts,
  type ProductTiles,
} from "../support/kernelTiles.js";
import { Random } from "../support/random.js";

const K = 40;
const oneDevice = { cpu: "it has no tiles of that name", cuda: "tested on simt" };

interface LinearCase extends OpCase {
  readonly tile?: string;
  readonly x: FloatDType;
  /** Gate and up, N / 2 each. */
  readonly swiglu?: boolean;
  readonly sizes: readonly (readonly [T: number, N: number])[];
}

/** Rows and columns on both sides of a border at once: one more row with one column less, and so on. */
const corners = ({ rows, columns, blockRows }: ProductTiles) => [
  ...around(rows).map((T, i) => [T, around(columns)[4 - i]!] as const),
  [rows - 1, columns] as const, // rows are aligned
  ...(blockRows === rows ? [] : around(blockRows).map((T) => [T, columns] as const)),
];

/** The same with even numbers of columns: those of out end where a tile of gate and up does. */
const gatedCorners = (tiles: ProductTiles) =>
  corners({ ...tiles, columns: tiles.columns / 2 }).map(([T, F]) => [T, 2 * F] as const);

const linearCases: readonly LinearCase[] = [
  ...[...portableProducts, ...hopperProducts].map((tiles) => ({
    name: "tile",
    tile: tiles.name,
    x: "bf16" as const,
    sizes: corners(tiles),
    skip: oneDevice,
  })),
  ...[...portableProducts, ...hopperProducts]
    .filter(({ name }) => name !== "8x16") // gate and up have no room there
    .map((tiles) => ({
      name: "tile, gate and up",
      ...{ tile: tiles.name, x: "bf16" as const, swiglu: true, sizes: gatedCorners(tiles), skip: oneDevice },
    })),
  {
    name: "rows of f32",
    x: "f32",
    sizes: [...around(16), ...around(64)].map((T, i) => [T, around(64)[i % 5]!] as const),
  },
  { name: "the device's choice", x: "bf16", sizes: around(12).map((T, i) => [T, around(32)[i]!] as const) },
];

describeOp("linear at the borders of tiles", linearCases, async ({ device }, c) => {
  const { tile, x: dtype, swiglu = false, sizes } = c;
  const stream = withEnvironment(tile ? { WARPLOOP_KERNEL: `linear:${tile}` } : {}, () =>
    device.createStream(),
  );
  const scope = stream.scope();
  for (const [T, N] of sizes) {
    const random = new Random(T + N);
    const [x, weight] = [random.normal(T * K, { dtype }), random.normal(N * K, { dtype: "bf16" })];
    const residual = random.normal(T * N);
    const packed = packLinear(stream, stream.fromArray("bf16", [N, K], toStorage("bf16", weight)), {
      swiglu,
    });
    const result = linear(stream, stream.fromArray(dtype, [T, K], toStorage(dtype, x)), packed, {
      ...(!swiglu && { residual: stream.fromArray("f32", [T, N], toStorage("f32", residual)) }),
      dtype: "f32",
    });
    const sums = linearReference(x, weight, { T, N, K }, swiglu ? {} : { residual });
    const expected = swiglu ? siluMulReference(sums, { T, F: N / 2 }) : sums;
    expectClose(await result.readFloat32(stream), expected, {
      ...{ dtype: "f32", shape: result.shape, reduction: K, label: `T ${T}, N ${N}` },
      ...(swiglu && { intermediate: dtype, ops: 2 }),
    });
    packed.dispose();
  }
  scope.close();
  await stream.dispose();
});

interface GroupedCase extends OpCase {
  readonly portable: boolean;
  readonly x: FloatDType;
  /** Calls, each with the rows of its experts. */
  readonly counts: readonly (readonly number[])[];
  readonly N: number;
}

/** Experts of `sizes` rows, and so many of one row that the mean is at most `mean`. */
function withMean(sizes: readonly number[], mean: number): number[] {
  const rows = sizes.reduce((sum, count) => sum + count, 0);
  const more = Math.max(0, Math.ceil((rows - mean * sizes.length) / (mean - 1)));
  return [...sizes, 0, ...new Array<number>(more).fill(1)];
}

const largest = hopperGrouped.reduce((a, b) => (b.rows > a.rows ? b : a));
const groupedCases: readonly GroupedCase[] = [
  ...(
    [
      [8, 4],
      [16, 12],
      [32, 24],
      [64, 64],
    ] as const
  ).map(([tile, mean]) => ({
    name: `portable, tiles of ${tile} rows`,
    portable: true,
    x: "bf16" as const,
    N: 48,
    counts: [withMean([...around(tile), ...around(2 * tile)], mean)],
  })),
  { name: "portable, tiles of 128 rows", portable: true, x: "bf16", N: 48, counts: [around(128)] },
  { name: "rows of f32", portable: false, x: "f32", N: 48, counts: [around(16), around(64)] },
  {
    name: "hopper, few rows",
    portable: false,
    x: "bf16",
    N: 144,
    counts: [withMean([8, 16, 32, 64].flatMap(around), 30)],
  },
  { name: "hopper, tiles of 128 rows", portable: false, x: "bf16", N: 144, counts: [around(128)] },
  { name: "hopper, wide tiles", portable: false, x: "bf16", N: 256, counts: [around(128)] },
  {
    name: "hopper, the second block of a cluster",
    portable: false,
    x: "bf16",
    N: 256,
    counts: [...around(largest.blockRows), ...around(largest.rows), 1].map((count) => [count, 1024]),
  },
];

describeOp("groupedLinear at the borders of tiles", groupedCases, async ({ device }, c) => {
  const { x: dtype, N } = c;
  const stream = withEnvironment(c.portable ? { WARPLOOP_KERNEL: "*:portable" } : {}, () =>
    device.createStream(),
  );
  const scope = stream.scope();
  for (const counts of c.counts) {
    const [experts, M] = [counts.length, counts.reduce((sum, count) => sum + count, 0)];
    const offsets = new Int32Array(experts + 1);
    for (const [e, count] of counts.entries()) offsets[e + 1] = offsets[e]! + count;
    const random = new Random(M);
    const [x, weight] = [random.normal(M * K, { dtype }), random.normal(experts * N * K, { dtype: "bf16" })];
    const group = emptyGroupedWeight(stream, {
      experts,
      outputs: N,
      inputs: K,
      dtype: "bf16",
      swiglu: false,
    });
    for (let e = 0; e < experts; e++) {
      const values = toStorage("bf16", weight.subarray(e * N * K, (e + 1) * N * K));
      packExpert(stream, group, e, stream.fromArray("bf16", [N, K], values));
    }
    const rows = stream.fromArray(dtype, [M, K], toStorage(dtype, x));
    const result = groupedLinear(stream, rows, group, stream.fromArray("i32", [experts + 1], offsets), {
      dtype: "f32",
    });
    const expected = groupedReference(x, weight, offsets, { N, K }, { swiglu: false });
    const actual = await result.readFloat32(stream);
    expectClose(actual, expected, {
      dtype: "f32",
      shape: [M, N],
      reduction: K,
      label: `rows ${counts.join(" ")}`,
    });
    group.dispose();
  }
  scope.close();
  await stream.dispose();
});
