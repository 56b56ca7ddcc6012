// Contract: softmax matches its reference, causal rows are aligned at the bottom right, and no row depends on another.
import { describe, expect, test } from "vitest";
import { softmax } from "../../lib/ops/softmax.js";
import { softmax as reference } from "../reference/softmax.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface SoftmaxCase extends OpCase {
  readonly T: number;
  readonly D: number;
  readonly dtype: FloatDType;
  readonly outDtype?: FloatDType;
  readonly causal?: boolean;
  readonly scale?: number;
  /** x and out are views into wider rows. */
  readonly strided?: boolean;
  readonly inPlace?: boolean;
  /** NaN in the last column that every third row sees, and in all columns that the others do not see. */
  readonly odd?: boolean;
  /** Exponents of the values: huge and tiny magnitudes. */
  readonly exponents?: readonly [number, number];
}

const small = { T: 3, D: 40, dtype: "f32" } as const;
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly SoftmaxCase[] = [
  { name: "smallest", ...small, T: 1, D: 1 },
  { name: "no rows", ...small, T: 0 },
  { name: "no columns", ...small, D: 0 },
  ...tails.map((D) => ({ name: `${D} columns`, ...small, D })),
  ...tails.map((D) => ({ name: `causal, ${D} columns`, ...small, T: D, D, causal: true })),
  { name: "causal, the last rows of a longer sequence", ...small, T: 5, D: 70, causal: true },
  { name: "causal, first rows see nothing", ...small, T: 50, D: 20, causal: true },
  { name: "scale", ...small, scale: 0.125 },
  { name: "scale, causal", ...small, T: 40, scale: 3, causal: true },
  {
    name: "causal, NaN in each row's last column and behind it",
    ...small,
    T: 19,
    D: 24,
    causal: true,
    odd: true,
  },
  { name: "bf16", ...small, dtype: "bf16" },
  { name: "f16", ...small, dtype: "f16" },
  { name: "f32 to bf16, causal", ...small, T: 40, outDtype: "bf16", causal: true },
  { name: "bf16 to f32", ...small, dtype: "bf16", outDtype: "f32" },
  { name: "f16 to bf16", ...small, D: 19, dtype: "f16", outDtype: "bf16" },
  { name: "strided rows", ...small, D: 37, strided: true },
  { name: "strided rows, bf16, causal", ...small, T: 37, D: 37, dtype: "bf16", strided: true, causal: true },
  { name: "in place", ...small, T: 40, causal: true, inPlace: true },
  { name: "in place in a wider row, f16", ...small, D: 33, dtype: "f16", strided: true, inPlace: true },
  { name: "many rows over the threads", ...small, T: 301, D: 301, causal: true },
  { name: "one long row", ...small, T: 1, D: 20000 },
  { name: "one long row, scale", ...small, T: 1, D: 20000, scale: 3 },
  { name: "long rows, causal, NaN", ...small, D: 16500, causal: true, odd: true },
  { name: "one long row, bf16", ...small, T: 1, D: 20000, dtype: "bf16" },
  { name: "long misaligned rows", ...small, T: 2, D: 5001, strided: true, causal: true },
  { name: "huge: one column takes all", ...small, exponents: [10, 60] },
  { name: "tiny: all columns equal", ...small, exponents: [-60, -30] },
];

describeOp("softmax", cases, async (context, c) => {
  const { T, D, dtype, outDtype = dtype, causal = false, scale = 1 } = c;
  const random = new Random(11);
  const x = c.exponents ? random.magnitudes(T * D, ...c.exponents, dtype) : random.normal(T * D, { dtype });
  if (c.odd) {
    for (let t = 0; t < T; t++) x.fill(NaN, t * D + t + D - T + (t % 3 === 0 ? 0 : 1), (t + 1) * D);
  }
  const place = (as: FloatDType, data: Float64Array) =>
    c.strided
      ? context.stridedRows(as, [T, D], data, { before: 3, after: 5 })
      : context.tensor(as, [T, D], data);

  const xTensor = place(dtype, x);
  const out = softmax(context.stream, xTensor, {
    causal,
    scale,
    dtype: outDtype,
    ...(c.inPlace && { out: xTensor }),
    ...(c.strided && !c.inPlace && { out: place(outDtype, new Float64Array(T * D)) }),
  });

  expect(out.shape).toEqual([T, D]);
  expect(out.dtype).toBe(outDtype);
  const expected = reference(x, { T, D }, { causal, scale });
  expectClose(await context.read(out), expected, { dtype: outDtype, shape: [T, D], reduction: D });
});

interface RowCase extends OpCase {
  readonly x: readonly number[];
  readonly expected: readonly number[];
}

const rows: readonly RowCase[] = [
  { name: "-inf has no share", x: [0, -Infinity, 0], expected: [0.5, 0, 0.5] },
  { name: "nothing but -inf is 0", x: [-Infinity, -Infinity], expected: [0, 0] },
  { name: "NaN makes its row NaN", x: [0, NaN, 1], expected: [NaN, NaN, NaN] },
  {
    name: "NaN among -inf",
    x: [NaN, ...new Array<number>(40).fill(-Infinity)],
    expected: new Array<number>(41).fill(NaN),
  },
  { name: "+inf makes its row NaN", x: [0, Infinity], expected: [NaN, NaN] },
];

describeOp("softmax: special values", rows, async (context, { x, expected }) => {
  const shape = [1, x.length];
  const out = softmax(context.stream, context.tensor("f32", shape, Float64Array.from(x)));
  expectSame(await context.read(out), expected, { shape });
});

describeOp(
  "softmax: a row does not depend on the others",
  [{ name: "bf16, 45 columns" }],
  async (context) => {
    const [T, D] = [40, 45];
    const x = new Random(4).normal(T * D, { dtype: "bf16" });
    const together = await context.read(softmax(context.stream, context.tensor("bf16", [T, D], x)));
    const row = x.subarray(7 * D, 8 * D);
    const alone = await context.read(softmax(context.stream, context.tensor("bf16", [1, D], row)));
    expectSame(alone, together.subarray(7 * D, 8 * D), { shape: [D] });
  },
);

describe("softmax: bad arguments", () => {
  const device = openTestDevice();
  const x = device.empty("f32", [3, 8]);

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    expect(() => softmax(stream, x, { out: device.empty("f32", [3, 9]) })).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: "softmax: out: expected [T=3, D=8] (T from x axis 0; D from x axis 1), got [3, 9]",
      }),
    );
    expect(() => softmax(stream, device.empty("i32", [3, 8]))).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_TYPE", message: expect.stringMatching(/^softmax: x: /) }),
    );
    expect(() => softmax(stream, device.empty("f32", [8]))).toThrow(/x: /);
    expect(() => softmax(stream, x, { out: device.empty("i32", [3, 8]) })).toThrow(/out: /);
    for (const scale of [0, -1, Infinity, NaN]) {
      expect(() => softmax(stream, x, { scale })).toThrow(/scale: expected a positive, finite number, got/);
    }
  });
});
