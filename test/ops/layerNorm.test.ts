// Contract: layerNorm matches its reference, also where the mean is far larger than the deviation.
import { describe, expect, test } from "vitest";
import { layerNorm } from "../../lib/ops/layerNorm.js";
import { layerNorm as reference } from "../reference/layerNorm.js";
import { expectClose } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { roundTo, type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface LayerNormCase extends OpCase {
  readonly T: number;
  readonly D: number;
  readonly dtype: FloatDType;
  readonly outDtype?: FloatDType;
  readonly eps?: number;
  readonly noBias?: boolean;
  /** x and out are views into wider rows. */
  readonly strided?: boolean;
  readonly inPlace?: boolean;
  /** Added to every x. */
  readonly offset?: number;
  /** Exponents of the values: huge and tiny magnitudes. */
  readonly exponents?: readonly [number, number];
}

const small = { T: 3, D: 64, dtype: "f32" } as const;
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly LayerNormCase[] = [
  { name: "smallest: the deviation is 0", ...small, T: 1, D: 1 },
  { name: "no rows", ...small, T: 0 },
  { name: "no columns", ...small, D: 0 },
  ...tails.map((D) => ({ name: `${D} columns`, ...small, D })),
  { name: "no bias", ...small, D: 50, noBias: true },
  { name: "bf16", ...small, D: 100, dtype: "bf16" },
  { name: "f16", ...small, D: 100, dtype: "f16" },
  { name: "f32 to bf16", ...small, D: 100, outDtype: "bf16" },
  { name: "bf16 to f32", ...small, dtype: "bf16", outDtype: "f32" },
  { name: "strided rows", ...small, D: 37, strided: true },
  { name: "strided rows, bf16 in place", ...small, D: 37, dtype: "bf16", strided: true, inPlace: true },
  { name: "in place", ...small, D: 65, inPlace: true },
  { name: "many rows over the threads", ...small, T: 301, D: 257, dtype: "bf16" },
  { name: "one long row", ...small, T: 1, D: 20000 },
  { name: "long misaligned rows", ...small, T: 2, D: 5001, strided: true },
  { name: "mean 1000 times the deviation", ...small, D: 768, offset: 1000 },
  { name: "huge and tiny", ...small, exponents: [-60, 60] },
  { name: "tiny, where eps decides", ...small, exponents: [-60, -30] },
  { name: "large eps", ...small, eps: 0.5 },
];

describeOp("layerNorm", cases, async (context, c) => {
  const { T, D, dtype, outDtype = dtype, eps = 1e-5, offset = 0 } = c;
  const random = new Random(6);
  const drawn = c.exponents ? random.magnitudes(T * D, ...c.exponents, dtype) : random.normal(T * D);
  const x = roundTo(
    dtype,
    drawn.map((value) => value + offset),
  );
  const [weight, bias] = [random.normal(D), random.normal(D)];
  const place = (as: FloatDType, data: Float64Array) =>
    c.strided
      ? context.stridedRows(as, [T, D], data, { before: 3, after: 5 })
      : context.tensor(as, [T, D], data);

  const xTensor = place(dtype, x);
  const biasTensor = c.noBias ? null : context.tensor("f32", [D], bias);
  const out = layerNorm(context.stream, xTensor, context.tensor("f32", [D], weight), biasTensor, {
    eps,
    dtype: outDtype,
    ...(c.inPlace && { out: xTensor }),
    ...(c.strided && !c.inPlace && { out: place(outDtype, new Float64Array(T * D)) }),
  });

  expect(out.shape).toEqual([T, D]);
  expect(out.dtype).toBe(outDtype);
  const expected = reference(x, weight, c.noBias ? null : bias, { T, D }, { eps });
  expectClose(await context.read(out), expected, { dtype: outDtype, shape: [T, D], reduction: D });
});

describe("layerNorm: bad arguments", () => {
  const device = openTestDevice();
  const x = device.empty("f32", [3, 8]);
  const weight = device.empty("f32", [8]);

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    expect(() => layerNorm(stream, x, weight, device.empty("f32", [9]))).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: "layerNorm: bias: expected [D=8] (D from x axis 1), got [9]",
      }),
    );
    expect(() => layerNorm(stream, device.empty("u8", [3, 8]), weight, null)).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_TYPE",
        message: expect.stringMatching(/^layerNorm: x: /),
      }),
    );
    expect(() => layerNorm(stream, x, device.empty("f32", [7]), null)).toThrow(/weight: /);
    expect(() => layerNorm(stream, x, weight, null, { out: device.empty("f32", [2, 8]) })).toThrow(/out: /);
    expect(() => layerNorm(stream, x, weight, null, { eps: -1 })).toThrow(/eps: expected a positive number/);
  });
});
