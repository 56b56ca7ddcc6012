// Contract: moeCombine matches its reference, never depends on other tokens, and refuses rows that do not exist.
import { describe, expect, test } from "vitest";
import { ExecutionError } from "../../lib/errors.js";
import { moeCombine } from "../../lib/ops/moeCombine.js";
import { moeCombine as reference } from "../reference/moeCombine.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface MoeCombineCase extends OpCase {
  readonly T: number;
  readonly K: number;
  readonly D: number;
  readonly dtype: FloatDType;
  readonly outDtype?: FloatDType;
  readonly residual?: boolean;
  /** The residual is overwritten. */
  readonly inPlace?: boolean;
  /** y, residual and out are views into wider rows. */
  readonly strided?: boolean;
  /** Of the experts that y has: its other rows are NaN. */
  readonly offsets?: readonly number[];
  /** Exponents of the values of y. */
  readonly exponents?: readonly [number, number];
}

const small = { T: 5, K: 2, D: 48, dtype: "f32" } as const;
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly MoeCombineCase[] = [
  { name: "smallest", T: 1, K: 1, D: 1, dtype: "f32" },
  { name: "no tokens", ...small, T: 0 },
  { name: "no columns", ...small, D: 0 },
  ...tails.map((D) => ({ name: `${D} columns`, ...small, D, residual: true })),
  { name: "eight experts", ...small, K: 8, D: 70 },
  { name: "bf16", ...small, dtype: "bf16", D: 70 },
  { name: "f16", ...small, dtype: "f16", D: 70 },
  {
    name: "bf16 onto an f32 residual, in place",
    ...small,
    dtype: "bf16",
    outDtype: "f32",
    residual: true,
    inPlace: true,
  },
  { name: "f32 to f16", ...small, outDtype: "f16", residual: true },
  { name: "strided rows", ...small, D: 37, strided: true, residual: true },
  { name: "strided rows, bf16", ...small, D: 37, dtype: "bf16", strided: true },
  { name: "experts elsewhere", ...small, K: 4, D: 70, offsets: [3, 3, 11, 14], residual: true },
  { name: "experts elsewhere, bf16", ...small, dtype: "bf16", offsets: [0, 7] },
  { name: "all experts elsewhere", ...small, offsets: [4, 4], residual: true },
  { name: "no expert elsewhere", ...small, offsets: [0, 5, 10] },
  { name: "huge and tiny", ...small, exponents: [-60, 60] },
  { name: "many tokens over the threads", T: 300, K: 4, D: 257, dtype: "bf16", residual: true },
];

describeOp("moeCombine", cases, async (context, c) => {
  const { T, K, D, dtype, outDtype = dtype, offsets } = c;
  const rows = [offsets?.[0] ?? 0, offsets?.at(-1) ?? T * K] as const;
  const random = new Random(23);
  const y = c.exponents
    ? random.magnitudes(T * K * D, ...c.exponents, dtype)
    : random.normal(T * K * D, { dtype });
  y.fill(NaN, 0, rows[0] * D).fill(NaN, rows[1] * D);
  const inverse = random.permutation(T * K);
  const weights = random.normal(T * K);
  const residual = random.normal(T * D);
  const place = (as: FloatDType, rows: number, data: Float64Array) =>
    c.strided
      ? context.stridedRows(as, [rows, D], data, { before: 3, after: 5 })
      : context.tensor(as, [rows, D], data);

  const residualTensor = place("f32", T, residual);
  const out = moeCombine(
    context.stream,
    place(dtype, T * K, y),
    context.integers([T, K], inverse),
    context.tensor("f32", [T, K], weights),
    {
      dtype: outDtype,
      ...(c.residual && { residual: residualTensor }),
      ...(offsets && { offsets: context.integers([offsets.length], Int32Array.from(offsets)) }),
      ...(c.inPlace && { out: residualTensor }),
      ...(c.strided && { out: place(outDtype, T, new Float64Array(T * D)) }),
    },
  );

  const expected = reference(y, inverse, weights, { T, K, D }, { rows, ...(c.residual && { residual }) });
  expect(out.shape).toEqual([T, D]);
  expect(out.dtype).toBe(outDtype);
  expectClose(await context.read(out), expected, { dtype: outDtype, shape: [T, D], reduction: K });
});

describeOp("moeCombine: a token does not depend on the others", [{ name: "bf16" }], async (context) => {
  const [T, K, D] = [40, 3, 45];
  const random = new Random(24);
  const y = random.normal(T * K * D, { dtype: "bf16" });
  const weights = random.normal(T * K);
  const combine = (first: number, count: number) =>
    moeCombine(
      context.stream,
      context.tensor("bf16", [count * K, D], y.subarray(first * K * D, (first + count) * K * D)),
      context.integers(
        [count, K],
        Int32Array.from({ length: count * K }, (_, i) => i),
      ),
      context.tensor("f32", [count, K], weights.subarray(first * K, (first + count) * K)),
    );
  const together = await context.read(combine(0, T));
  expectSame(await context.read(combine(7, 1)), together.subarray(7 * D, 8 * D), { shape: [D] });
});

describe("moeCombine: bad arguments", () => {
  const device = openTestDevice();
  const y = device.empty("f32", [6, 8]);
  const inverse = device.empty("i32", [3, 2]);
  const weights = device.empty("f32", [3, 2]);

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    expect(() => moeCombine(stream, y, inverse, device.empty("f32", [3, 3]))).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message:
          "moeCombine: weights: expected [T=3, K=2] (T from inverse axis 0; K from inverse axis 1), got [3, 3]",
      }),
    );
    expect(() => moeCombine(stream, device.empty("f32", [5, 8]), inverse, weights)).toThrow(
      /y: expected \[6, D\]/,
    );
    expect(() => moeCombine(stream, device.empty("i8", [6, 8]), inverse, weights, { dtype: "f32" })).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_TYPE" }),
    );
    const residual = device.empty("f32", [3, 9]);
    expect(() => moeCombine(stream, y, inverse, weights, { residual })).toThrow(/residual: expected/);
    const offsets = device.empty("i32", [1]);
    expect(() => moeCombine(stream, y, inverse, weights, { offsets })).toThrow(
      "offsets: expected at least 2 elements, got 1",
    );
    expect(() => moeCombine(stream, y, inverse, weights, { out: device.empty("f32", [2, 8]) })).toThrow(
      /out: /,
    );
  });

  test.each([-1, 6, 2147483647])("row %i of 6 poisons the stream", async (row) => {
    const stream = device.createStream();
    const rows = stream.fromArray("i32", [3, 2], Int32Array.of(0, 1, 2, 3, row, 5));
    moeCombine(stream, y, rows, weights);
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(`inverse[2, 0] = ${row} is outside [0, T*K=6)`);
  });
});
