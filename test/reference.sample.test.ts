// Contract: the reference of `sample` (and Philox, which it draws from): known answers, every rule at its edges, and
// frequencies that converge to the distribution asked for.
import { describe, expect, test } from "vitest";
import { philox4x32 } from "./reference/philox4x32.js";
import { sample } from "./reference/sample.js";
import { f64, i32 } from "./support/arrays.js";
import { Random } from "./support/random.js";

interface Row {
  readonly temperature?: number;
  readonly topP?: number;
  readonly minP?: number;
  readonly repetition?: number;
  readonly presence?: number;
  readonly frequency?: number;
  readonly topK?: number;
  readonly seed?: readonly [number, number];
  readonly position?: number;
  readonly poolRow?: number;
  readonly promptLength?: number;
  readonly minLength?: number;
}

type Extra = Omit<Parameters<typeof sample>[1], "floats" | "ints" | "positions">;

/** One row of logits sampled with neutral parameters except those named. */
function sampleRow(
  logits: Float64Array,
  row: Row = {},
  extra: Extra = {},
): { id: number; probs: number[]; margin: number } {
  const { temperature = 1, topP = 1, minP = 0, repetition = 1, presence = 0, frequency = 0 } = row;
  const { topK = 0, seed = [1, 2], position = 0, poolRow = -1, promptLength = 0, minLength = 0 } = row;
  const floats = f64(temperature, topP, minP, repetition, presence, frequency);
  const ints = i32(topK, ...seed, poolRow, promptLength, minLength);
  const inputs = { floats, ints, positions: i32(position), ...extra };
  const { ids, probs, margins } = sample(logits, inputs, { B: 1, V: logits.length });
  return { id: ids[0]!, probs: [...probs], margin: margins[0]! };
}

/** Logits whose softmax is `probabilities`. */
const logitsOf = (...probabilities: number[]) => Float64Array.from(probabilities, Math.log);

function expectProbs(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, value] of actual.entries()) expect(value, `token ${i}`).toBeCloseTo(expected[i]!, 12);
}

describe("philox4x32-10", () => {
  // Known answers of Random123 1.14, tests/kat_vectors.
  test.each([
    { counter: [0, 0, 0, 0], key: [0, 0], words: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8] },
    {
      counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      key: [0xffffffff, 0xffffffff],
      words: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    },
    {
      counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      key: [0xa4093822, 0x299f31d0],
      words: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    },
  ] as const)("counter $counter, key $key", ({ counter, key, words }) => {
    expect(philox4x32(counter, key)).toEqual(words);
  });

  test("signed and unsigned words are the same words", () => {
    expect(philox4x32([-1, -1, -1, -1], [-1, -1])[0]).toBe(0x408f276d);
  });
});

