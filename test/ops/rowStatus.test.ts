// Contract: argmax, sample and logprobs say of each row whether its logits are finite and leave a choice, wherever in the row
// the odd value is, and give healthy rows among odd ones the same result as without them.
import { describe, expect, test } from "vitest";
import { argmax } from "../../lib/ops/argmax.js";
import { logprobs } from "../../lib/ops/logprobs.js";
import { sample, type SampleOptions } from "../../lib/ops/sample.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { rowStatus as reference } from "../reference/rowStatus.js";
import { describeOp, type OpCase, type OpContext, openTestDevice } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";
import { packSampleRows, type SampleRow } from "../support/sampleRows.js";

interface StatusCase extends OpCase {
  readonly V: number;
  readonly dtype?: FloatDType;
  readonly strided?: boolean;
  /** Columns in which an odd value stands, a row for each. */
  readonly at: readonly number[];
}

const odd = [NaN, Infinity, -Infinity] as const;

const cases: readonly StatusCase[] = [
  ...[1, 2, 15, 16, 17, 31, 33, 63, 64, 65].map((V) => ({ name: `${V} tokens`, V, at: [0, V - 1] })),
  { name: "bf16", V: 517, dtype: "bf16", at: [0, 64, 516] },
  { name: "f16", V: 517, dtype: "f16", at: [0, 64, 516] },
  { name: "strided rows", V: 77, strided: true, at: [0, 76] },
  { name: "strided rows, bf16", V: 77, strided: true, dtype: "bf16", at: [0, 76] },
  // Borders of the warps and slices of the CUDA kernels, which depend on the width of a load.
  { name: "slices, single loads", V: 4501, at: [0, 255, 256, 2047, 2048, 4500] },
  { name: "slices, f32", V: 8448, at: [0, 511, 512, 4095, 4096, 8447] },
  { name: "slices, bf16", V: 16_640, dtype: "bf16", at: [0, 1023, 1024, 8191, 8192, 16_639] },
];

/** Healthy rows and odd ones in turn; the last two are -inf alone and NaN alone. */
function oddRows({ V, at, dtype = "f32" }: StatusCase) {
  const kinds = (i: number) => (V < 100 ? odd : [odd[i % 2]!]); // of long rows NaN and +inf in turn
  const placed = at.flatMap((column, i) => kinds(i).map((value) => ({ column, value })));
  const B = 2 * placed.length + 3;
  const logits = new Random(51).normal(B * V, { dtype, std: 2 });
  for (const [i, { column, value }] of placed.entries()) logits[(2 * i + 1) * V + column] = value;
  logits.fill(-Infinity, (B - 2) * V, (B - 1) * V);
  logits.fill(NaN, (B - 1) * V);
  return { logits, B, healthy: Array.from({ length: placed.length + 1 }, (_, i) => 2 * i) };
}

const input = (context: OpContext, c: StatusCase, logits: Float64Array, B: number): Tensor =>
  c.strided
    ? context.stridedRows(c.dtype ?? "f32", [B, c.V], logits, { before: 3, after: 2 })
    : context.tensor(c.dtype ?? "f32", [B, c.V], logits);

/** A tensor with -1 in every place, so that what is not written shows. */
const untouched = (context: OpContext, B: number) => context.integers([B], new Int32Array(B).fill(-1));

describeOp("row status of argmax", cases, async (context, c) => {
  const { logits, B } = oddRows(c);
  const tensor = input(context, c, logits, B);
  const status = untouched(context, B);
  const ids = await context.readIntegers(argmax(context.stream, tensor, { status }));
  expect(await context.readIntegers(status)).toEqual(reference(logits, { B, V: c.V }));
  expect(ids).toEqual(await context.readIntegers(argmax(context.stream, tensor)));
});

describeOp("row status of logprobs", cases, async (context, c) => {
  const { logits, B } = oddRows(c);
  const tensor = input(context, c, logits, B);
  const ids = context.integers([B], new Int32Array(B));
  for (const topN of [0, Math.min(c.V, 3)]) {
    const status = untouched(context, B);
    const { chosen } = logprobs(context.stream, tensor, ids, { topN, status });
    expect(await context.readIntegers(status)).toEqual(reference(logits, { B, V: c.V }));
    const plain = logprobs(context.stream, tensor, ids, { topN });
    expect(await context.read(chosen)).toEqual(await context.read(plain.chosen));
  }
});

/** How a row is sampled decides which of the kernel's passes see its logits. */
const ways: Readonly<
  Record<string, { readonly row: SampleRow; readonly bias?: boolean; readonly mask?: boolean }>
> = {
  greedy: { row: { temperature: 0 } },
  drawn: { row: { temperature: 1, topK: 5, topP: 0.9 } },
  biased: { row: { temperature: 1 }, bias: true },
  penalized: { row: { temperature: 0, repetition: 1.3, presence: 0.5, poolRow: 0, position: 3 } },
  masked: { row: { temperature: 1 }, mask: true },
  "masked and biased": { row: { temperature: 0 }, mask: true, bias: true },
};

