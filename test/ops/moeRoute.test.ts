// Contract: moeRoute matches its reference in experts (exactly) and weights, and never depends on other rows.
import { describe, expect, test } from "vitest";
import { emptyPermutation } from "../../lib/ops/moePermute.js";
import { moeRoute } from "../../lib/ops/moeRoute.js";
import { moePermute as permuteReference } from "../reference/moePermute.js";
import { moeRoute as reference } from "../reference/moeRoute.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface MoeRouteCase extends OpCase {
  readonly T: number;
  readonly E: number;
  readonly topK: number;
  readonly scores: "softmax" | "sigmoid";
  readonly renormalize: boolean;
  readonly dtype?: FloatDType;
  readonly scale?: number;
  readonly bias?: boolean;
  readonly groups?: number;
  readonly groupBest?: number;
  readonly topGroups?: number;
  readonly strided?: boolean;
  readonly std?: number;
  /** The last expert is the best of every token. */
  readonly lastBest?: boolean;
  /** The pairs are grouped by expert as well. */
  readonly permutes?: boolean;
}

const mixtral = { T: 5, E: 8, topK: 2, scores: "softmax", renormalize: true } as const;
const deepSeek = {
  ...mixtral,
  ...({ E: 256, topK: 8, scores: "sigmoid", scale: 2.5, bias: true, groups: 8, topGroups: 4 } as const),
};
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly MoeRouteCase[] = [
  { name: "smallest", ...mixtral, T: 1, E: 1, topK: 1 },
  { name: "no tokens", ...mixtral, T: 0 },
  { name: "mixtral", ...mixtral },
  { name: "qwen3", ...mixtral, E: 128, topK: 8 },
  { name: "deepseek", ...deepSeek },
  { name: "deepseek, bf16", ...deepSeek, dtype: "bf16" },
  ...tails.map((E) => ({ name: `${E} experts`, ...mixtral, E, topK: Math.min(E, 3) })),
  { name: "every expert", ...mixtral, E: 13, topK: 13 },
  { name: "not renormalised", ...mixtral, E: 60, topK: 4, renormalize: false },
  { name: "not renormalised, scaled", ...mixtral, E: 60, topK: 4, renormalize: false, scale: 2.5 },
  { name: "sigmoid without bias", ...mixtral, scores: "sigmoid", E: 16, topK: 1, renormalize: false },
  { name: "softmax with a bias", ...mixtral, E: 33, bias: true },
  { name: "groups of one expert", ...deepSeek, E: 16, groups: 16, topGroups: 5, topK: 5 },
  { name: "groups of three experts", ...deepSeek, E: 15, groups: 5, topGroups: 2, topK: 6 },
  { name: "softmax over groups", ...deepSeek, scores: "softmax", bias: false },
  { name: "groups by their best expert", ...deepSeek, scores: "softmax", bias: false, groupBest: 1 },
  { name: "groups by their best expert, with a bias", ...deepSeek, groupBest: 1 },
  { name: "bf16", ...mixtral, E: 37, dtype: "bf16", std: 4 },
  { name: "f16", ...mixtral, E: 37, dtype: "f16" },
  { name: "strided rows", ...mixtral, E: 21, strided: true },
  { name: "huge logits", ...mixtral, E: 24, std: 1e30 },
  { name: "tiny logits", ...mixtral, E: 24, std: 1e-30 },
  { name: "more experts than lanes to a token", ...mixtral, E: 100, topK: 40 },
  ...[31, 32, 33, 64, 65].map((topK) => ({ name: "as many experts as lanes", ...mixtral, E: 70, topK })),
  // Experts in multiples of lanes: a kernel for each of these sizes.
  ...[64, 128, 256, 512].flatMap((size) =>
    [size, size + 1].flatMap((E) => [
      { name: "a kernel's last expert", ...mixtral, E, lastBest: true },
      {
        name: "a kernel's last expert, groups",
        ...{ ...deepSeek, E: 5 * Math.floor(E / 5), groups: 5, topGroups: 2, lastBest: true },
      },
    ]),
  ),
  { name: "groups of many experts", ...deepSeek, E: 900, groups: 9, topGroups: 2, topK: 12 },
  { name: "most experts", ...mixtral, T: 2, E: 4096, topK: 16 },
  { name: "grouped by expert, no tokens", ...mixtral, T: 0, permutes: true },
  ...[1, 2, 4, 5, 9, 33].map((T) => ({ name: "grouped by expert", ...mixtral, T, permutes: true })),
  { name: "grouped by expert, qwen3", ...mixtral, T: 1, E: 128, topK: 8, permutes: true },
  { name: "grouped by expert, more experts than threads", ...mixtral, T: 6, E: 300, topK: 3, permutes: true },
  { name: "grouped by expert, deepseek", ...deepSeek, permutes: true },
  { name: "grouped by expert, most experts", ...mixtral, T: 3, E: 4096, topK: 3, permutes: true },
  { name: "as many pairs as the last block groups", ...mixtral, T: 256, permutes: true },
  { name: "one token more", ...mixtral, T: 257, permutes: true },
  { name: "many tokens over the threads", ...mixtral, T: 2000, E: 64, topK: 6, dtype: "bf16" },
];

