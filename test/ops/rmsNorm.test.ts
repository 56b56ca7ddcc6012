// Contract: rmsNorm matches its reference, adds the residual first and writes it back, and never depends on other rows.
import { describe, expect, test } from "vitest";
import { rmsNorm } from "../../lib/ops/rmsNorm.js";
import { rmsNorm as reference } from "../reference/rmsNorm.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface RmsNormCase extends OpCase {
  readonly T: number;
  /** Heads, for x of rank 3. */
  readonly H?: number;
  readonly D: number;
  readonly dtype: FloatDType;
  readonly outDtype?: FloatDType;
  readonly eps?: number;
  readonly weightOffset?: number;
  readonly residual?: boolean;
  readonly gate?: boolean;
  /** A weight for each head. */
  readonly headWeights?: boolean;
  /** x, residual and out are views into wider rows. */
  readonly strided?: boolean;
  readonly inPlace?: boolean;
  /** Exponents of the values: huge and tiny magnitudes. */
  readonly exponents?: readonly [number, number];
}

const small = { T: 3, D: 64, dtype: "f32" } as const;
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly RmsNormCase[] = [
  { name: "smallest", ...small, T: 1, D: 1 },
  { name: "no rows", ...small, T: 0 },
  { name: "no columns", ...small, D: 0 },
  ...tails.map((D) => ({ name: `${D} columns`, ...small, D, residual: true })),
  { name: "bf16", ...small, D: 100, dtype: "bf16" },
  { name: "f16", ...small, D: 100, dtype: "f16" },
  { name: "f32 to bf16 with a residual", ...small, D: 100, outDtype: "bf16", residual: true },
  { name: "bf16 to f32 with a residual", ...small, dtype: "bf16", outDtype: "f32", residual: true },
  { name: "f16 to bf16", ...small, D: 19, dtype: "f16", outDtype: "bf16" },
  { name: "weights stored minus 1", ...small, weightOffset: 1 },
  ...tails.map((D) => ({ name: `${D} columns, gated`, ...small, D, gate: true })),
  { name: "gated, bf16", ...small, D: 100, dtype: "bf16", gate: true },
  {
    name: "gated, f16 to f32, with a residual",
    ...small,
    dtype: "f16",
    outDtype: "f32",
    residual: true,
    gate: true,
  },
  { name: "gated groups", ...small, H: 4, D: 48, dtype: "bf16", gate: true, headWeights: true },
  { name: "gated, strided groups", ...small, H: 3, D: 37, strided: true, gate: true, headWeights: true },
  { name: "gated, in place", ...small, D: 65, dtype: "bf16", gate: true, inPlace: true },
  { name: "gated, one long row", ...small, T: 1, D: 20000, gate: true },
  {
    name: "gated, long misaligned groups",
    ...small,
    T: 2,
    H: 2,
    D: 5001,
    residual: true,
    gate: true,
    strided: true,
    headWeights: true,
  },
  { name: "weights of heads", ...small, T: 5, H: 4, D: 32, headWeights: true },
  { name: "heads", ...small, H: 4, D: 48, dtype: "bf16" },
  { name: "heads of a fused row, in place", ...small, H: 4, D: 48, strided: true, inPlace: true },
  { name: "strided rows", ...small, D: 37, strided: true, residual: true },
  { name: "strided rows, bf16", ...small, D: 37, dtype: "bf16", strided: true },
  { name: "in place", ...small, D: 65, dtype: "bf16", inPlace: true },
  { name: "many rows over the threads", ...small, T: 301, D: 257, dtype: "bf16", residual: true },
  { name: "one long row", ...small, T: 1, D: 20000 },
  { name: "long misaligned rows", ...small, T: 2, D: 5001, residual: true, strided: true },
  { name: "huge and tiny", ...small, exponents: [-60, 60] },
  { name: "tiny, where eps decides", ...small, exponents: [-60, -30] },
  { name: "large eps", ...small, eps: 0.5 },
];

