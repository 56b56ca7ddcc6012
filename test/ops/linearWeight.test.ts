/**
 * Contract: a weight is segments of rows. Parts are packed one by one wherever they begin, neighbours of one format are one
 * segment and one launch, and products over several segments are those of the segments by themselves.
 */
import { expect, test } from "vitest";
import { Tensor } from "../../lib/device/tensor.js";
import { groupedLinear } from "../../lib/ops/groupedLinear.js";
import { linear, type LinearOptions } from "../../lib/ops/linear.js";
import {
  emptySegments,
  GroupedWeight,
  LinearWeight,
  packRows,
  type SegmentPlan,
} from "../../lib/ops/linearWeight.js";
import { emptyGroupedWeight, packExpert, packLinear } from "../../lib/ops/packLinear.js";
import type { SwigluClamp } from "../../lib/ops/siluMul.js";
import { linear as reference } from "../reference/linear.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

/** Of x, and of options by name. */
type Shapes = [x: readonly number[], options?: Readonly<Record<string, readonly number[]>>];

const part = (name: string, outputs: number, dtype: FloatDType): SegmentPlan => ({
  name,
  outputs,
  format: { format: "dense", dtype },
});

interface PartsCase extends OpCase {
  readonly dtype: FloatDType;
  readonly N: number;
  readonly K: number;
  /** Where parts begin, in the order in which they are packed. */
  readonly starts: readonly number[];
  readonly transpose?: boolean;
  readonly swiglu?: boolean;
}

describeOp<PartsCase>(
  "packRows: parts that begin anywhere make the weight that packing it whole makes",
  [
    { name: "panels of one part", dtype: "bf16", N: 64, K: 24, starts: [32, 0, 16, 48] },
    { name: "panels of several parts", dtype: "bf16", N: 70, K: 33, starts: [37, 0, 5, 36, 69] },
    { name: "f32", dtype: "f32", N: 50, K: 7, starts: [20, 0] },
    { name: "whole vectors", dtype: "f16", N: 40, K: 64, starts: [0, 9] },
    { name: "transposed", dtype: "bf16", N: 45, K: 37, starts: [11, 0, 40], transpose: true },
    { name: "gate and up", dtype: "bf16", N: 42, K: 10, starts: [21, 0], swiglu: true },
    { name: "gate and up in parts", dtype: "f32", N: 84, K: 10, starts: [60, 0, 17, 42], swiglu: true },
    { name: "parts of gate and up", dtype: "bf16", N: 40, K: 16, starts: [0, 13, 33], swiglu: true },
  ],
  async (context, { dtype, N, K, starts, transpose = false, swiglu = false }) => {
    const { stream } = context;
    const values = new Random(N).normal(N * K, { dtype });
    const matrix = (first: number, end: number) => {
      const [n, rows] = [end - first, values.subarray(first * K, end * K)];
      if (!transpose) return context.tensor(dtype, [n, K], rows);
      const turned = rows.map((_, i) => rows[(i % n) * K + Math.floor(i / n)]!);
      const { memory, byteOffset } = context.tensor(dtype, [K, n], turned);
      return Tensor.strided(memory, dtype, [n, K], [1, n], byteOffset);
    };
    const packed = (borders: readonly number[]) => {
      const shape = { experts: 2, inputs: K, swiglu };
      const segments = emptySegments(stream.device, shape, [part("weight", N, dtype)]);
      const group = new GroupedWeight(shape, segments);
      for (const first of borders) {
        const end = Math.min(N, ...borders.filter((other) => other > first));
        packRows(stream, group, { first, matrix: matrix(first, end), expert: 1 });
      }
      return group;
    };
    const [whole, inParts] = [packed([0]), packed(starts)];
    const [expected, actual] = [whole, inParts].map(({ segments }) => segments[0]!.expert(1).data);
    expectSame(await context.read(actual!), await context.read(expected!), { shape: actual!.shape });
    for (const weight of [whole, inParts]) weight.dispose();
  },
);