describeOp("moeRoute", cases, async (context, c) => {
  const { T, E, topK, scores, renormalize, dtype = "f32", scale, groups, topGroups, groupBest, std = 1 } = c;
  const random = new Random(21);
  const logits = random.normal(T * E, { dtype, std });
  if (c.lastBest) for (let t = 0; t < T; t++) logits[(t + 1) * E - 1] = 6;
  const bias = random.normal(E, { std: 0.2 });
  const options = {
    ...{ scores, renormalize },
    ...(scale !== undefined && { scale }),
    ...(groups !== undefined && { groups }),
    ...(groupBest !== undefined && { groupBest }),
    ...(topGroups !== undefined && { topGroups }),
  };
  const input = c.strided
    ? context.stridedRows(dtype, [T, E], logits, { before: 3, after: 2 })
    : context.tensor(dtype, [T, E], logits);
  const permutation = emptyPermutation(context.stream, T, topK, E);
  const result = moeRoute(context.stream, input, {
    ...options,
    ...(c.permutes && { permutation }),
    topK,
    ...(c.bias && { bias: context.tensor("f32", [E], bias) }),
  });

  const expected = reference(logits, { T, E, K: topK }, { ...options, ...(c.bias && { bias }) });
  const shape = [T, topK];
  expectSame(await context.readIntegers(result.experts), expected.experts, { shape, label: "experts" });
  const weights = await context.read(result.weights);
  expectClose(weights, expected.weights, { dtype: "f32", shape, reduction: E, label: "weights" });
  if (!c.permutes) return;
  const grouped = permuteReference(Int32Array.from(expected.experts), { E });
  for (const label of ["order", "inverse", "offsets"] as const) {
    const { shape } = permutation[label];
    expectSame(await context.readIntegers(permutation[label]), grouped[label], { shape, label });
  }
});

describeOp("moeRoute: ties and what is not a number", [{ name: "f32" }], async (context) => {
  const route = (
    rows: readonly (readonly number[])[],
    scores: "softmax" | "sigmoid" = "softmax",
    topK = 3,
  ) => {
    const logits = context.tensor("f32", [rows.length, rows[0]!.length], Float64Array.from(rows.flat()));
    return moeRoute(context.stream, logits, { topK, scores, renormalize: true });
  };
  const tied = Array.from({ length: 37 }, (_, e) => (e % 3 === 1 ? 2 : 1));
  expect([...(await context.readIntegers(route([tied]).experts))]).toEqual([1, 4, 7]);
  expect([...(await context.readIntegers(route([tied], "sigmoid").experts))]).toEqual([1, 4, 7]);

  const odd = route([
    [NaN, 1, 2, 3],
    [NaN, NaN, NaN, NaN],
    [Infinity, 1, 2, 3],
    [-Infinity, -Infinity, -Infinity, -Infinity],
  ]);
  const experts = await context.readIntegers(odd.experts);
  for (let t = 0; t < 4; t++) {
    const row = [...experts.subarray(t * 3, t * 3 + 3)];
    expect(new Set(row).size).toBe(3);
    expect(row.every((e) => e >= 0 && e < 4)).toBe(true);
  }
  const sigmoid = route([[NaN, 1, 2, 3]], "sigmoid");
  expect([...(await context.readIntegers(sigmoid.experts))]).toEqual([3, 2, 1]); // NaN ranks last
  expect(Number.isFinite((await context.read(sigmoid.weights))[0])).toBe(true);
  const zero = route([[-200, -300, -200, -200]], "sigmoid");
  expect([...(await context.read(zero.weights))]).toEqual([0, 0, 0]);
});