describeOp("rmsNorm", cases, async (context, c) => {
  const { T, H, D, dtype, outDtype = dtype, eps = 1e-6, weightOffset = 0 } = c;
  const random = new Random(3);
  const shape = H === undefined ? [T, D] : [T, H, D];
  const rows = T * (H ?? 1);
  const values = (as: FloatDType) =>
    c.exponents ? random.magnitudes(rows * D, ...c.exponents, as) : random.normal(rows * D, { dtype: as });
  const place = (as: FloatDType, data: Float64Array) =>
    c.strided
      ? context.stridedRows(as, shape, data, { before: 3, after: 5 })
      : context.tensor(as, shape, data);

  const [x, weight, added] = [values(dtype), random.normal(c.headWeights ? H! * D : D), values("f32")];
  const gate = c.gate ? random.normal(rows * D, { dtype, std: 3 }) : undefined;
  const weightShape = c.headWeights ? [H!, D] : [D];
  const xTensor = place(dtype, x);
  const residual = c.residual ? place("f32", added) : undefined;
  const out = rmsNorm(context.stream, xTensor, context.tensor("f32", weightShape, weight), {
    eps,
    weightOffset,
    dtype: outDtype,
    ...(gate && { gate: place(dtype, gate) }),
    ...(residual && { residual }),
    ...(c.inPlace && { out: xTensor }),
    ...(c.strided && !c.inPlace && { out: place(outDtype, new Float64Array(rows * D)) }),
  });

  const options = {
    ...{ eps, weightOffset },
    ...(gate && { gate }),
    ...(c.residual && { residual: added }),
  };
  const expected = reference(x, weight, { T: rows, D }, options);
  expect(out.shape).toEqual(shape);
  expect(out.dtype).toBe(outDtype);
  expectClose(await context.read(out), expected.out, { dtype: outDtype, shape, reduction: D });
  if (!residual) return;
  expectClose(await context.read(residual), expected.residual, { dtype: "f32", shape, label: "residual" });
});

describeOp(
  "rmsNorm: some heads of a fused row",
  [{ name: "bf16, heads 1 to 3 of 5, in place" }],
  async (context) => {
    const [T, H, D] = [7, 5, 64];
    const [x, weight] = [new Random(6).normal(T * H * D, { dtype: "bf16" }), new Random(7).normal(D)];
    const whole = context.tensor("bf16", [T, H, D], x);
    const heads = whole.slice(1, 1, 4); // neither its tokens nor its heads follow one another without a gap
    rmsNorm(context.stream, heads, context.tensor("f32", [D], weight), { eps: 1e-6, out: heads });
    const normed = reference(x, weight, { T: T * H, D }, { eps: 1e-6, weightOffset: 0 }).out;
    const isNormed = (i: number): boolean => [1, 2, 3].includes(Math.floor(i / D) % H);
    const expected = normed.map((value, i) => (isNormed(i) ? value : x[i]!));
    expectClose(await context.read(whole), expected, { dtype: "bf16", shape: [T, H, D], reduction: D });
  },
);

describeOp(
  "rmsNorm: a row does not depend on the others",
  [{ name: "bf16, 45 columns" }],
  async (context) => {
    const [T, D] = [40, 45];
    const x = new Random(4).normal(T * D, { dtype: "bf16" });
    const weight = context.tensor("f32", [D], new Random(5).normal(D));
    const together = await context.read(rmsNorm(context.stream, context.tensor("bf16", [T, D], x), weight));
    const row = x.subarray(7 * D, 8 * D);
    const alone = await context.read(rmsNorm(context.stream, context.tensor("bf16", [1, D], row), weight));
    expectSame(alone, together.subarray(7 * D, 8 * D), { shape: [D] });
  },
);

describe("rmsNorm: bad arguments", () => {
  const device = openTestDevice();
  const x = device.empty("f32", [3, 8]);
  const weight = device.empty("f32", [8]);

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    expect(() => rmsNorm(stream, x, device.empty("f32", [9]))).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: "rmsNorm: weight: expected [D=8] (D from x axis 1), got [9]",
      }),
    );
    expect(() => rmsNorm(stream, device.empty("i32", [3, 8]), weight)).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_TYPE", message: expect.stringMatching(/^rmsNorm: x: /) }),
    );
    expect(() => rmsNorm(stream, x, device.empty("bf16", [8]))).toThrow(/weight: expected dtype f32/);
    expect(() => rmsNorm(stream, x, weight, { residual: device.empty("f32", [2, 8]) })).toThrow(/residual: /);
    expect(() => rmsNorm(stream, x, weight, { gate: device.empty("f32", [2, 8]) })).toThrow(/gate: /);
    expect(() => rmsNorm(stream, x, weight, { gate: device.empty("bf16", [3, 8]) })).toThrow(
      /gate: expected dtype f32 .from x., got bf16/,
    );
    expect(() => rmsNorm(stream, x, device.empty("f32", [3, 8]))).toThrow(/weight: expected .D=8/);
    expect(() => rmsNorm(stream, x, weight, { out: device.empty("f32", [3, 7]) })).toThrow(/out: /);
    expect(() => rmsNorm(stream, x, weight, { eps: 0 })).toThrow(/eps: expected a positive number, got 0/);
  });
});