describeOp<OpCase & { readonly dtype: FloatDType; readonly K: number; readonly transpose?: boolean }>(
  "packRows: rows that are axes, in any order",
  [
    { name: "whole vectors", dtype: "bf16", K: 64 },
    { name: "single numbers", dtype: "f32", K: 7 },
    { name: "k apart", dtype: "bf16", K: 33, transpose: true },
  ],
  async (context, { dtype, K, transpose = false }) => {
    const { stream } = context;
    const [H, D] = [3, 10]; // rows [H, D, 2], packed as [H, 2, D]
    const N = H * D * 2;
    const values = new Random(K).normal(N * K, { dtype });
    const stored = values.map((_, i) => (transpose ? values[(i % N) * K + Math.floor(i / N)]! : values[i]!));
    const { memory, byteOffset } = context.tensor(dtype, transpose ? [K, N] : [N, K], stored);
    const [row, k] = transpose ? [1, N] : [K, 1];
    const strides = [2 * D * row, row, 2 * row, k];
    const matrix = Tensor.strided(memory, dtype, [H, 2, D, K], strides, byteOffset);
    const shape = { experts: 1, inputs: K, swiglu: false };
    const packed = new LinearWeight(
      shape,
      emptySegments(stream.device, shape, [part("weight", N + 5, dtype)]),
    );
    packRows(stream, packed, { first: 0, matrix: context.tensor(dtype, [5, K], values.subarray(0, 5 * K)) });
    packRows(stream, packed, { first: 5, matrix });

    const rows = Array.from({ length: N }, (_, i) => {
      const [h, half, d] = [Math.floor(i / (2 * D)), Math.floor(i / D) % 2, i % D];
      return h * 2 * D + 2 * d + half;
    });
    const ordered = [0, 1, 2, 3, 4, ...rows].flatMap((n) => [...values.subarray(n * K, (n + 1) * K)]);
    const expected = packLinear(stream, context.tensor(dtype, [N + 5, K], Float64Array.from(ordered)));
    const [actual, wanted] = [packed, expected].map(({ segments }) => segments[0]!.data);
    expectSame(await context.read(actual!), await context.read(wanted!), { shape: actual!.shape });
    for (const weight of [packed, expected]) weight.dispose();
  },
);

interface SegmentsCase extends OpCase {
  readonly T: number;
  readonly K: number;
  readonly bias?: boolean;
  readonly residual?: boolean;
  readonly inPlace?: boolean;
}

describeOp<SegmentsCase>(
  "linear over several segments",
  [
    { name: "one row", T: 1, K: 40 },
    { name: "bias and residual", T: 5, K: 40, bias: true, residual: true },
    { name: "added in place", T: 3, K: 24, residual: true, inPlace: true },
    { name: "many rows", T: 100, K: 33, bias: true },
    { name: "no rows", T: 0, K: 16 },
  ],
  async (context, { T, K, ...c }) => {
    const { stream } = context;
    const random = new Random(T + K);
    const parts: readonly (readonly [string, number, FloatDType])[] = [
      ["q", 19, "bf16"],
      ["k", 6, "f32"],
      ["v", 11, "f32"],
      ["z", 32, "f16"],
    ];
    const matrices = parts.map(([, N, dtype]) => random.normal(N * K, { dtype }));
    const N = 68;
    const x = random.normal(T * K, { dtype: "f32" });
    const values = Float64Array.from(matrices.flatMap((each) => [...each]));
    const bias = c.bias ? random.normal(N, { dtype: "f32" }) : undefined;
    const residual = c.residual ? random.normal(T * N, { dtype: "f32" }) : undefined;
    const expected = reference(
      x,
      values,
      { T, N, K },
      { ...(bias && { bias }), ...(residual && { residual }) },
    );

    const weight = packLinear(
      stream,
      Object.fromEntries(
        parts.map(([name, rows, dtype], i) => [name, context.tensor(dtype, [rows, K], matrices[i]!)]),
      ),
    );
    expect(weight.segments.map(({ name, outputs }) => [name, outputs])).toEqual([
      ["q", 19],
      ["k+v", 17],
      ["z", 32],
    ]);
    const added = residual && context.tensor("f32", [T, N], residual);
    const out = linear(stream, context.tensor("f32", [T, K], x), weight, {
      ...(bias && { bias: context.tensor("f32", [N], bias) }),
      ...(added && { residual: added }),
      ...(added && c.inPlace && { out: added }),
    });
    expectClose(await context.read(out), expected, { dtype: "f32", shape: [T, N], reduction: K });
    weight.dispose();
  },
);

