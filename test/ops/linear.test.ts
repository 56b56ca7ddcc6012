/**
 * Contract: linear computes x W^T + bias + residual for every shape, tail, view and dtype, the same bits in every run and, on
 * the CPU, row by row.
 */
import { expect, test } from "vitest";
import { linear } from "../../lib/ops/linear.js";
import { packLinear } from "../../lib/ops/packLinear.js";
import { linear as reference } from "../reference/linear.js";
import { expectClose, expectSame } from "../support/compare.js";
import {
  describeOp,
  type OpCase,
  type OpContext,
  openTestDevice,
  withEnvironment,
} from "../support/devices.js";
import { toStorage, type FloatDType } from "../support/dtype.js";
import { splitProducts } from "../support/kernelTiles.js";
import { Random } from "../support/random.js";

interface LinearCase extends OpCase {
  readonly T: number;
  readonly N: number;
  readonly K: number;
  readonly x: FloatDType;
  readonly weight: FloatDType;
  readonly out?: FloatDType;
  readonly bias?: boolean;
  readonly residual?: FloatDType;
  readonly strided?: boolean;
  readonly transpose?: boolean;
  readonly scale?: number;
}

const sizes = (x: FloatDType, weight: FloatDType): LinearCase[] =>
  [1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13, 25].flatMap((T) =>
    [
      [1, 1],
      [15, 7],
      [16, 8],
      [17, 33],
      [47, 64],
      [130, 31],
    ].map(([N, K]) => ({ name: `${x} x ${weight}`, T, N: N!, K: K!, x, weight })),
  );

const cases: readonly LinearCase[] = [
  ...sizes("f32", "f32"),
  ...sizes("f32", "bf16"),
  ...sizes("f32", "f16"),
  ...sizes("bf16", "bf16"),
  ...sizes("f16", "f16"),
  { name: "no rows", T: 0, N: 16, K: 16, x: "bf16", weight: "bf16" },
  { name: "bias", T: 5, N: 33, K: 40, x: "bf16", weight: "bf16", bias: true },
  {
    name: "bias and f32 residual",
    T: 3,
    N: 50,
    K: 24,
    x: "bf16",
    weight: "bf16",
    bias: true,
    out: "f32",
    residual: "f32",
  },
  { name: "bf16 residual", T: 13, N: 50, K: 24, x: "bf16", weight: "bf16", residual: "bf16" },
  { name: "strided rows", T: 14, N: 40, K: 29, x: "bf16", weight: "bf16", strided: true },
  { name: "strided rows", T: 3, N: 20, K: 29, x: "f32", weight: "f16", strided: true, residual: "f32" },
  { name: "transposed weight", T: 4, N: 37, K: 21, x: "f32", weight: "bf16", transpose: true, bias: true },
  { name: "huge", T: 2, N: 20, K: 30, x: "f32", weight: "bf16", scale: 2 ** 60 },
  { name: "tiny", T: 2, N: 20, K: 30, x: "f32", weight: "f32", scale: 2 ** -60 },
  { name: "a block of many rows", T: 200, N: 300, K: 70, x: "bf16", weight: "bf16", out: "f32" },
  // rows of whole 16-byte pieces, as models have them: the fast kernels of a GPU
  ...[1, 3, 8, 11, 17, 40, 70].map(
    (T) => ({ name: "whole pieces", T, N: 100, K: 136, x: "bf16", weight: "bf16" }) as const,
  ),
  {
    name: "long rows, shared by blocks",
    T: 2,
    N: 40,
    K: 2304,
    x: "bf16",
    weight: "bf16",
    bias: true,
    residual: "bf16",
  },
  {
    name: "long rows, shared by blocks",
    T: 13,
    N: 70,
    K: 1800,
    x: "f16",
    weight: "f16",
    bias: true,
    residual: "f32",
  },
  {
    name: "long rows, shared by blocks",
    T: 20,
    N: 24,
    K: 1160,
    x: "bf16",
    weight: "bf16",
    residual: "f16",
    out: "f32",
  },
  {
    name: "long rows, shared by blocks",
    T: 3,
    N: 70,
    K: 900,
    x: "f32",
    weight: "f16",
    bias: true,
    residual: "bf16",
  },
  {
    name: "long rows, shared by blocks, all rows of a tile",
    T: 8,
    N: 70,
    K: 2304,
    x: "bf16",
    weight: "bf16",
  },
  {
    name: "long rows, shared by blocks, all rows of a tile",
    T: 16,
    N: 70,
    K: 1160,
    x: "f32",
    weight: "bf16",
  },
  { name: "many rows of f32", T: 70, N: 70, K: 40, x: "f32", weight: "bf16", out: "bf16" },
  { name: "no inputs", T: 3, N: 20, K: 0, x: "bf16", weight: "bf16", bias: true },
  {
    name: "ragged tiles, aligned rows",
    T: 300,
    N: 330,
    K: 136,
    x: "bf16",
    weight: "bf16",
    bias: true,
    residual: "bf16",
  },
  { name: "ragged tiles, f16", T: 130, N: 264, K: 72, x: "f16", weight: "f16", residual: "f32", out: "f32" },
  { name: "many blocks of k", T: 70, N: 40, K: 1160, x: "bf16", weight: "bf16" },
];

