// Contract: sample does not choose a row's suppressed tokens at positions below its least length, and does not look at them at or behind
// it; biases, penalties and filters stay what they are.
import { describe, expect, test } from "vitest";
import { sample, sampleColumns } from "../../lib/ops/sample.js";
import { sample as reference } from "../reference/sample.js";
import { describeOp, type OpCase, type OpContext, openTestDevice } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";
import { packSampleRows, type SampleRow } from "../support/sampleRows.js";

const [F, I] = [sampleColumns.floats.length, sampleColumns.ints.length];

interface Extras {
  readonly bias?: { readonly ids: Int32Array; readonly values: Float64Array };
  readonly pool?: Int32Array;
  readonly dtype?: FloatDType;
}

/** Runs the op on rows of `logits` [B, V]; `ids` [B, Ns] are suppressed. */
async function choose(
  context: OpContext,
  logits: Float64Array,
  rows: readonly SampleRow[],
  ids: Int32Array,
  { bias, pool, dtype = "f32" }: Extras = {},
): Promise<{ readonly chosen: Int32Array; readonly status: Int32Array }> {
  const B = rows.length;
  const { floats, ints, positions } = packSampleRows(rows);
  const status = context.integers([B], new Int32Array(B).fill(-7));
  const chosen = sample(context.stream, context.tensor(dtype, [B, logits.length / B], logits), {
    floats: context.tensor("f32", [B, F], floats),
    ints: context.integers([B, I], ints),
    positions: context.integers([B], positions),
    suppressedIds: context.integers([B, ids.length / B], ids),
    status,
    ...(bias && { biasIds: context.integers([B, bias.ids.length / B], bias.ids) }),
    ...(bias && { biasValues: context.tensor("f32", [B, bias.ids.length / B], bias.values) }),
    ...(pool && { tokenPool: context.integers([B, pool.length / B], pool) }),
  });
  return { chosen: await context.readIntegers(chosen), status: await context.readIntegers(status) };
}

/** [B, 5]: the four likeliest tokens of each row, or as many as there are, and one of them again. */
function likeliest(logits: Float64Array, V: number): Int32Array {
  const rows = Array.from({ length: logits.length / V }, (_, b) => logits.subarray(b * V, (b + 1) * V));
  const ids = rows.flatMap((row) => {
    const best = Array.from(row.keys()).sort((a, b) => row[b]! - row[a]!);
    return [best[0]!, ...[1, 2, 3].map((i) => best[i] ?? -1), best[0]!];
  });
  return Int32Array.from(ids);
}

interface SuppressedCase extends OpCase {
  readonly V: number;
  readonly row: SampleRow;
  readonly dtype?: FloatDType;
  readonly bias?: boolean;
  readonly pool?: boolean;
}

const everything = { temperature: 0.8, topK: 30, topP: 0.9, minP: 0.02, repetition: 1.2, presence: 0.3 };
const tails = [...Array.from({ length: 9 }, (_, i) => i + 1), 31, 32, 33, 63, 64, 65, 127, 128, 129];

const cases: readonly SuppressedCase[] = [
  ...tails.map((V) => ({ name: `${V} tokens, greedy`, V, row: { temperature: 0 } })),
  ...tails.map((V) => ({
    name: `${V} tokens, everything`,
    ...{ V, row: everything, bias: true, pool: true },
  })),
  { name: "drawn", V: 100, row: {} },
  { name: "bf16", V: 333, row: { topP: 0.9 }, dtype: "bf16" },
  { name: "f16, greedy", V: 333, row: { temperature: 0 }, dtype: "f16" },
  { name: "penalties", V: 100, row: { temperature: 0, repetition: 1.5 }, pool: true },
  { name: "a bias", V: 100, row: { temperature: 0 }, bias: true },
  { name: "several slices, greedy", V: 9001, row: { temperature: 0 } },
  { name: "several slices, everything", V: 9001, row: everything, bias: true, pool: true },
];