describeOp<OpCase & { readonly out: FloatDType; readonly order?: boolean; readonly clamp?: SwigluClamp }>(
  "groupedLinear with gate and up of two formats is what it is with one",
  [
    { name: "f32", out: "f32" },
    { name: "bf16, gathered rows", out: "bf16", order: true },
    { name: "biases and a clamp", out: "f32", clamp: { limit: 1, alpha: 1.702 } },
  ],
  async (context, { out, order, clamp }) => {
    const { stream } = context;
    const [E, F, K, M] = [3, 21, 40, 12];
    const random = new Random(5);
    const x = context.tensor("f32", [order ? M / 2 : M, K], random.normal((order ? M / 2 : M) * K));
    const offsets = context.integers([E + 1], [0, 5, 5, M]);
    const places = order && context.integers([M], [...random.permutation(M)]);
    const bias = clamp && context.tensor("f32", [E, 2 * F], random.normal(E * 2 * F));
    const rows = Array.from({ length: E }, () =>
      ["gate", "up"].map(() => random.normal(F * K, { dtype: "bf16" })),
    );
    const results: Float32Array[] = [];
    for (const up of ["bf16", "f32"] as const) {
      const parts = [part("gate", F, "bf16"), part("up", F, up)];
      const shape = { experts: E, inputs: K, swiglu: true };
      const group = new GroupedWeight(shape, emptySegments(stream.device, shape, parts));
      expect(group).toMatchObject({ outputs: 2 * F, isFused: up === "bf16" });
      for (const [expert, values] of rows.entries()) {
        for (const [i, dtype] of (["bf16", up] as const).entries()) {
          const matrix = context.tensor(dtype, [F, K], values[i]!);
          packRows(stream, group, { first: i * F, matrix, expert });
        }
      }
      const options = { dtype: out, bias, clamp, ...(places && { order: places, topK: 2 }) };
      const product = groupedLinear(stream, x, group, offsets, options);
      expect(product.shape).toEqual([M, F]);
      results.push(Float32Array.from(await context.read(product)));
      group.dispose();
    }
    const [fused, apart] = results as [Float32Array, Float32Array];
    expectClose(apart, Float64Array.from(fused), { dtype: out, shape: [M, F], reduction: K });
  },
);

test("launches: one for each segment, and one for all that are of one format", async () => {
  await using device = openTestDevice();
  const stream = device.createStream();
  const matrix = (dtype: FloatDType) => device.empty(dtype, [16, 8]);
  const x = stream.fromArray("f32", [1, 8], new Float32Array(8));
  const count = async (weight: LinearWeight) => {
    const trace = stream.trace();
    linear(stream, x, weight);
    return (await trace.end()).filter(({ op }) => op === "linear").length;
  };
  const [bf16, f32] = [matrix("bf16"), matrix("f32")];
  for (const each of [bf16, f32])
    each.write(stream, each === f32 ? new Float32Array(128) : new Uint16Array(128));
  expect(await count(packLinear(stream, { q: bf16, k: bf16, v: bf16 }))).toBe(1);
  expect(await count(packLinear(stream, { q: bf16, k: f32, v: bf16 }))).toBe(3);
});