describeOp("linear", cases, async (context, c) => {
  const { T, N, K, x: xType, weight: wType, scale = 1 } = c;
  const out = c.out ?? xType;
  const random = new Random(7 * T + 31 * N + K);
  const x = random.normal(T * K, { dtype: xType, std: scale });
  const weight = random.normal(N * K, { dtype: wType });
  const bias = c.bias ? random.normal(N, { dtype: "f32" }) : undefined;
  const residual = c.residual ? random.normal(T * N, { dtype: c.residual }) : undefined;
  const optional = { ...(bias && { bias }), ...(residual && { residual }) };
  const expected = reference(x, weight, { T, N, K }, optional);

  const packed = packLinear(context.stream, weightTensor(context, c, weight), {
    transpose: c.transpose ?? false,
  });
  const view = (dtype: FloatDType, shape: number[], values: Float64Array) =>
    c.strided
      ? context.stridedRows(dtype, shape, values, { before: 3, after: 5 })
      : context.tensor(dtype, shape, values);
  const result = linear(context.stream, view(xType, [T, K], x), packed, {
    ...(bias && { bias: context.tensor("f32", [N], bias) }),
    ...(residual && { residual: view(c.residual!, [T, N], residual) }),
    dtype: out,
  });
  expect(result.shape).toEqual([T, N]);
  expectClose(await context.read(result), expected, { dtype: out, shape: [T, N], reduction: K });
  packed.dispose();
});

function weightTensor(
  context: OpContext,
  { N, K, weight: dtype, transpose }: LinearCase,
  values: Float64Array,
) {
  if (!transpose) return context.tensor(dtype, [N, K], values);
  const turned = new Float64Array(N * K);
  for (let n = 0; n < N; n++) for (let k = 0; k < K; k++) turned[k * N + n] = values[n * K + k]!;
  return context.tensor(dtype, [K, N], turned);
}

const portableTiles = ["8x16", "8x32", "8x64", "16x64", "32x128", "64x64", "64x128", "128x128"];
const hopperTiles = ["h64x128", "h128x128", "h128x256"];
const splitTiles = splitProducts.map(({ name }) => name);

describeOp<OpCase & { readonly tile: string; readonly T: number; readonly N: number; readonly K: number }>(
  "linear with every tile of a GPU",
  [
    ...[...portableTiles, ...hopperTiles, ...splitTiles].flatMap((tile) => [
      { name: "more rows and columns than a tile", tile, T: 150, N: 136, K: 72 },
      { name: "more steps than stages", tile, T: 70, N: 136, K: 1160 },
    ]),
    ...hopperTiles.map((tile) => ({ name: "more tiles than blocks", tile, T: 1530, N: 3064, K: 24 })),
    ...splitTiles.flatMap((tile) => [
      ...[17, 63, 65, 129, 255].map((T) => ({ name: "unequal parts of K", tile, T, N: 136, K: 648 })),
      { name: "more steps than stages in each part of K", tile, T: 20, N: 40, K: 3400 },
      { name: "fewer steps than parts of K", tile, T: 40, N: 136, K: 64 },
    ]),
  ].map((each) => ({ ...each, skip: { cpu: "it has no tiles" } })),
  async ({ device }, { tile, T, N, K }) => {
    const random = new Random(T);
    const [x, weight] = [random.normal(T * K, { dtype: "f16" }), random.normal(N * K, { dtype: "f16" })];
    const stream = withEnvironment({ WARPLOOP_KERNEL: `linear:${tile}` }, () => device.createStream());
    const packed = packLinear(stream, stream.fromArray("f16", [N, K], toStorage("f16", weight)));
    const result = linear(stream, stream.fromArray("f16", [T, K], toStorage("f16", x)), packed, {
      dtype: "f32",
    });
    const actual = await result.readFloat32(stream);
    expectClose(actual, reference(x, weight, { T, N, K }), { dtype: "f32", shape: [T, N], reduction: K });
    packed.dispose();
    await stream.dispose();
  },
);

