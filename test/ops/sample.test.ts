// Contract: sample chooses the token of its reference wherever that is not decided by rounding, draws with the exact
// distribution, gives a row the same token alone and in a batch, and meets odd numbers with a valid token.
import { describe, expect, test } from "vitest";
import { ExecutionError } from "../../lib/errors.js";
import { sample } from "../../lib/ops/sample.js";
import { sample as reference } from "../reference/sample.js";
import { expectDistribution } from "../support/chiSquare.js";
import { describeOp, type OpCase, type OpContext, openTestDevice } from "../support/devices.js";
import { type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";
import { packSampleRows, type SampleRow } from "../support/sampleRows.js";

interface Inputs {
  readonly pool?: { readonly shape: readonly [number, number]; readonly tokens: Int32Array };
  readonly bias?: { readonly width: number; readonly ids: Int32Array; readonly values: Float64Array };
  readonly bitmask?: Int32Array;
  readonly dtype?: FloatDType;
  readonly strided?: boolean;
}

/** Runs the op on rows of `logits` [B, V]. */
async function sampleIds(
  context: OpContext,
  logits: Float64Array,
  V: number,
  rows: readonly SampleRow[],
  { pool, bias, bitmask, dtype = "f32", strided = false }: Inputs = {},
): Promise<Int32Array> {
  const B = rows.length;
  const { floats, ints, positions } = packSampleRows(rows);
  const shape = [B, V];
  const input = strided
    ? context.stridedRows(dtype, shape, logits, { before: 3, after: 2 })
    : context.tensor(dtype, shape, logits);
  const ids = sample(context.stream, input, {
    floats: context.tensor("f32", [B, 6], floats),
    ints: context.integers([B, 6], ints),
    positions: context.integers([B], positions),
    ...(pool && { tokenPool: context.integers(pool.shape, pool.tokens) }),
    ...(bias && { biasIds: context.integers([B, bias.width], bias.ids) }),
    ...(bias && { biasValues: context.tensor("f32", [B, bias.width], bias.values) }),
    ...(bitmask && { bitmask: context.integers([B, Math.ceil(V / 32)], bitmask) }),
  });
  return context.readIntegers(ids);
}

interface SampleCase extends OpCase {
  readonly B: number;
  readonly V: number;
  /** Parameters of every row; seed and position differ from row to row. */
  readonly row: SampleRow;
  readonly dtype?: FloatDType;
  readonly std?: number;
  readonly strided?: boolean;
  readonly pool?: boolean;
  readonly bias?: boolean;
  /** Share of tokens that the bitmask forbids. */
  readonly forbidden?: number;
}

const small = { B: 24, V: 100, row: {}, std: 2 } as const;
const all: SampleRow = {
  temperature: 0.8,
  topK: 30,
  topP: 0.9,
  minP: 0.02,
  repetition: 1.2,
  presence: 0.3,
  frequency: 0.2,
};
const tails = [...Array.from({ length: 33 }, (_, i) => i + 1), 63, 64, 65, 127, 128, 129];

const cases: readonly SampleCase[] = [
  { name: "smallest", B: 1, V: 1, row: {} },
  { name: "no rows", B: 0, V: 5, row: {} },
  ...tails.map((V) => ({ name: `${V} tokens, drawn`, ...small, V })),
  ...tails.map((V) => ({
    name: `${V} tokens, everything`,
    ...small,
    V,
    row: all,
    pool: true,
    bias: true,
    forbidden: 0.3,
  })),
  { name: "greedy", ...small, row: { temperature: 0 } },
  {
    name: "greedy after penalties, bias and mask",
    ...small,
    row: { ...all, temperature: 0 },
    pool: true,
    bias: true,
    forbidden: 0.5,
  },
  { name: "cold", ...small, row: { temperature: 0.05 } },
  { name: "hot", ...small, row: { temperature: 30 } },
  { name: "top-k", ...small, row: { topK: 5 } },
  { name: "top-k of 1", ...small, row: { topK: 1 } },
  { name: "top-k beyond the vocabulary", ...small, row: { topK: 1000 } },
  { name: "top-p", ...small, row: { topP: 0.7 } },
  { name: "top-p of 0", ...small, row: { topP: 0 } },
  { name: "top-p close to 1", ...small, row: { topP: 0.9999 } },
  { name: "min-p", ...small, row: { minP: 0.1 } },
  { name: "min-p of 1", ...small, row: { minP: 1 } },
  { name: "all filters", ...small, row: { topK: 20, minP: 0.02, topP: 0.8, temperature: 1.3 } },
  { name: "top-k and top-p of ties, bf16", ...small, row: { topK: 15, topP: 0.6 }, dtype: "bf16", std: 0.1 },
  { name: "repetition", ...small, row: { repetition: 1.5 }, pool: true },
  { name: "repetition that encourages", ...small, row: { repetition: 0.7 }, pool: true },
  { name: "presence and frequency", ...small, row: { presence: 1, frequency: 0.5 }, pool: true },
  { name: "bf16", ...small, V: 333, dtype: "bf16", row: { topP: 0.9 } },
  { name: "f16", ...small, V: 333, dtype: "f16", row: { topK: 40 } },
  { name: "strided rows", ...small, V: 77, strided: true },
  { name: "huge logits", ...small, std: 1e30, row: { topK: 10, topP: 0.9 } },
  { name: "tiny logits", ...small, std: 1e-30 },
  { name: "a vocabulary, plain", B: 3, V: 151936, row: {}, std: 3 },
  { name: "a vocabulary, flat", B: 3, V: 151936, row: { temperature: 5 } },
  { name: "a vocabulary, filtered", B: 3, V: 151936, row: { topK: 50, topP: 0.95 }, std: 3, dtype: "bf16" },
  { name: "a vocabulary, many kept", B: 3, V: 151936, row: { topK: 5000 }, std: 3 },
  { name: "a vocabulary with ties", B: 3, V: 32000, row: { topK: 900, topP: 0.6 }, std: 0.5, dtype: "bf16" },
  { name: "a vocabulary, everything", B: 3, V: 9001, row: all, pool: true, bias: true, forbidden: 0.3 },
  { name: "a vocabulary, top-p alone", B: 3, V: 151936, row: { topP: 0.9 }, std: 2 },
];

describeOp("sample", cases, async (context, c) => {
  const { B, V, dtype = "f32", std = 1 } = c;
  const random = new Random(31);
  const [R, L, width] = [B + 2, 40, 6];
  const rowOf = random.permutation(R); // requests sit in any pool row
  const rows = Array.from({ length: B }, (_, b) => ({
    ...c.row,
    ...{ seed: [random.integer(0, 2 ** 31), -b] as const, position: random.integer(0, L + 1) },
    ...(c.pool && b % 5 !== 4 && { poolRow: rowOf[b]!, promptLength: random.integer(0, L) }),
  }));
  const logits = random.normal(B * V, { dtype, std });
  const used = Math.min(V, 12); // few tokens, so that they repeat; some are no tokens of this vocabulary
  const tokens = Int32Array.from({ length: R * L }, () => random.integer(0, used + 2) - 1).map((id) =>
    id < V ? id : V + 7,
  );
  const biasIds = Int32Array.from({ length: B * width }, (_, i) => (i % 3 === 2 ? -1 : random.integer(0, V)));
  const biasValues = random.normal(B * width, { std: 3 });
  const bitmask = Int32Array.from({ length: B * Math.ceil(V / 32) }, () => {
    let word = 0;
    for (let bit = 0; bit < 32; bit++) word |= random.uniform() < (c.forbidden ?? 0) ? 0 : 1 << bit;
    return word;
  });

  const ids = await sampleIds(context, logits, V, rows, {
    ...{ dtype, strided: c.strided ?? false },
    ...(c.pool && { pool: { shape: [R, L], tokens } }),
    ...(c.bias && { bias: { width, ids: biasIds, values: biasValues } }),
    ...(c.forbidden !== undefined && { bitmask }),
  });
  const expected = reference(
    logits,
    {
      ...packSampleRows(rows),
      ...(c.pool && { tokenPool: tokens, poolLength: L }),
      ...(c.bias && { biasIds, biasValues, biasLength: width }),
      ...(c.forbidden !== undefined && { bitmask }),
    },
    { B, V },
  );
  // Another token is excused only where the decision hangs on float32 rounding, and in few rows.
  const others = Array.from(ids.keys()).filter((b) => ids[b] !== expected.ids[b]);
  expect(others.filter((b) => expected.margins[b]! > 1e-5)).toEqual([]);
  expect(others.length).toBeLessThanOrEqual(B / 8);
});

interface DistributionCase extends OpCase {
  readonly row: SampleRow;
  /** What differs from draw to draw. */
  readonly vary: "position" | "seed";
  readonly V?: number;
}

const distributions: readonly DistributionCase[] = [
  { name: "plain, along a sequence", row: {}, vary: "position" },
  { name: "plain, over seeds", row: {}, vary: "seed" },
  { name: "over seeds, high words", row: { position: 77 }, vary: "seed", V: 9 },
  { name: "cold", row: { temperature: 0.4 }, vary: "position" },
  { name: "hot", row: { temperature: 4 }, vary: "seed" },
  { name: "top-k", row: { topK: 7 }, vary: "position" },
  { name: "top-p", row: { topP: 0.8 }, vary: "position" },
  { name: "min-p", row: { minP: 0.05 }, vary: "seed" },
  { name: "all filters", row: { topK: 15, minP: 0.01, topP: 0.9, temperature: 1.4 }, vary: "position" },
  { name: "many tokens", row: { topP: 0.95 }, vary: "position", V: 150 },
];

describeOp("sample: frequencies", distributions, async (context, { row, vary, V = 24 }) => {
  const [calls, B] = [context.deviceName === "simt" ? 4 : 20, 1000]; // the emulator takes a second for four
  const one = new Random(32).normal(V, { std: 1.5 });
  const logits = Float64Array.from({ length: B * V }, (_, i) => one[i % V]!);
  const ids: number[] = [];
  for (let call = 0; call < calls; call++) {
    const rows = Array.from({ length: B }, (_, b) => {
      const n = call * B + b;
      return vary === "position"
        ? { ...row, seed: [12345, 678] as const, position: n }
        : { ...row, seed: [n, n >> 7] as const };
    });
    ids.push(...(await sampleIds(context, logits, V, rows)));
  }
  const { probs } = reference(one, packSampleRows([row]), { B: 1, V });
  const counts = new Array<number>(V).fill(0);
  for (const id of ids) counts[id]!++;
  expectDistribution(counts, probs);

  // Neighbouring draws are independent: pairs have the product distribution.
  const pairs = new Array<number>(V * V).fill(0);
  for (let n = 0; n + 1 < ids.length; n += 2) pairs[ids[n]! * V + ids[n + 1]!]!++;
  expectDistribution(
    pairs,
    Array.from(pairs, (_, i) => probs[Math.floor(i / V)]! * probs[i % V]!),
  );
});

describeOp("sample: a row does not depend on the others", [{ name: "mixed" }], async (context) => {
  const [B, V] = [40, 517];
  const random = new Random(33);
  const logits = random.normal(B * V, { dtype: "bf16", std: 2 });
  const rows = Array.from({ length: B }, (_, b): SampleRow => {
    const common = { seed: [b, 99] as const, position: b % 7 };
    return {
      ...common,
      ...[{}, { temperature: 0 }, { topK: 9 }, { topP: 0.8, temperature: 1.5 }, { minP: 0.1 }][b % 5],
    };
  });
  const together = await sampleIds(context, logits, V, rows, { dtype: "bf16" });
  for (const b of rows.keys()) {
    const alone = await sampleIds(context, logits.subarray(b * V, (b + 1) * V), V, [rows[b]!], {
      dtype: "bf16",
    });
    expect(alone[0]).toBe(together[b]);
  }
  const greedy = reference(logits, packSampleRows(rows.map(() => ({ temperature: 0 }))), { B, V }).ids;
  for (let b = 1; b < B; b += 5) expect(together[b]).toBe(greedy[b]);
  expect(await sampleIds(context, logits, V, rows, { dtype: "bf16" })).toEqual(together);
});

const odd: readonly (OpCase & {
  readonly logits: readonly number[];
  readonly row?: SampleRow;
  readonly expected: number;
})[] = [
  { name: "-inf alone", logits: [-Infinity, -Infinity], expected: 0 },
  { name: "NaN alone", logits: [NaN, NaN, NaN], expected: 0 },
  { name: "one number among -inf and NaN", logits: [NaN, -Infinity, -1e30, NaN], expected: 2 },
  { name: "the same, greedy", logits: [NaN, -Infinity, -1e30, NaN], row: { temperature: 0 }, expected: 2 },
  { name: "+inf", logits: [1, Infinity, 2], expected: 1 },
  { name: "greedy, +inf twice", logits: [1, Infinity, Infinity], row: { temperature: 0 }, expected: 1 },
  { name: "greedy tie of -0 and 0", logits: [-1, -0, 0], row: { temperature: 0 }, expected: 1 },
  { name: "top-k tie of -0 and 0", logits: [-1, -0, 0], row: { topK: 1 }, expected: 1 },
  {
    name: "a temperature that overflows l / T",
    logits: [-3, -1, -2],
    row: { temperature: 1e-44 },
    expected: 1,
  },
  { name: "temperature NaN is greedy", logits: [-3, -1, -2], row: { temperature: NaN }, expected: 1 },
  { name: "negative temperature is greedy", logits: [-3, -1, -2], row: { temperature: -1 }, expected: 1 },
  { name: "min-p above 1", logits: [-3, 5, -2], row: { minP: 7 }, expected: 1 },
  { name: "negative top-p", logits: [-3, 5, -2], row: { topP: -1 }, expected: 1 },
];

describeOp("sample: odd numbers", odd, async (context, { logits, row = {}, expected }) => {
  const ids = await sampleIds(context, Float64Array.from(logits), logits.length, [row]);
  expect([...ids]).toEqual([expected]);
});

describeOp("sample: extremes", [{ name: "f32" }], async (context) => {
  // Token 35 has the largest u there is, 1 - 2^-25, with key (7, 0) at position 3094: noise 17.3, not infinity.
  const largest = { seed: [7, 0], position: 3094 } as const;
  const logits = new Float64Array(64).fill(-1000);
  logits[1] = 0;
  logits[35] = -25;
  expect([...(await sampleIds(context, logits, 64, [largest]))]).toEqual([1]);
  logits[35] = -12;
  expect([...(await sampleIds(context, logits, 64, [largest]))]).toEqual([35]);

  const V = 100;
  const temperatures = [1e-44, 1e-30, 1, 1e30, Infinity];
  const values = new Random(34).magnitudes(V, -100, 127);
  const rows = temperatures.flatMap((temperature) =>
    [{}, { topK: 3 }, { topP: 0.5 }, { minP: 0.5 }, { topP: NaN, minP: NaN }, { topK: -4 }].map(
      (filter, i) => ({
        ...filter,
        ...{ temperature, seed: [i, i] as const },
      }),
    ),
  );
  const many = Float64Array.from({ length: rows.length * V }, (_, i) => (i % 9 === 0 ? NaN : values[i % V]!));
  const bitmask = Int32Array.from({ length: rows.length * 4 }, () => 0x0f0f0f0f);
  for (const [b, id] of (await sampleIds(context, many, V, rows, { bitmask })).entries()) {
    expect(id).toBeGreaterThanOrEqual(0);
    expect(id % 8).toBeLessThan(4);
    expect(many[b * V + id]).not.toBeNaN();
  }
});

describeOp("sample: what may not be chosen", [{ name: "f32" }], async (context) => {
  const logits = Float64Array.of(5, 4, 3, 2);
  const choose = async (inputs: Inputs, row: SampleRow = { temperature: 0 }) =>
    (await sampleIds(context, logits, 4, [row], inputs))[0];
  const bias = (ids: readonly number[], values: readonly number[]) => ({
    width: ids.length,
    ids: Int32Array.from(ids),
    values: Float64Array.from(values),
  });
  expect(await choose({ bitmask: Int32Array.of(0) })).toBe(0);
  expect(await choose({ bitmask: Int32Array.of(0b1100) })).toBe(2);
  expect(await choose({ bitmask: Int32Array.of(0b1100), bias: bias([0, 1], [Infinity, 1e30]) })).toBe(2);
  expect(await choose({ bias: bias([0, 0, -1, 1], [-Infinity, 7, 9, -Infinity]) })).toBe(2);
  expect(await choose({ bias: bias([3, 3], [2, 2]) })).toBe(3); // the same id twice adds up
  const pool = { shape: [1, 5] as const, tokens: Int32Array.of(0, 1, 1, 2, 3) };
  const prompt = { temperature: 0, presence: 100, poolRow: 0, position: 4, promptLength: 1 };
  expect(await choose({ pool }, prompt)).toBe(0); // presence leaves the prompt alone
  expect(await choose({ pool }, { ...prompt, promptLength: 0 })).toBe(3); // and what lies beyond the position
});

describe("sample: bad arguments", () => {
  const device = openTestDevice();
  const logits = device.empty("f32", [2, 40]);
  const floats = device.empty("f32", [2, 6]);
  const ints = device.empty("i32", [2, 6]);
  const positions = device.empty("i32", [2]);

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    const i32 = (...shape: number[]) => device.empty("i32", shape);
    expect(() => sample(stream, logits, { floats: device.empty("f32", [3, 6]), ints, positions })).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: "sample: floats: expected [B=2, 6] (B from logits axis 0), got [3, 6]",
      }),
    );
    expect(() => sample(stream, logits, { floats, ints: floats, positions })).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_TYPE",
        message: expect.stringMatching(/^sample: ints: /),
      }),
    );
    expect(() => sample(stream, logits, { floats, ints, positions: i32(3) })).toThrow(
      /positions: expected \[B=2\]/,
    );
    expect(() => sample(stream, device.empty("f32", [2, 0]), { floats, ints, positions })).toThrow(
      /logits: expected at least 1 column/,
    );
    expect(() => sample(stream, logits, { floats, ints, positions, bitmask: i32(2, 1) })).toThrow(
      /bitmask: expected \[B=2, 2\]/,
    );
    expect(() => sample(stream, logits, { floats, ints, positions, biasIds: i32(2, 3) })).toThrow(
      /biasValues: expected a tensor/,
    );
    const biasValues = device.empty("f32", [2, 3]);
    expect(() => sample(stream, logits, { floats, ints, positions, biasValues })).toThrow(
      /biasValues: expected none/,
    );
    expect(() => sample(stream, logits, { floats, ints, positions, tokenPool: i32(2) })).toThrow(
      /tokenPool: expected \[R, L\]/,
    );
    expect(() => sample(stream, logits, { floats, ints, positions, out: i32(3) })).toThrow(
      /out: expected \[B=2\]/,
    );
  });

  const failures: readonly (readonly [string, SampleRow, number, string])[] = [
    ["a bias id beyond the vocabulary", {}, 40, "biasIds[1, 0] = 40 is outside [0, V=40)"],
    ["a negative bias id", {}, -2, "biasIds[1, 0] = -2 is outside [0, V=40)"],
    ["a pool row beyond the pool", { poolRow: 3 }, 0, "poolRow of row 1 = 3 is outside [-1, R=3)"],
    ["a negative pool row", { poolRow: -2 }, 0, "poolRow of row 1 = -2 is outside [-1, R=3)"],
    ["a position beyond the pool", { poolRow: 1, position: 9 }, 0, "positions[1] = 9 is outside [0, L=8]"],
    ["a negative position", { poolRow: 1, position: -1 }, 0, "positions[1] = -1 is outside [0, L=8]"],
  ];
  test.each(failures)("%s poisons the stream", async (_name, row, biasId, message) => {
    const stream = device.createStream();
    const packed = packSampleRows([{}, row]);
    const zeros = stream.fromArray("f32", [2, 40], new Float32Array(80));
    sample(stream, zeros, {
      floats: stream.fromArray("f32", [2, 6], Float32Array.from(packed.floats)),
      ints: stream.fromArray("i32", [2, 6], packed.ints),
      positions: stream.fromArray("i32", [2], packed.positions),
      tokenPool: stream.fromArray("i32", [3, 8], new Int32Array(24)),
      biasIds: stream.fromArray("i32", [2, 1], Int32Array.of(-1, biasId)),
      biasValues: stream.fromArray("f32", [2, 1], Float32Array.of(1, 1)),
    });
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(message);
  });
});