test("sizes that do not fit are said of the whole weight, however many segments it has", async () => {
  await using device = openTestDevice();
  const stream = device.createStream();
  const [a, b] = [device.empty("f32", [4, 8]), device.empty("f32", [4, 8])];
  const messageOf = (weight: LinearWeight, ...shapes: Shapes): string => {
    const [x, named] = [stream.empty("f32", shapes[0]), Object.entries(shapes[1] ?? {})];
    const options = named.map(([name, shape]) => [name, stream.empty("f32", shape)]);
    try {
      linear(stream, x, weight, Object.fromEntries(options) as LinearOptions);
    } catch (error) {
      return `${(error as Error).name} ${(error as Error).message}`;
    }
    return "none";
  };
  const one = packLinear(stream, { a, b });
  const several = packLinear(stream, { a, b: device.empty("bf16", [4, 8]) });
  expect([one.segments.length, several.segments.length]).toEqual([1, 2]);
  const wrong: Shapes[] = [[[8]], [[2, 7]], [[2, 2, 8]]];
  for (const shape of [[2, 7], [2, 9], [2, 3], [2, 0], [3, 8], [8], [1, 2, 8], []])
    for (const name of ["out", "residual"]) wrong.push([[2, 8], { [name]: shape }]);
  for (const shape of [[7], [9], [3], [1, 8], []]) wrong.push([[2, 8], { bias: shape }]);
  for (const shapes of wrong) {
    const message = messageOf(one, ...shapes);
    expect(message).toMatch(/linear: (x|out|residual|bias): expected \[.*\] \(.* from .*\), got \[/);
    expect(messageOf(several, ...shapes)).toBe(message);
  }
});

test("what does not fit is refused, naming the argument", async () => {
  await using device = openTestDevice();
  const stream = device.createStream();
  const [a, b] = [device.empty("f32", [4, 8]), device.empty("bf16", [4, 8])];
  const weight = packLinear(stream, { a, b });
  const x = device.empty("f32", [2, 8]);
  const group = emptyGroupedWeight(stream, {
    ...{ experts: 2, outputs: 4, inputs: 8, dtype: "bf16", swiglu: true },
  });
  for (const shape of [[3, 8], [5, 8], [4, 9], [2, 2, 8], [8]])
    expect(() => packExpert(stream, group, 1, device.empty("bf16", shape))).toThrow(
      `packExpert: weight: expected [N=4, K=8] (from group), got [${shape.join(", ")}]`,
    );
  expect(() => packExpert(stream, group, 1, a)).toThrow(
    "packExpert: weight: expected dtype bf16 (from group), got f32",
  );
  expect(() =>
    emptyGroupedWeight(stream, { experts: 2, outputs: 7, inputs: 8, dtype: "bf16", swiglu: true }),
  ).toThrow("emptyGroupedWeight: outputs: expected an even number of rows, gate and up, got 7");
  expect(() => packLinear(stream, { a, b: device.empty("f32", [4, 9]) })).toThrow(
    "packLinear: weight: expected K=8 (from a), got K=9 of b",
  );
  for (const shape of [[], [8], [1, 4, 8]])
    expect(() => packLinear(stream, { a, b: device.empty("f32", shape) })).toThrow(
      `packLinear: weight: expected [N, K], got b [${shape.join(", ")}]`,
    );
  expect(() => packLinear(stream, { a, b: device.empty("i32", [4, 8]) })).toThrow(/weight: expected dtype/);
  expect(() => packLinear(stream, {})).toThrow(/weight: expected a Tensor, or an object of them by name/);
  const shape = { experts: 1, inputs: 8, swiglu: false };
  const short = new LinearWeight(shape, emptySegments(device, shape, [part("weight", 6, "f32")]));
  expect(() => packRows(stream, short, { first: 3, matrix: a })).toThrow(
    /rows inside the packed weight, got 7/,
  );
  weight.dispose();
  expect(() => linear(stream, x, weight)).toThrow(expect.objectContaining({ code: "ERR_CLOSED" }));
});