describeOp(
  "moeRoute: a row does not depend on the others",
  [{ name: "bf16, 45 experts" }],
  async (context) => {
    const [T, E, topK] = [40, 45, 5];
    const logits = new Random(4).normal(T * E, { dtype: "bf16" });
    const options = { topK, scores: "softmax", renormalize: true } as const;
    const together = moeRoute(context.stream, context.tensor("bf16", [T, E], logits), options);
    const one = context.tensor("bf16", [1, E], logits.subarray(7 * E, 8 * E));
    const alone = await context.read(moeRoute(context.stream, one, options).weights);
    const all = await context.read(together.weights);
    expectSame(alone, all.subarray(7 * topK, 8 * topK), { shape: [topK] });
  },
);

describe("moeRoute: bad arguments", () => {
  const device = openTestDevice();
  const logits = device.empty("f32", [3, 8]);
  const options = { topK: 2, scores: "softmax", renormalize: true } as const;

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    const bias = device.empty("f32", [9]);
    expect(() => moeRoute(stream, logits, { ...options, bias })).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: "moeRoute: bias: expected [E=8] (E from logits axis 1), got [9]",
      }),
    );
    expect(() => moeRoute(stream, device.empty("i32", [3, 8]), options)).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_TYPE",
        message: expect.stringMatching(/^moeRoute: logits: /),
      }),
    );
    expect(() => moeRoute(stream, logits, { ...options, scores: "relu" as "softmax" })).toThrow(
      /scores: expected/,
    );
    expect(() => moeRoute(stream, logits, { ...options, topK: 9 })).toThrow(/topK: expected/);
    expect(() => moeRoute(stream, logits, { ...options, topK: 0 })).toThrow(
      /topK: expected a whole number from 1 to/,
    );
    expect(() => moeRoute(stream, logits, { ...options, groups: 3 })).toThrow(/groups: expected/);
    expect(() => moeRoute(stream, logits, { ...options, groups: 0 })).toThrow(
      /groups: expected a whole number from 1 to/,
    );
    expect(() => moeRoute(stream, logits, { ...options, groups: 4, topGroups: 5 })).toThrow(
      /topGroups: expected/,
    );
    expect(() => moeRoute(stream, logits, { ...options, topK: 3, groups: 4, topGroups: 1 })).toThrow(
      /topK: expected/,
    );
    const permutation = emptyPermutation(stream, 3, 2, 8);
    const offsets = device.empty("i32", [8]);
    expect(() => moeRoute(stream, logits, { ...options, permutation: { ...permutation, offsets } })).toThrow(
      "moeRoute: permutation.offsets: expected [9], got [8]",
    );
    expect(() => moeRoute(stream, logits, { ...options, topK: 3, permutation })).toThrow(
      "moeRoute: permutation.order: expected [9], got [6]",
    );
    expect(() =>
      moeRoute(stream, logits, { ...options, permutation: { ...permutation, order: 3 as never } }),
    ).toThrow("moeRoute: permutation.order: expected a Tensor, got number 3");
    const closed = stream.scope();
    const order = stream.empty("i32", [6]);
    closed.close();
    expect(() => moeRoute(stream, logits, { ...options, permutation: { ...permutation, order } })).toThrow(
      expect.objectContaining({
        code: "ERR_CLOSED",
        message: "moeRoute: permutation.order: this Tensor is closed",
      }),
    );
    const weights = order as never;
    const out = { weights, experts: stream.empty("i32", [3, 2]) };
    expect(() => moeRoute(stream, logits, { ...options, out })).toThrow(
      "moeRoute: out.weights: this Tensor is closed",
    );
    const huge = device.empty("f32", [1, 4097]);
    expect(() => moeRoute(stream, huge, options)).toThrow(/logits: expected at most 4096 experts/);
  });
});