describe("filters", () => {
  const logits = logitsOf(0.1, 0.4, 0.3, 0.2);

  test.each<{ name: string; row: Row; probs: number[] }>([
    { name: "no filter", row: {}, probs: [0.1, 0.4, 0.3, 0.2] },
    { name: "top-k 1 is greedy", row: { topK: 1 }, probs: [0, 1, 0, 0] },
    { name: "top-k 2", row: { topK: 2 }, probs: [0, 4 / 7, 3 / 7, 0] },
    { name: "top-k beyond V keeps all", row: { topK: 9 }, probs: [0.1, 0.4, 0.3, 0.2] },
    { name: "top-p below the best keeps the best", row: { topP: 0.05 }, probs: [0, 1, 0, 0] },
    { name: "top-p 0 keeps the best", row: { topP: 0 }, probs: [0, 1, 0, 0] },
    {
      name: "top-p just above a prefix takes one more",
      row: { topP: 0.71 },
      probs: [0, 4 / 9, 3 / 9, 2 / 9],
    },
    { name: "top-p just below a prefix stops there", row: { topP: 0.69 }, probs: [0, 4 / 7, 3 / 7, 0] },
    { name: "min-p is relative to the best", row: { minP: 0.6 }, probs: [0, 4 / 7, 3 / 7, 0] },
    { name: "min-p 1 keeps the best", row: { minP: 1 }, probs: [0, 1, 0, 0] },
    { name: "top-k comes before top-p", row: { topK: 2, topP: 0.5 }, probs: [0, 1, 0, 0] },
    { name: "min-p comes before top-p", row: { minP: 0.45, topP: 0.75 }, probs: [0, 4 / 7, 3 / 7, 0] },
    {
      name: "temperature comes before min-p",
      row: { temperature: 0.5, minP: 0.3 },
      probs: [0, 16 / 25, 9 / 25, 0],
    },
    {
      name: "a low temperature sharpens",
      row: { temperature: 0.5 },
      probs: [1 / 30, 16 / 30, 9 / 30, 4 / 30],
    },
    { name: "temperature 0 is the argmax", row: { temperature: 0, topP: 0.1 }, probs: [0, 1, 0, 0] },
  ])("$name", ({ row, probs }) => {
    const result = sampleRow(logits, row);
    expectProbs(result.probs, probs);
    expect(probs[result.id]).toBeGreaterThan(0);
  });

  test("equal logits are ranked by lower index", () => {
    const equal = f64(1, 1, 1, 1);
    expectProbs(sampleRow(equal, { topK: 3 }).probs, [1 / 3, 1 / 3, 1 / 3, 0]);
    expectProbs(sampleRow(equal, { topP: 0.5 }).probs, [0.5, 0.5, 0, 0]);
    expect(sampleRow(equal, { temperature: 0 }).id).toBe(0);
  });

  test("nothing to choose from gives token 0; NaN is never chosen", () => {
    expect(sampleRow(f64(-Infinity, -Infinity, -Infinity)).id).toBe(0);
    expect(sampleRow(f64(NaN, NaN), { temperature: 0 }).id).toBe(0);
    expectProbs(sampleRow(f64(NaN, 0, NaN, 0)).probs, [0, 0.5, 0, 0.5]);
  });
});

describe("mask, bias, penalties", () => {
  test("the bitmask spans words; a biased token stays masked; -1 pads the bias", () => {
    const bitmask = i32(1 << 31, 1 << 1); // tokens 31 and 33 of 40
    const biasIds = i32(0, 33, -1);
    const extra = { bitmask, biasIds, biasValues: f64(50, Math.log(3), 99), biasLength: 3 };
    const { probs } = sampleRow(new Float64Array(40), {}, extra);
    const expected = new Array<number>(40).fill(0);
    [expected[31], expected[33]] = [0.25, 0.75];
    expectProbs(probs, expected);
  });

  test("suppressed tokens have no probability below the least length, whatever their bias; -1 pads", () => {
    const extra = {
      ...{ suppressedIds: i32(1, -1, 3), suppressedLength: 3 },
      ...{ biasIds: i32(1), biasValues: f64(9), biasLength: 1 },
    };
    const logits = new Float64Array(4);
    expectProbs(sampleRow(logits, { position: 6, minLength: 7 }, extra).probs, [0.5, 0, 0.5, 0]);
    const { probs } = sampleRow(logits, { position: 7, minLength: 7 }, extra);
    expectProbs(
      probs,
      [1, Math.exp(9), 1, 1].map((weight) => weight / (3 + Math.exp(9))),
    );
    expect(
      sampleRow(
        logits,
        { position: 3, minLength: 4, temperature: 0 },
        { ...extra, suppressedIds: i32(0, 2, 3), biasIds: i32(-1) },
      ).id,
    ).toBe(1);
  });

  const pool = { tokenPool: i32(9, 9, 9, 9, 9, 0, 1, 1, 2, 3), poolLength: 5 }; // row 1 of 2: prompt 0 1, output 1 2 (3 is later)
  const row = { poolRow: 1, position: 4, promptLength: 2 };
  const scores = (probs: readonly number[]) => probs.map((p) => Math.log(p / probs[4]!)); // token 4 is never penalised

  test("repetition counts prompt and output: divides positive logits, multiplies others", () => {
    const { probs } = sampleRow(f64(2, -1, 4, 5, 0), { ...row, repetition: 2 }, pool);
    expectProbs(scores(probs), [1, -2, 2, 5, 0]);
  });

  test("presence and frequency count the output only, frequency once per occurrence", () => {
    const { probs } = sampleRow(
      f64(1, 1, 1, 1, 0),
      { ...row, position: 5, presence: 0.5, frequency: 0.25, promptLength: 1 },
      pool,
    );
    expectProbs(scores(probs), [1, 1 - 0.5 - 2 * 0.25, 1 - 0.75, 1 - 0.75, 0]);
  });

  test("penalties come before the temperature and change a greedy choice; poolRow -1 turns them off", () => {
    const logits = f64(0, 0, 3, 2.5, 0);
    expect(sampleRow(logits, { ...row, temperature: 0, presence: 1 }, pool).id).toBe(3);
    expect(sampleRow(logits, { ...row, poolRow: -1, temperature: 0, presence: 1 }, pool).id).toBe(2);
    const { probs } = sampleRow(f64(0, 0, 3, 0, 0), { ...row, temperature: 2, presence: 1 }, pool);
    expect(scores(probs)[2]).toBeCloseTo((3 - 1) / 2, 12);
  });
});