/** Inputs of `sample` for one way; the mask allows the tokens of `allowed`. */
function sampleOptions(
  context: OpContext,
  { B, V }: { readonly B: number; readonly V: number },
  way: (typeof ways)[string],
  allowed: (v: number) => boolean,
): SampleOptions {
  const packed = packSampleRows(Array.from({ length: B }, (_, b) => ({ ...way.row, seed: [b, 5] as const })));
  const words = Math.ceil(V / 32);
  const mask = new Int32Array(B * words);
  for (let v = 0; v < V; v++) {
    for (let b = 0; allowed(v) && b < B; b++) mask[b * words + (v >> 5)]! |= 1 << (v & 31);
  }
  return {
    floats: context.tensor("f32", [B, 6], packed.floats),
    ints: context.integers([B, 6], packed.ints),
    positions: context.integers([B], packed.positions),
    ...(way.row.poolRow !== undefined && { tokenPool: context.integers([1, 3], [0, V - 1, 0]) }),
    ...(way.bias && { biasIds: context.integers([B, 1], new Int32Array(B)) }),
    ...(way.bias && { biasValues: context.tensor("f32", [B, 1], new Float64Array(B).fill(2)) }),
    ...(way.mask && { bitmask: context.integers([B, words], mask) }),
  };
}

describeOp(
  "row status of sample",
  cases.flatMap((c) => Object.keys(ways).map((way) => ({ ...c, way }))),
  async (context, c) => {
    const { logits, B, healthy } = oddRows(c);
    const { V } = c;
    const way = ways[c.way]!;
    // Every odd column but the first is banned: a model that computed NaN for a banned token is broken, too.
    const allowed = (v: number) => v === 0 || !c.at.includes(v);
    const tensor = input(context, c, logits, B);
    const options = sampleOptions(context, { B, V }, way, allowed);
    const status = untouched(context, B);
    const ids = await context.readIntegers(sample(context.stream, tensor, { ...options, status }));
    const isAllowed = (_b: number, v: number) => !way.mask || allowed(v);
    expect(await context.readIntegers(status)).toEqual(reference(logits, { B, V, isAllowed }));
    expect(ids).toEqual(await context.readIntegers(sample(context.stream, tensor, options)));
    const sane = logits.map((value) => (Number.isFinite(value) ? value : 0));
    const alone = await context.readIntegers(sample(context.stream, input(context, c, sane, B), options));
    for (const b of healthy) expect(ids[b]).toBe(alone[b]);
    expect(ids.every((id) => id >= 0 && id < V)).toBe(true); // what is drawn from an odd row can be run
  },
);

const bans: readonly (OpCase & { readonly V: number })[] = [
  { name: "one block", V: 40 },
  { name: "several slices", V: 4501 },
];

describeOp("row status of sample: every token banned", bans, async (context, { V }) => {
  const B = 3;
  const logits = new Random(52).normal(B * V, { std: 2 });
  const tensor = context.tensor("f32", [B, V], logits);
  const statusOf = async (options: SampleOptions) => {
    const status = untouched(context, B);
    sample(context.stream, tensor, { ...options, status });
    return [...(await context.readIntegers(status))];
  };
  for (const row of [{ temperature: 0 }, { temperature: 1 }]) {
    const masked = { row, mask: true };
    expect(await statusOf(sampleOptions(context, { B, V }, masked, () => false))).toEqual([2, 2, 2]);
    expect(await statusOf(sampleOptions(context, { B, V }, masked, (v) => v === V - 1))).toEqual([0, 0, 0]);
    const plain = sampleOptions(context, { B, V }, { row }, () => true);
    const biasIds = context.integers(
      [B, V],
      Int32Array.from({ length: B * V }, (_, i) => i % V),
    );
    // The middle row keeps its last token.
    const values = Float64Array.from({ length: B * V }, (_, i) => (i === 2 * V - 1 ? 0 : -Infinity));
    const biasValues = context.tensor("f32", [B, V], values);
    expect(await statusOf({ ...plain, biasIds, biasValues })).toEqual([2, 0, 2]);
  }
});

describe("row status: bad arguments", () => {
  test("name the argument", () => {
    const device = openTestDevice();
    const stream = device.createStream();
    const logits = device.empty("f32", [2, 8]);
    const wrong = device.empty("i32", [3]);
    expect(() => argmax(stream, logits, { status: wrong })).toThrow(/^argmax: status: expected \[B=2\]/);
    const ids = device.empty("i32", [2]);
    expect(() => logprobs(stream, logits, ids, { topN: 0, status: wrong })).toThrow(/^logprobs: status: /);
    const [floats, ints] = [device.empty("f32", [2, 6]), device.empty("i32", [2, 6])];
    expect(() => sample(stream, logits, { floats, ints, positions: ids, status: floats })).toThrow(
      /^sample: status: /,
    );
  });
});
