/** Contract: packLinear lays panels of 16 outputs side by side, pairs of k for bf16, zeros where there is no element. */
import { expect } from "vitest";
import { emptyGroupedWeight, packExpert, packLinear } from "../../lib/ops/packLinear.js";
import { packLinear as reference } from "../reference/packLinear.js";
import { describeOp, type OpCase } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface PackCase extends OpCase {
  readonly dtype: FloatDType;
  readonly N: number;
  readonly K: number;
}

const cases: readonly PackCase[] = (["f32", "bf16", "f16"] as const).flatMap((dtype) =>
  [
    [1, 1],
    [16, 2],
    [17, 3],
    [40, 33],
  ].map(([N, K]) => ({ name: dtype, dtype, N: N!, K: K! })),
);

/** Element (n, k) of a packed tensor read as [panels, steps, 16, u]. */
function at(
  packed: Float64Array,
  steps: number,
  u: number,
  panel: number,
  column: number,
  k: number,
): number {
  return packed[((panel * steps + Math.floor(k / u)) * 16 + column) * u + (k % u)]!;
}

describeOp("packLinear", cases, async (context, { dtype, N, K }) => {
  const values = new Random(N + K).normal(N * K, { dtype });
  const weight = packLinear(context.stream, context.tensor(dtype, [N, K], values));
  const [panels, steps, columns, u] = weight.tensor.shape as [number, number, number, number];
  expect([panels, columns, u]).toEqual([Math.ceil(N / 16), 16, dtype === "bf16" ? 2 : 1]);
  const packed = await context.read(weight.tensor);
  const expected = reference(values);
  for (let n = 0; n < panels * 16; n++) {
    for (let k = 0; k < steps * u; k++) {
      const wanted = n < N && k < K ? expected[n * K + k]! : 0;
      expect(at(packed, steps, u, Math.floor(n / 16), n % 16, k)).toBe(wanted);
    }
  }
  weight.tensor.dispose();
});

describeOp<OpCase & { readonly F: number }>(
  "packExpert with swiglu alternates gate and up panels",
  [
    { name: "one panel each", F: 16 },
    { name: "a padded panel", F: 21 },
  ],
  async (context, { F }) => {
    const K = 6;
    const group = emptyGroupedWeight(context.stream, {
      experts: 2,
      outputs: 2 * F,
      inputs: K,
      dtype: "bf16",
      swiglu: true,
    });
    const experts = [0, 1].map((seed) => new Random(seed).normal(2 * F * K, { dtype: "bf16" }));
    for (const [e, values] of experts.entries()) {
      packExpert(context.stream, group, e, context.tensor("bf16", [2 * F, K], values));
    }
    const packed = await context.read(group.tensor);
    const panels = 2 * Math.ceil(F / 16);
    for (const [e, values] of experts.entries()) {
      for (let f = 0; f < F; f++) {
        for (let k = 0; k < K; k++) {
          const panel = e * panels + 2 * Math.floor(f / 16);
          expect(at(packed, K / 2, 2, panel, f % 16, k)).toBe(values[f * K + k]);
          expect(at(packed, K / 2, 2, panel + 1, f % 16, k)).toBe(values[(F + f) * K + k]);
        }
      }
    }
    expect(() =>
      packExpert(context.stream, group, 2, context.tensor("bf16", [2 * F, K], experts[0]!)),
    ).toThrow(/expert: expected 0 to 1/);
    group.tensor.dispose();
  },
);
