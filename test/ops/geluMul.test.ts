// Contract: geluMul matches its reference with both formulas, in every dtype and width.
import { describe, expect, test } from "vitest";
import { type GeluApproximation } from "../../lib/ops/gelu.js";
import { geluMul } from "../../lib/ops/geluMul.js";
import { geluMul as reference } from "../reference/geluMul.js";
import { expectClose } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface GeluMulCase extends OpCase {
  readonly approximate: GeluApproximation;
  readonly T: number;
  readonly F: number;
  readonly dtype: FloatDType;
  readonly outDtype?: FloatDType;
  /** x and out are views into wider rows. */
  readonly strided?: boolean;
  readonly std?: number;
  /** Exponents of the values: huge and tiny magnitudes. */
  readonly exponents?: readonly [number, number];
}

const erf = { approximate: "none", T: 3, F: 64, dtype: "f32" } as const;
const tanh = { ...erf, approximate: "tanh" } as const;
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly GeluMulCase[] = [
  { name: "smallest, erf", ...erf, T: 1, F: 1 },
  { name: "smallest, tanh", ...tanh, T: 1, F: 1 },
  { name: "no rows", ...tanh, T: 0 },
  { name: "no columns", ...tanh, F: 0 },
  ...tails.map((F) => ({ name: `${F} columns`, ...(F % 2 === 0 ? erf : tanh), F })),
  { name: "erf, bf16", ...erf, F: 100, dtype: "bf16" },
  { name: "tanh, bf16", ...tanh, F: 100, dtype: "bf16" },
  { name: "tanh, f16", ...tanh, F: 100, dtype: "f16" },
  { name: "tanh, f32 to bf16", ...tanh, F: 100, outDtype: "bf16" },
  { name: "erf, f16 to f32", ...erf, F: 100, dtype: "f16", outDtype: "f32" },
  { name: "strided rows", ...tanh, F: 37, strided: true },
  { name: "strided rows, bf16", ...erf, F: 37, dtype: "bf16", strided: true },
  { name: "many rows over the threads", ...tanh, T: 301, F: 257, dtype: "bf16" },
  { name: "one row cut into pieces", ...tanh, T: 1, F: 20003 },
  { name: "wide gates, erf", ...erf, F: 500, std: 10 },
  { name: "wide gates, tanh", ...tanh, F: 500, std: 10 },
  { name: "huge and tiny, erf", ...erf, F: 500, exponents: [-60, 60] },
  { name: "huge and tiny, tanh", ...tanh, F: 500, exponents: [-60, 60] },
];

describeOp("geluMul", cases, async (context, c) => {
  const { approximate, T, F, dtype, outDtype = dtype, std = 1 } = c;
  const random = new Random(10);
  const x = c.exponents
    ? random.magnitudes(T * 2 * F, ...c.exponents, dtype)
    : random.normal(T * 2 * F, { dtype, std });
  const place = (as: FloatDType, width: number, data: Float64Array) =>
    c.strided
      ? context.stridedRows(as, [T, width], data, { before: 3, after: 5 })
      : context.tensor(as, [T, width], data);

  const out = geluMul(context.stream, place(dtype, 2 * F, x), {
    approximate,
    dtype: outDtype,
    ...(c.strided && { out: place(outDtype, F, new Float64Array(T * F)) }),
  });
  expect(out.shape).toEqual([T, F]);
  expect(out.dtype).toBe(outDtype);
  expectClose(await context.read(out), reference(x, { T, F }, { approximate }), {
    dtype: outDtype,
    shape: [T, F],
  });
});

describe("geluMul: bad arguments", () => {
  const device = openTestDevice();

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    const x = device.empty("f32", [3, 8]);
    expect(() => geluMul(stream, device.empty("f32", [3, 7]), { approximate: "tanh" })).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: expect.stringMatching(/^geluMul: x: .*2F/),
      }),
    );
    expect(() => geluMul(stream, device.empty("i32", [3, 8]), { approximate: "tanh" })).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_TYPE", message: expect.stringMatching(/^geluMul: x: /) }),
    );
    expect(() => geluMul(stream, x, { approximate: "none", out: device.empty("f32", [2, 4]) })).toThrow(
      /out: /,
    );
    expect(() => geluMul(stream, x, { approximate: "erf" as GeluApproximation })).toThrow(
      /^geluMul: approximate: expected "none" or "tanh"/,
    );
  });
});