describeOp<OpCase & { readonly T: number }>(
  "linear gives the same bits again",
  [
    { name: "few rows", T: 2 },
    { name: "more rows", T: 20 },
  ],
  async (context, { T }) => {
    const [N, K] = [48, 2048];
    const random = new Random(T);
    const x = context.tensor("bf16", [T, K], random.normal(T * K, { dtype: "bf16" }));
    const packed = packLinear(
      context.stream,
      context.tensor("bf16", [N, K], random.normal(N * K, { dtype: "bf16" })),
    );
    const first = await context.read(linear(context.stream, x, packed, { dtype: "f32" }));
    for (let i = 0; i < 3; i++) {
      const again = await context.read(linear(context.stream, x, packed, { dtype: "f32" }));
      expectSame(again, first, { shape: [T, N] });
    }
    packed.dispose();
  },
);

describeOp<OpCase & { readonly tile: string }>(
  "linear with one kernel gives a row the same bits in any company",
  [...hopperTiles, ...splitTiles].map((tile) => ({
    ...{ name: "rows of three calls", tile, skip: { cpu: "it has no tiles" } },
  })),
  async ({ device }, { tile }) => {
    const [T, N, K] = [150, 136, 648];
    const random = new Random(3);
    const [x, weight] = [random.normal(T * K, { dtype: "bf16" }), random.normal(N * K, { dtype: "bf16" })];
    const stream = withEnvironment({ WARPLOOP_KERNEL: `linear:${tile}` }, () => device.createStream());
    const packed = packLinear(stream, stream.fromArray("bf16", [N, K], toStorage("bf16", weight)));
    const rows = stream.fromArray("bf16", [T, K], toStorage("bf16", x));
    const bitsOf = async (part: typeof rows) =>
      linear(stream, part, packed, { dtype: "f32" }).readFloat32(stream);
    const all = await bitsOf(rows);
    for (const [first, end] of [
      [3, 20],
      [60, 150],
      [149, 150],
    ] as const) {
      const some = await bitsOf(rows.slice(0, first, end));
      expectSame(some, all.subarray(first * N, end * N), { shape: [end - first, N] });
    }
    packed.dispose();
    await stream.dispose();
  },
);

describeOp<OpCase & { readonly tile: string; readonly residual: FloatDType; readonly K: number }>(
  "linear with a residual that the copy engine takes, or does not take",
  hopperTiles
    .flatMap((tile) => (["f32", "bf16", "f16"] as const).map((residual) => ({ tile, residual })))
    .flatMap((each) => [
      { name: "more steps than stages", ...each, K: 648 },
      { name: "one step", ...each, K: 40 },
    ])
    .map((each) => ({ ...each, skip: { cpu: "it has no tiles" } })),
  async ({ device }, { tile, residual: dtype, K }) => {
    const [T, N] = [300, 392]; // several tiles of all, cut at both ends
    const random = new Random(K);
    const [x, weight] = [random.normal(T * K, { dtype: "bf16" }), random.normal(N * K, { dtype: "bf16" })];
    const [bias, residual] = [random.normal(N), random.normal(T * N, { dtype })];
    const stream = withEnvironment({ WARPLOOP_KERNEL: `linear:${tile}` }, () => device.createStream());
    const packed = packLinear(stream, stream.fromArray("bf16", [N, K], toStorage("bf16", weight)));
    const rows = stream.fromArray("bf16", [T, K], toStorage("bf16", x));
    const biases = stream.fromArray("f32", [N], toStorage("f32", bias));
    const whole = stream.fromArray(dtype, [T, N], toStorage(dtype, residual));
    const padded = new Float64Array(T * (N + 3));
    for (let t = 0; t < T; t++) padded.set(residual.subarray(t * N, (t + 1) * N), t * (N + 3) + 1);
    const odd = stream.fromArray(dtype, [T, N + 3], toStorage(dtype, padded)).slice(1, 1, N + 1);
    const out = dtype === "f16" ? "f32" : dtype;
    const [staged, direct] = [whole, odd].map((from) =>
      linear(stream, rows, packed, { bias: biases, residual: from, dtype: out }),
    );
    const actual = await staged!.readFloat32(stream);
    const expected = reference(x, weight, { T, N, K }, { bias, residual });
    expectClose(actual, expected, { dtype: out, shape: [T, N], reduction: K });
    expectSame(await direct!.readFloat32(stream), actual, { shape: [T, N], label: "odd rows" });
    if (out === dtype) {
      linear(stream, rows, packed, { bias: biases, residual: whole, out: whole });
      expectSame(await whole.readFloat32(stream), actual, { shape: [T, N], label: "in place" });
    }
    packed.dispose();
    await stream.dispose();
  },
);

