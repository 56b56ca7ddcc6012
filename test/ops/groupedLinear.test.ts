/** Contract: groupedLinear runs each expert's rows through its own weight and bias, gathering tokens and fusing SwiGLU, clamped or not. */
import { expect, test } from "vitest";
import { groupedLinear, type GroupedLinearOptions } from "../../lib/ops/groupedLinear.js";
import type { SwigluClamp } from "../../lib/ops/siluMul.js";
import { emptyGroupedWeight, packExpert } from "../../lib/ops/packLinear.js";
import { groupedLinear as reference } from "../reference/groupedLinear.js";
import { expectClose } from "../support/compare.js";
import { describeOp, type OpCase, type OpContext, openTestDevice } from "../support/devices.js";
import { toStorage, type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface GroupedCase extends OpCase {
  readonly counts: readonly number[];
  readonly N: number;
  readonly K: number;
  readonly x: FloatDType;
  readonly weight: FloatDType;
  readonly out?: FloatDType;
  readonly swiglu?: boolean;
  readonly clamp?: SwigluClamp;
  /** Biases, in rows with so many numbers in front of and behind them. */
  readonly bias?: { readonly before: number; readonly after: number };
  /** Experts per token; 0: rows of x in place. */
  readonly topK?: number;
  readonly strided?: boolean;
  /** The weight has only the experts from this one on: rows of those before it are not written. */
  readonly from?: number;
}

const bf16 = { x: "bf16", weight: "bf16" } as const;
const [packed, padded, odd] = [
  { before: 0, after: 0 },
  { before: 4, after: 4 },
  { before: 1, after: 2 },
];
const clamp = { limit: 2, alpha: 1.702 };
/** Biases and the clamp, in every kernel: single elements and vectors, few rows and many. */
const biased: readonly GroupedCase[] = [
  { name: "biases", counts: [2, 0, 9], N: 33, K: 17, bias: packed, ...bf16 },
  { name: "biases, whole pieces, few rows", counts: [2, 0, 5], N: 80, K: 136, bias: packed, ...bf16 },
  { name: "biases, whole pieces, twenty rows each", counts: [9, 31], N: 140, K: 72, bias: padded, ...bf16 },
  { name: "biases, many rows per expert", counts: [70, 0, 130], N: 256, K: 136, bias: packed, ...bf16 },
  { name: "biases, f32", counts: [3, 5], N: 40, K: 25, bias: odd, x: "f32", weight: "f32" },
  {
    name: "biases, the last experts alone",
    counts: [3, 0, 5, 4],
    from: 2,
    N: 40,
    K: 25,
    bias: packed,
    ...bf16,
  },
  { name: "biases, swiglu", counts: [2, 0, 9], N: 42, K: 30, swiglu: true, bias: packed, ...bf16 },
  {
    ...{ name: "biases, swiglu, gathered, f32 result", counts: [30, 0, 21], N: 40, K: 25, topK: 3 },
    ...{ swiglu: true, bias: padded, out: "f32", ...bf16 },
  },
  { name: "clamped", counts: [2, 0, 9], N: 64, K: 30, swiglu: true, clamp, ...bf16 },
  {
    name: "clamped, f32",
    counts: [3, 5],
    N: 42,
    K: 25,
    swiglu: true,
    clamp,
    bias: packed,
    x: "f32",
    weight: "f32",
  },
  {
    ...{ name: "biases, clamped, whole pieces, few rows", counts: [2, 0, 5], N: 96, K: 136, swiglu: true },
    ...{ clamp, bias: packed, ...bf16 },
  },
  {
    ...{ name: "biases, clamped, whole pieces, ten rows each", counts: [10, 12], N: 64, K: 72, swiglu: true },
    ...{ clamp, bias: odd, x: "f16", weight: "f16" },
  },
  {
    ...{ name: "biases, clamped, many rows per expert", counts: [150, 9, 65, 80], N: 520, K: 72, topK: 2 },
    ...{ swiglu: true, clamp, bias: packed, ...bf16 },
  },
];

const cases: readonly GroupedCase[] = [
  { name: "one row", counts: [1], N: 16, K: 2, ...bf16 },
  { name: "empty experts", counts: [0, 3, 0, 0, 5, 0], N: 33, K: 17, ...bf16 },
  { name: "no rows at all", counts: [0, 0], N: 16, K: 8, ...bf16 },
  { name: "rows on both sides of a tile", counts: [12, 13, 1, 6, 7], N: 48, K: 20, ...bf16 },
  { name: "swiglu", counts: [2, 0, 9], N: 64, K: 30, swiglu: true, ...bf16 },
  { name: "swiglu with a padded panel", counts: [3, 14], N: 42, K: 30, swiglu: true, ...bf16 },
  { name: "swiglu, one row", counts: [1, 1], N: 200, K: 30, swiglu: true, ...bf16 },
  { name: "gathered, top 2", counts: [4, 1, 7], N: 40, K: 25, topK: 2, ...bf16 },
  {
    name: "gathered, top 3, swiglu, f32 result",
    counts: [30, 0, 21],
    N: 40,
    K: 25,
    topK: 3,
    swiglu: true,
    out: "f32",
    ...bf16,
  },
  { name: "f32", counts: [3, 5], N: 40, K: 25, topK: 2, swiglu: true, x: "f32", weight: "f32" },
  { name: "f32 activations", counts: [3, 5], N: 40, K: 25, topK: 2, swiglu: true, x: "f32", weight: "bf16" },
  { name: "f16", counts: [3, 15], N: 40, K: 25, swiglu: true, x: "f16", weight: "f16" },
  { name: "the last experts alone", counts: [3, 0, 5, 4], from: 2, N: 40, K: 25, ...bf16 },
  { name: "the last experts alone, whole pieces", counts: [40, 7, 70], from: 1, N: 80, K: 136, ...bf16 },
  { name: "the last experts alone, gathered", counts: [2, 1, 4, 1], from: 1, N: 96, K: 64, topK: 2, ...bf16 },
  { name: "strided x", counts: [3, 5], N: 40, K: 25, strided: true, ...bf16 },
  // rows of whole 16-byte pieces, as models have them: the fast kernels of a GPU
  { name: "whole pieces, few rows", counts: [2, 0, 5], N: 80, K: 136, ...bf16 },
  { name: "whole pieces, gathered", counts: [1, 2, 0, 3], N: 96, K: 64, topK: 2, swiglu: true, ...bf16 },
  {
    name: "whole pieces, one crowded expert",
    counts: [1, 21, 0, 2],
    N: 42,
    K: 72,
    topK: 3,
    swiglu: true,
    ...bf16,
  },
  {
    name: "whole pieces, ten rows each",
    counts: [10, 12],
    N: 64,
    K: 264,
    swiglu: true,
    x: "f16",
    weight: "f16",
  },
  { name: "whole pieces, twenty rows each", counts: [9, 31], N: 140, K: 72, topK: 2, out: "f32", ...bf16 },
  { name: "whole pieces, fifty rows each", counts: [70, 30], N: 64, K: 64, topK: 2, swiglu: true, ...bf16 },
  { name: "whole pieces, many rows each", counts: [140, 70], N: 72, K: 64, ...bf16 },
  {
    name: "many experts",
    counts: Array.from({ length: 70 }, (_, e) => (e % 23 === 0 ? 2 : 0)),
    N: 32,
    K: 16,
    ...bf16,
  },
  { name: "many rows per expert", counts: [70, 0, 130], N: 256, K: 136, ...bf16 },
  { name: "many rows per expert, f16", counts: [90, 60], N: 72, K: 24, x: "f16", weight: "f16", out: "f32" },
  {
    name: "many rows per expert, gathered, swiglu",
    counts: [150, 9, 65, 80],
    N: 520,
    K: 72,
    topK: 2,
    swiglu: true,
    ...bf16,
  },
  // of the Hopper kernels, by rows per expert and columns: more steps than stages, warpgroups without rows
  ...(
    [
      [[50, 0, 38], 136],
      [[90, 0, 38], 136],
      [[90, 0, 38], 256],
      [[520], 256],
    ] as const
  ).map(([counts, N]) => ({ name: "more steps than stages", counts, N, K: 712, ...bf16 })),
  {
    name: "more tiles than blocks, few rows",
    counts: new Array<number>(150).fill(2),
    N: 264,
    K: 16,
    ...bf16,
  },
  { name: "more tiles than blocks", counts: new Array<number>(140).fill(33), N: 128, K: 16, ...bf16 },
  ...biased,
];

describeOp("groupedLinear", cases, async (context, c) => {
  const { counts, N, K, x: xType, weight: wType, swiglu = false, topK = 0, from = 0, clamp } = c;
  const E = counts.length;
  const M = counts.reduce((sum, count) => sum + count, 0);
  const rows = topK > 0 ? M / topK : M;
  const random = new Random(M + N + K);
  const x = random.normal(rows * K, { dtype: xType });
  const weight = random.normal(E * N * K, { dtype: wType, std: 0.5 });
  const offsets = new Int32Array(E + 1);
  for (const [e, count] of counts.entries()) offsets[e + 1] = offsets[e]! + count;
  const order = topK > 0 ? Int32Array.from(random.permutation(M)) : undefined;
  const bias = c.bias && random.normal(E * N);
  const options = { swiglu, clamp, bias, ...(order && { order, topK }) };
  const width = swiglu ? N / 2 : N;
  const expected = reference(x, weight, offsets, { N, K }, options).fill(7, 0, offsets[from]! * width);

  const group = pack(context, c, weight);
  const xTensor = c.strided
    ? context.stridedRows(xType, [rows, K], x, { before: 1, after: 2 })
    : context.tensor(xType, [rows, K], x);
  const dtype = c.out ?? xType;
  const own = context.integers([E + 1], offsets).slice(0, from, E + 1);
  const result = groupedLinear(context.stream, xTensor, group, own, {
    ...(order && { order: context.integers([M], order), topK }),
    bias: bias && context.stridedRows("f32", [E, N], bias, c.bias).slice(0, from, E),
    ...{ clamp, dtype },
    ...(from > 0 && { out: context.tensor(dtype, [M, width], new Float64Array(M * width).fill(7)) }),
  });
  expect(result.shape).toEqual([M, width]);
  expectClose(await context.read(result), expected, { dtype, shape: [M, width], reduction: K });
  group.dispose();
});

function pack(
  context: OpContext,
  { counts, N, K, weight: dtype, swiglu = false, from = 0 }: GroupedCase,
  values: Float64Array,
) {
  const experts = counts.length - from;
  const group = emptyGroupedWeight(context.stream, { experts, outputs: N, inputs: K, dtype, swiglu });
  for (let e = 0; e < experts; e++) {
    packExpert(
      context.stream,
      group,
      e,
      context.tensor(dtype, [N, K], values.subarray((from + e) * N * K, (from + e + 1) * N * K)),
    );
  }
  return group;
}

const faults = [
  ["an offset beyond the rows", [0, 9], [0, 1], "offsets run from 0 to 9 but there are 2 rows"],
  ["a negative offset", [-3, 2], [0, 1], "offsets run from -3 to 2 but there are 2 rows"],
  ["offsets that decrease", [2, 1], [0, 1], "offsets[0] = 2 exceeds the next one"],
  ["an order beyond x", [0, 2], [0, 8], "order[1] = 8 is outside the 2 rows of x times topK"],
  ["a negative order", [0, 2], [-1, 1], "order[0] = -1 is outside the 2 rows of x times topK"],
] as const;

test.each((["f32", "bf16"] as const).flatMap((dtype) => faults.map((fault) => [dtype, ...fault] as const)))(
  "groupedLinear poisons the %s stream for %s",
  async (dtype, _, offsets, order, message) => {
    await using device = openTestDevice();
    const stream = device.createStream();
    const [N, K] = [8, 16];
    const group = emptyGroupedWeight(stream, { experts: 1, outputs: N, inputs: K, dtype, swiglu: false });
    const zeros = (shape: number[]) =>
      stream.fromArray(dtype, shape, toStorage(dtype, new Float64Array(shape[0]! * K)));
    packExpert(stream, group, 0, zeros([N, K]));
    groupedLinear(stream, zeros([2, K]), group, stream.fromArray("i32", [2], Int32Array.from(offsets)), {
      order: stream.fromArray("i32", [2], Int32Array.from(order)),
    });
    await expect(stream.synchronize()).rejects.toMatchObject({
      code: "ERR_EXECUTION",
      op: "groupedLinear",
      message: expect.stringContaining(message) as string,
    });
  },
);

test("groupedLinear refuses what does not fit, naming the argument", async () => {
  await using device = openTestDevice();
  const stream = device.createStream();
  const group = emptyGroupedWeight(stream, {
    experts: 2,
    outputs: 8,
    inputs: 4,
    dtype: "f32",
    swiglu: false,
  });
  const x = device.empty("f32", [2, 4]);
  const offsets = device.empty("i32", [3]);
  expect(() => groupedLinear(stream, device.empty("f32", [2, 5]), group, offsets)).toThrow(
    /x: expected \[S, K=4\] \(K from weight axis 1\)/,
  );
  expect(() => groupedLinear(stream, x, group, device.empty("i32", [4]))).toThrow(/offsets: expected \[3\]/);
  expect(() => groupedLinear(stream, x, group, offsets, { order: device.empty("f32", [2]) })).toThrow(
    /order: .*i32/,
  );
  const refused = (options: GroupedLinearOptions) =>
    expect(() => groupedLinear(stream, x, group, offsets, options));
  refused({ bias: device.empty("f32", [2, 4]) }).toThrow(
    /bias: expected \[2, N=8\] \(N from weight axis 0\)/,
  );
  refused({ bias: device.empty("bf16", [2, 8]) }).toThrow(/bias: .*f32/);
  refused({ clamp: { limit: 7, alpha: 1 } }).toThrow(/clamp: expected none with a weight that is not/);
  expect(() => groupedLinear(stream, x, group, offsets, { out: device.empty("f32", [3, 8]) })).toThrow(
    RangeError,
  );
});
