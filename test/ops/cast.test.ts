// Contract: cast rounds to the nearest value of the new dtype, ties to even; special values survive.
import { describe, expect, test } from "vitest";
import { cast } from "../../lib/ops/cast.js";
import { cast as reference } from "../reference/cast.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { roundTo, type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface CastCase extends OpCase {
  readonly shape: readonly number[];
  readonly from: FloatDType;
  readonly to: FloatDType;
  /** x and out are views into wider rows. */
  readonly strided?: boolean;
  /** Exponents of the values. */
  readonly exponents?: readonly [number, number];
  /** These values first, the rest of the tensor repeats them. */
  readonly values?: readonly number[];
  /** Results below the normal range of bf16: 0 is right, too. */
  readonly mayFlush?: boolean;
}

const narrow = { shape: [3, 64], from: "f32", to: "bf16" } as const;
const widen = { ...narrow, from: "bf16", to: "f32" } as const;
const tails = Array.from({ length: 33 }, (_, i) => i + 1);
const special = [NaN, Infinity, -Infinity, 0, -0];

const cases: readonly CastCase[] = [
  { name: "smallest", ...narrow, shape: [1] },
  { name: "a scalar", ...narrow, shape: [] },
  { name: "no rows", ...narrow, shape: [0, 5] },
  { name: "no columns", ...narrow, shape: [5, 0] },
  ...tails.map((D) => ({
    name: `${D} columns`,
    ...(D % 2 === 0 ? narrow : widen),
    shape: [3, D],
    strided: true,
  })),
  { name: "rank 4", ...widen, shape: [2, 3, 4, 16] },
  { name: "f32 to f32", ...narrow, to: "f32" },
  { name: "f32 to f16", ...narrow, to: "f16" },
  { name: "f16 to f32", ...widen, from: "f16" },
  { name: "f16 to bf16", ...narrow, from: "f16" },
  { name: "bf16 to f16", ...narrow, from: "bf16", to: "f16" },
  { name: "bf16 to bf16 keeps subnormals", ...narrow, from: "bf16", exponents: [-133, -126] },
  { name: "many rows over the threads", ...narrow, shape: [301, 257] },
  { name: "one long row cut into pieces", ...narrow, shape: [50003] },
  { name: "huge and tiny, to bf16", ...narrow, exponents: [-126, 127] },
  { name: "subnormal results, to bf16", ...narrow, exponents: [-140, -120], mayFlush: true },
  { name: "overflow and subnormal results, to f16", ...narrow, to: "f16", exponents: [-27, 20] },
  { name: "special values to bf16", ...narrow, values: special },
  { name: "special values to f16", ...narrow, to: "f16", values: special },
  { name: "special values to f32", ...widen, values: special },
  {
    name: "ties to bf16",
    ...narrow,
    values: [1 + 2 ** -8, 1 + 3 * 2 ** -8, -1 - 2 ** -8, 1 + 2 ** -8 + 2 ** -20],
  },
  {
    name: "ties to f16",
    ...narrow,
    to: "f16",
    values: [1 + 2 ** -11, 1 + 3 * 2 ** -11, 65519, 65520, 2 ** -25],
  },
];

describeOp("cast", cases, async (context, c) => {
  const { shape, from, to, exponents, values } = c;
  const count = shape.reduce((product, size) => product * size, 1);
  const random = new Random(15);
  const x = values
    ? roundTo(
        from,
        Float64Array.from({ length: count }, (_, i) => values[i % values.length]!),
      )
    : exponents
      ? random.magnitudes(count, ...exponents, from)
      : random.normal(count, { dtype: from });
  const place = (as: FloatDType, data: Float64Array) =>
    c.strided
      ? context.stridedRows(as, shape, data, { before: 3, after: 5 })
      : context.tensor(as, shape, data);

  const out = cast(
    context.stream,
    place(from, x),
    to,
    c.strided ? { out: place(to, new Float64Array(count)) } : {},
  );
  expect(out.shape).toEqual(shape);
  expect(out.dtype).toBe(to);
  const expected = reference(x, to);
  if (c.mayFlush) expectClose(await context.read(out), expected, { dtype: to, shape });
  else expectSame(await context.read(out), expected, { shape });
});

describe("cast: bad arguments", () => {
  const device = openTestDevice();

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    const x = device.empty("f32", [3, 8]);
    expect(() => cast(stream, x, "bf16", { out: device.empty("f16", [3, 8]) })).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_TYPE",
        message: "cast: out: expected dtype bf16, got f16",
      }),
    );
    expect(() => cast(stream, x, "i32" as FloatDType)).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: expect.stringMatching(/^cast: dtype: /),
      }),
    );
    expect(() => cast(stream, device.empty("i32", [3, 8]), "f32")).toThrow(/^cast: x: expected dtype/);
    expect(() => cast(stream, x, "bf16", { out: device.empty("bf16", [3, 9]) })).toThrow(
      /^cast: out: expected \[3, 8\]/,
    );
  });
});
