// Contract: the float64 references of mixture-of-experts ops mean what their papers say. Each is checked where a closed form,
// an identity or a known value exists, never against another implementation of the same loop.
import { describe, expect, test } from "vitest";
import { groupedLinear } from "./reference/groupedLinear.js";
import { linear } from "./reference/linear.js";
import { moeCombine } from "./reference/moeCombine.js";
import { moePermute } from "./reference/moePermute.js";
import { moeRoute } from "./reference/moeRoute.js";
import { siluMul } from "./reference/siluMul.js";
import { f64, i32 } from "./support/arrays.js";
import { expectNear } from "./support/compare.js";
import { Random } from "./support/random.js";

const random = new Random(7);

describe("mixture of experts", () => {
  test("softmax over all experts, then top-k: known logits", () => {
    const logits = f64(0, Math.log(3), Math.log(4), Math.log(2)); // probabilities .1 .3 .4 .2
    const plain = moeRoute(
      logits,
      { T: 1, E: 4, K: 2 },
      { scores: "softmax", renormalize: false, scale: 10 },
    );
    expect(plain.experts).toEqual(i32(2, 1));
    expectNear(plain.weights, [4, 3]);
    expectNear(moeRoute(logits, { T: 1, E: 4, K: 2 }, { scores: "softmax", renormalize: true }).weights, [
      4 / 7,
      3 / 7,
    ]);
  });

  test("the bias changes the choice and never a weight; ties go to the lower index", () => {
    const options = { scores: "sigmoid", renormalize: false, bias: f64(0, 0, 1, 0) } as const;
    const routed = moeRoute(f64(0, 0, -1, 0), { T: 1, E: 4, K: 3 }, options);
    expect(routed.experts).toEqual(i32(2, 0, 1));
    expectNear(routed.weights, [1 / (1 + Math.E), 0.5, 0.5]);
  });

  test("groups: the sum of the two best decides, so the best expert may be shut out", () => {
    const choice = f64(0.9, 0.0, 0.6, 0.6).map((p) => Math.log(p / (1 - p))); // group sums .9 and 1.2
    const options = { scores: "sigmoid", renormalize: true, groups: 2, topGroups: 1 } as const;
    const routed = moeRoute(choice, { T: 1, E: 4, K: 2 }, options);
    expect(routed.experts).toEqual(i32(2, 3));
    expectNear(routed.weights, [0.5, 0.5]);
    expect(moeRoute(choice, { T: 1, E: 4, K: 1 }, { ...options, groups: 4 }).experts).toEqual(i32(0));
  });

  test("permute is a stable permutation grouped by expert, with empty experts", () => {
    const [T, K, E] = [9, 3, 7];
    const experts = random.tokenIds(T * K, E).map((e) => (e === 4 ? 5 : e));
    const { order, inverse, offsets } = moePermute(experts, { E });
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: T * K }, (_, i) => i));
    for (let r = 0; r < T * K; r++) expect(inverse[order[r]!]).toBe(r);
    for (let e = 0; e < E; e++) {
      const rows = order.subarray(offsets[e], offsets[e + 1]);
      expect([...rows].every((pair, i) => experts[pair] === e && (i === 0 || pair > rows[i - 1]!))).toBe(
        true,
      );
    }
    expect([offsets[0], offsets[4], offsets[E]]).toEqual([0, offsets[5], T * K]);
  });

  test("permute, grouped linear and combine equal the weighted sum of each token's experts", () => {
    const { T, K, E, D, N } = { T: 5, K: 2, E: 3, D: 4, N: 6 };
    const [x, weight, logits] = [random.normal(T * D), random.normal(E * N * D), random.normal(T * E)];
    const { weights, experts } = moeRoute(logits, { T, E, K }, { scores: "softmax", renormalize: true });
    const { order, inverse, offsets } = moePermute(experts, { E });
    for (const swiglu of [false, true]) {
      const width = swiglu ? N / 2 : N;
      const y = groupedLinear(x, weight, offsets, { N, K: D }, { order, topK: K, swiglu });
      const expected = new Float64Array(T * width).fill(1);
      for (let pair = 0; pair < T * K; pair++) {
        const t = Math.floor(pair / K);
        const expert = weight.subarray(experts[pair]! * N * D, (experts[pair]! + 1) * N * D);
        const dense = linear(x.subarray(t * D, (t + 1) * D), expert, { T: 1, N, K: D });
        const row = swiglu ? siluMul(dense, { T: 1, F: width }) : dense;
        for (const [d, value] of row.entries()) expected[t * width + d]! += weights[pair]! * value;
      }
      const residual = new Float64Array(T * width).fill(1);
      expectNear(moeCombine(y, inverse, weights, { T, K, D: width }, { residual }), expected);
    }
    const permuted = Float64Array.from(
      [...order].flatMap((pair) => [...x.subarray(Math.floor(pair / K) * D).subarray(0, D)]),
    );
    expectNear(
      groupedLinear(permuted, weight, offsets, { N, K: D }),
      groupedLinear(x, weight, offsets, { N, K: D }, { order, topK: K }),
    );
  });
});