describe("draws", () => {
  const draws = 20_000;

  /** Chi-squared of the draws at positions 0..draws-1 against the distribution that the row reports. */
  function chiSquared(logits: Float64Array, row: Row): number {
    const counts = new Float64Array(logits.length);
    let probs: number[] = [];
    for (let position = 0; position < draws; position++) {
      const result = sampleRow(logits, { ...row, position });
      counts[result.id]!++;
      probs = result.probs;
    }
    return probs.reduce((sum, p, v) => {
      if (p > 0) return sum + (counts[v]! - draws * p) ** 2 / (draws * p);
      expect(counts[v], `token ${v} is filtered`).toBe(0);
      return sum;
    }, 0);
  }

  // 99.99 % points of chi-squared: 23.5 at 4 degrees of freedom, 18.4 at 2. The draws are fixed, so this never flakes.
  test.each([
    { name: "softmax", row: {}, limit: 23.5 },
    { name: "another seed", row: { seed: [-5, 7] as const }, limit: 23.5 },
    { name: "temperature 2", row: { temperature: 2 }, limit: 23.5 },
    { name: "top-k 3", row: { topK: 3 }, limit: 18.4 },
    { name: "top-p 0.8", row: { topP: 0.8 }, limit: 18.4 },
  ])("frequencies converge: $name", ({ row, limit }) => {
    expect(chiSquared(logitsOf(0.05, 0.4, 0.1, 0.15, 0.3), row)).toBeLessThan(limit);
  });

  test("a row draws the same token alone and in a batch; seeds and positions differ", () => {
    const random = new Random(3);
    const V = 50;
    const logits = random.normal(4 * V);
    const floats = Float64Array.from({ length: 24 }, (_, i) => [1, 1, 0, 1, 0, 0][i % 6]!);
    const ints = Int32Array.from({ length: 24 }, (_, i) => [0, 11, 22, -1, 0, 0][i % 6]!);
    const together = sample(logits, { floats, ints, positions: i32(5, 5, 5, 5) }, { B: 4, V }).ids;
    const alone = [0, 1, 2, 3].map(
      (b) => sampleRow(logits.subarray(b * V, (b + 1) * V), { seed: [11, 22], position: 5 }).id,
    );
    expect([...together]).toEqual(alone);
    const flat = new Float64Array(V);
    const ids = [0, 1, 2, 3, 4, 5, 6, 7].map((position) => sampleRow(flat, { position }).id);
    expect(new Set(ids).size).toBeGreaterThan(4);
    expect(sampleRow(flat, { seed: [1, 3] }).id).not.toBe(sampleRow(flat, { seed: [1, 2] }).id);
  });

  test("u close to 1 gives finite noise: in float32 (w >>> 8) + 0.5 rounds to 2^24 and an improbable token would win", () => {
    // Found by search: with key (0, 0), token 5 at position 1553097 draws the largest u there is, 1 - 2^-25.
    const [word] = philox4x32([1553097, 5, 0, 0], [0, 0]);
    expect(word >>> 8).toBe(0xffffff);
    expect(Math.fround((word >>> 8) + 0.5) * 2 ** -24).toBe(1);
    const logits = f64(0, 0, 60, 0, 0, 0, 0, 0);
    const result = sampleRow(logits, { seed: [0, 0], position: 1553097 });
    expect(result.id).toBe(2); // 60 against noise of -log(-log(1 - 2^-25)) = 17.3
    expect(result.margin).toBeGreaterThan(30);
  });
});
