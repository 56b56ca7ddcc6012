/** Contract: packLinear brings a weight into its device's layout, zeros where there is no element. */
import { expect } from "vitest";
import { native } from "../../lib/device/native.js";
import { Tensor } from "../../lib/device/tensor.js";
import type { WeightSegment } from "../../lib/ops/linearWeight.js";
import { emptyGroupedWeight, packExpert, packLinear } from "../../lib/ops/packLinear.js";
import { packLinear as reference } from "../reference/packLinear.js";
import { expectSame } from "../support/compare.js";
import { describeOp, type OpCase, type OpContext } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface PackCase extends OpCase {
  readonly dtype: FloatDType;
  readonly N: number;
  readonly K: number;
  readonly strided?: boolean;
  readonly transpose?: boolean;
}

const cases: readonly PackCase[] = (["f32", "bf16", "f16"] as const).flatMap((dtype) => [
  ...[
    [1, 1],
    [16, 2],
    [17, 3],
    [40, 33],
    [50, 36],
    [33, 72],
  ].map(([N, K]) => ({ name: dtype, dtype, N: N!, K: K! })),
  { name: "strided rows", dtype, N: 21, K: 24, strided: true },
  { name: "transposed", dtype, N: 70, K: 45, transpose: true },
  { name: "transposed, strided rows", dtype, N: 18, K: 64, transpose: true, strided: true },
]);

function layoutOf({ deviceName }: OpContext): "panels" | "rows" {
  return deviceName === "cpu" ? "panels" : "rows";
}

describeOp("packLinear", cases, async (context, { dtype, N, K, strided, transpose = false }) => {
  const values = new Random(N + K).normal(N * K, { dtype });
  const source = transpose ? turned(values, N, K) : values;
  const shape = transpose ? [K, N] : [N, K];
  const weight = strided
    ? context.stridedRows(dtype, shape, source, { before: 1, after: 2 })
    : context.tensor(dtype, shape, source);
  const packed = packLinear(context.stream, weight, { transpose });
  const u = dtype === "bf16" ? 2 : 1;
  expect(packed).toMatchObject({ outputs: N, inputs: K });
  const [{ data, ...segment }] = packed.segments as [WeightSegment];
  expect(segment).toEqual({
    ...{ name: "weight", outputs: N, inputs: K, swiglu: false },
    format: { format: "dense", dtype },
  });
  expect(data.shape).toEqual([1, Math.ceil(N / 16) * 16, Math.ceil(K / u) * u]);
  const expected = reference(values, { N, K }, { layout: layoutOf(context), u });
  expectSame(await context.read(data), expected, { shape: data.shape });
  packed.dispose();
});

/** [N, K] as [K, N] */
function turned(values: Float64Array, N: number, K: number): Float64Array {
  return Float64Array.from({ length: N * K }, (_, i) => values[(i % N) * K + Math.floor(i / N)]!);
}

describeOp<OpCase & { readonly F: number; readonly K: number; readonly transpose?: boolean }>(
  "packExpert with swiglu alternates gate and up panels",
  [
    { name: "one panel each", F: 16, K: 6 },
    { name: "a padded panel", F: 21, K: 6 },
    { name: "rows of whole vectors", F: 40, K: 16 },
    { name: "transposed, which only the native op takes", F: 40, K: 37, transpose: true },
  ],
  async (context, { F, K, transpose = false }) => {
    const [N, u] = [2 * F, 2];
    const group = emptyGroupedWeight(context.stream, {
      experts: 2,
      outputs: N,
      inputs: K,
      dtype: "bf16",
      swiglu: true,
    });
    const experts = [0, 1].map((seed) => new Random(seed).normal(N * K, { dtype: "bf16" }));
    const [segment] = group.segments as [WeightSegment];
    for (const [e, values] of experts.entries()) {
      if (transpose) {
        const { memory, byteOffset } = context.tensor("bf16", [K, N], turned(values, N, K));
        const weight = Tensor.strided(memory, "bf16", [N, K], [1, N], byteOffset);
        context.stream.run(native.ops.packLinear, weight, segment.expert(e), 0);
      } else {
        packExpert(context.stream, group, e, context.tensor("bf16", [N, K], values));
      }
    }
    const packed = await context.read(segment.data);
    const size = packed.length / 2;
    for (const [e, values] of experts.entries()) {
      const expected = reference(values, { N, K }, { layout: layoutOf(context), u, swiglu: true });
      expectSame(packed.subarray(e * size, (e + 1) * size), expected, {
        shape: [expected.length],
        label: `expert ${e}`,
      });
    }
    expect(() => packExpert(context.stream, group, 2, context.tensor("bf16", [N, K], experts[0]!))).toThrow(
      /expert: expected 0 to 1/,
    );
    group.dispose();
  },
);
