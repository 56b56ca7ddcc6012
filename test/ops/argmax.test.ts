// Contract: argmax is exactly its reference: ties go to the lowest index, NaN never wins, a row of NaN gives 0.
import { describe, expect, test } from "vitest";
import { argmax } from "../../lib/ops/argmax.js";
import { argmax as reference } from "../reference/argmax.js";
import { expectSame } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface ArgmaxCase extends OpCase {
  readonly B: number;
  readonly V: number;
  readonly dtype?: FloatDType;
  /** Few distinct values: every row has ties. */
  readonly levels?: number;
  /** Share of elements that are NaN. */
  readonly nan?: number;
  readonly strided?: boolean;
  readonly exponents?: readonly [number, number];
}

const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly ArgmaxCase[] = [
  { name: "smallest", B: 1, V: 1 },
  { name: "no rows", B: 0, V: 5 },
  ...tails.map((V) => ({ name: `${V} columns`, B: 7, V })),
  ...tails.map((V) => ({ name: `${V} columns with ties and NaN`, B: 20, V, levels: 3, nan: 0.3 })),
  { name: "bf16", B: 5, V: 1000, dtype: "bf16" },
  { name: "f16", B: 5, V: 1000, dtype: "f16" },
  { name: "ties", B: 9, V: 1001, levels: 2 },
  { name: "strided rows", B: 5, V: 77, strided: true, levels: 4 },
  { name: "strided rows, bf16", B: 5, V: 77, strided: true, dtype: "bf16" },
  { name: "huge and tiny", B: 5, V: 100, exponents: [-140, 120] },
  { name: "a vocabulary", B: 3, V: 151936, dtype: "bf16" },
  { name: "many rows over the threads", B: 300, V: 513, levels: 50 },
];

describeOp("argmax", cases, async (context, c) => {
  const { B, V, dtype = "f32", levels, nan = 0 } = c;
  const random = new Random(25);
  const base = c.exponents
    ? random.magnitudes(B * V, ...c.exponents, dtype)
    : random.normal(B * V, { dtype });
  const logits = base.map((value) => {
    if (random.uniform() < nan) return NaN;
    return levels === undefined ? value : random.integer(-levels, 0);
  });
  const input = c.strided
    ? context.stridedRows(dtype, [B, V], logits, { before: 3, after: 2 })
    : context.tensor(dtype, [B, V], logits);
  const out = argmax(context.stream, input);
  expect(out.shape).toEqual([B]);
  expectSame(await context.readIntegers(out), reference(logits, { B, V }), { shape: [B] });
});

const odd: readonly (readonly [string, (i: number) => number, number])[] = [
  ["NaN alone", () => NaN, 0],
  ["-inf alone", () => -Infinity, 0],
  ["-inf after NaN", (i) => (i < 20 ? NaN : -Infinity), 20],
  ["one number among NaN", (i) => (i === 33 ? -1e30 : NaN), 33],
  ["+inf twice", (i) => (i === 9 || i === 30 ? Infinity : 5), 9],
  ["-0 before 0", (i) => (i === 4 ? -0 : i === 40 ? 0 : -1), 4],
  ["the last element", (i) => (i === 44 ? 1 : 0), 44],
];

describeOp(
  "argmax: rows",
  odd.flatMap(([name, value, index]) =>
    (["f32", "bf16", "f16"] as const).map((dtype) => ({ name: `${name}, ${dtype}`, value, index, dtype })),
  ),
  async (context, { value, index, dtype }) => {
    const logits = context.tensor(
      dtype,
      [1, 45],
      Float64Array.from({ length: 45 }, (_, i) => value(i)),
    );
    expect([...(await context.readIntegers(argmax(context.stream, logits)))]).toEqual([index]);
  },
);

describe("argmax: bad arguments", () => {
  const device = openTestDevice();

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    const logits = device.empty("f32", [3, 8]);
    expect(() => argmax(stream, device.empty("i32", [3, 8]))).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_TYPE",
        message: expect.stringMatching(/^argmax: logits: /),
      }),
    );
    expect(() => argmax(stream, device.empty("f32", [3, 0]))).toThrow(/logits: expected at least 1 column/);
    expect(() => argmax(stream, logits, { out: device.empty("i32", [4]) })).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: "argmax: out: expected [B=3] (B from logits axis 0), got [4]",
      }),
    );
    expect(() => argmax(stream, logits, { out: device.empty("f32", [3]) })).toThrow(
      /out: expected dtype i32/,
    );
  });
});