describeOp("sample: suppressed tokens", cases, async (context, { V, row, dtype = "f32", ...c }) => {
  const [B, L] = [12, 40];
  const random = new Random(61);
  const logits = random.normal(B * V, { dtype, std: 2 });
  const rows = Array.from({ length: B }, (_, b) => ({
    ...{ ...row, seed: [b, 5] as const, minLength: 20 },
    ...{ position: [19, 20, 0, 21][b % 4]!, poolRow: c.pool ? b : -1, promptLength: 3 },
  }));
  const tokenPool = Int32Array.from({ length: B * L }, () => random.integer(0, V));
  const biasIds = Int32Array.from({ length: B * 3 }, () => random.integer(0, V));
  const biasValues = random.normal(B * 3, { std: 3 });
  const ids = likeliest(logits, V);
  const { chosen } = await choose(context, logits, rows, ids, {
    dtype,
    ...(c.bias && { bias: { ids: biasIds, values: biasValues } }),
    ...(c.pool && { pool: tokenPool }),
  });
  const inputs = {
    ...{ ...packSampleRows(rows), suppressedIds: ids, suppressedLength: 5 },
    ...(c.pool && { tokenPool, poolLength: L }),
    ...(c.bias && { biasIds, biasValues, biasLength: 3 }),
  };
  const expected = reference(logits, inputs, { B, V });
  for (const [b, id] of chosen.entries()) {
    if (expected.margins[b]! > 1e-5) expect(id, `row ${b}`).toBe(expected.ids[b]);
    if (V > 4 && b % 2 === 0) expect([...ids.subarray(b * 5, b * 5 + 5)]).not.toContain(id);
  }
  expect(expected.margins.filter((margin) => margin > 1e-5).length).toBeGreaterThanOrEqual(B - 2);
});

describeOp("sample: suppressed alone", [{ name: "f32" }], async (context) => {
  const logits = Float64Array.of(5, 4, 3, 2);
  const below = { temperature: 0, position: 6, minLength: 7 };
  const one = async (row: SampleRow, extras: Extras = {}, ids = [1, -1, 0, 0]) => {
    const { chosen, status } = await choose(context, logits, [row], Int32Array.from(ids), extras);
    return [chosen[0], status[0]];
  };
  expect(await one(below)).toEqual([2, 0]);
  expect(await one({ ...below, position: 7 })).toEqual([0, 0]); // long enough
  expect(await one({ temperature: 0 })).toEqual([0, 0]); // no least length
  const bias = { ids: Int32Array.of(0, 1), values: Float64Array.of(9, Infinity) };
  expect(await one(below, { bias })).toEqual([2, 0]); // a bias does not help
  expect(await one(below, {}, [3, 2, 1, 0])).toEqual([0, 2]); // nothing is left
  expect(await one({ ...below, temperature: 1 }, {}, [2, 0, 3, 3])).toEqual([1, 0]);
  expect(await one(below, {}, [])).toEqual([0, 0]);
});

describe("sample: suppressed ids that are none", () => {
  const device = openTestDevice();

  test("have one row for each of the logits", () => {
    const [floats, ints] = [device.empty("f32", [2, F]), device.empty("i32", [2, I])];
    const options = { floats, ints, positions: device.empty("i32", [2]) };
    const run = () =>
      sample(device.createStream(), device.empty("f32", [2, 40]), {
        ...options,
        suppressedIds: device.empty("i32", [3, 1]),
      });
    expect(run).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: expect.stringMatching(/^sample: suppressedIds: expected \[B=2, Ns\]/) as unknown,
      }),
    );
  });

  test.each([40, -2])("%i poisons the stream where it counts, and nowhere else", async (id) => {
    const stream = device.createStream();
    const run = (minLength: number) => {
      const packed = packSampleRows([{}, { position: 3, minLength }]);
      sample(stream, stream.fromArray("f32", [2, 40], new Float32Array(80)), {
        floats: stream.fromArray("f32", [2, F], Float32Array.from(packed.floats)),
        ints: stream.fromArray("i32", [2, I], packed.ints),
        positions: stream.fromArray("i32", [2], packed.positions),
        suppressedIds: stream.fromArray("i32", [2, 2], Int32Array.of(-1, -1, 7, id)),
      });
    };
    run(3);
    await stream.synchronize();
    run(4);
    await expect(stream.synchronize()).rejects.toThrow(`suppressedIds[1, 1] = ${id} is outside [0, V=40)`);
  });
});