const oneOrderOnly = "on a GPU tiles, and with them the order of the sum, depend on the number of rows";

interface RowCase extends OpCase {
  readonly dtype: FloatDType;
  readonly weight: FloatDType;
  readonly K: number;
}

describeOp<RowCase>(
  "linear, one row at a time against all rows",
  [
    { name: "bf16", dtype: "bf16", weight: "bf16", K: 130 },
    { name: "odd K", dtype: "bf16", weight: "bf16", K: 77 },
    { name: "f32 activations", dtype: "f32", weight: "bf16", K: 130 },
    { name: "f32", dtype: "f32", weight: "f32", K: 130 },
    { name: "rows 4096 bytes apart", dtype: "bf16", weight: "bf16", K: 2048 },
    { name: "rows 8192 bytes apart", dtype: "f32", weight: "bf16", K: 2048 },
  ].map((each) => ({ ...each, skip: { simt: oneOrderOnly, cuda: oneOrderOnly } }) as RowCase),
  async (context, { dtype, weight, K }) => {
    const { stream } = context;
    const T = 150;
    const N = 77;
    const random = new Random(3);
    const x = context.tensor(dtype, [T, K], random.normal(T * K, { dtype }));
    const packed = packLinear(
      stream,
      context.tensor(weight, [N, K], random.normal(N * K, { dtype: weight })),
    );
    const whole = await context.read(linear(stream, x, packed, { dtype: "f32" }));
    for (const count of [1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 100]) {
      const part = await context.read(linear(stream, x.slice(0, 20, 20 + count), packed, { dtype: "f32" }));
      expectSame(part, whole.subarray(20 * N, (20 + count) * N), {
        shape: [count, N],
        label: `${count} rows`,
      });
    }
    packed.dispose();
  },
);

test("linear refuses what does not fit, naming the argument", async () => {
  await using device = openTestDevice();
  const stream = device.createStream();
  const weight = packLinear(stream, device.empty("bf16", [8, 4]));
  const x = device.empty("bf16", [2, 4]);
  const range = { code: "ERR_ARGUMENT_RANGE" };
  expect(() => linear(stream, device.empty("bf16", [2, 6]), weight)).toThrow(expect.objectContaining(range));
  expect(() => linear(stream, x, weight, { bias: device.empty("f32", [9]) })).toThrow(
    /bias: expected \[N=8\]/,
  );
  expect(() => linear(stream, x, weight, { residual: device.empty("f32", [3, 8]) })).toThrow(/residual/);
  expect(() => linear(stream, device.empty("f16", [2, 4]), weight)).toThrow(
    /x: expected dtype f32 or bf16, got f16/,
  );
  expect(() => linear(stream, x, weight, { out: device.empty("i32", [2, 8]) })).toThrow(
    /out: expected dtype/,
  );
  expect(() => packLinear(stream, device.empty("i32", [8, 4]))).toThrow(/weight: expected dtype/);
  expect(() => packLinear(stream, device.empty("f32", [8]))).toThrow(RangeError);
});
