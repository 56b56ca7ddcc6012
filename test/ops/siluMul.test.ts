// Contract: siluMul matches its reference for every gate from deep saturation to huge, in every dtype and width, clamped or not.
import { describe, expect, test } from "vitest";
import { siluMul, type SwigluClamp } from "../../lib/ops/siluMul.js";
import { siluMul as reference } from "../reference/siluMul.js";
import { expectClose } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface SiluMulCase extends OpCase {
  readonly T: number;
  readonly F: number;
  readonly dtype: FloatDType;
  readonly outDtype?: FloatDType;
  /** x and out are views into wider rows. */
  readonly strided?: boolean;
  readonly std?: number;
  readonly clamp?: SwigluClamp;
  /** Exponents of the values: huge and tiny magnitudes. */
  readonly exponents?: readonly [number, number];
}

const small = { T: 3, F: 64, dtype: "f32" } as const;
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const clamp = { limit: 1.5, alpha: 1.702 };
const cases: readonly SiluMulCase[] = [
  { name: "smallest", ...small, T: 1, F: 1 },
  { name: "no rows", ...small, T: 0 },
  { name: "no columns", ...small, F: 0 },
  ...tails.map((F) => ({ name: `${F} columns`, ...small, F })),
  { name: "bf16", ...small, F: 100, dtype: "bf16" },
  { name: "f16", ...small, F: 100, dtype: "f16" },
  { name: "f32 to bf16", ...small, F: 100, outDtype: "bf16" },
  { name: "bf16 to f32", ...small, F: 100, dtype: "bf16", outDtype: "f32" },
  { name: "strided rows", ...small, F: 37, strided: true },
  { name: "strided rows, bf16", ...small, F: 37, dtype: "bf16", strided: true },
  { name: "many rows over the threads", ...small, T: 301, F: 257, dtype: "bf16" },
  { name: "one row cut into pieces", ...small, T: 1, F: 20003 },
  { name: "saturated gates", ...small, F: 500, std: 40 },
  { name: "huge and tiny", ...small, F: 500, exponents: [-60, 60] },
  { name: "clamped, smallest", ...small, T: 1, F: 1, clamp },
  ...[31, 100].map((F) => ({ name: `clamped, ${F} columns`, ...small, F, clamp })),
  { name: "clamped, as gpt-oss", ...small, F: 500, std: 6, clamp: { limit: 7, alpha: 1.702 } },
  { name: "clamped, bf16", ...small, F: 100, dtype: "bf16", clamp },
  { name: "clamped, f16 to f32", ...small, F: 100, dtype: "f16", outDtype: "f32", clamp },
  { name: "clamped, strided rows", ...small, F: 37, strided: true, clamp },
  { name: "clamped, huge and tiny", ...small, F: 500, exponents: [-60, 60], clamp },
];

describeOp("siluMul", cases, async (context, c) => {
  const { T, F, dtype, outDtype = dtype, std = 1 } = c;
  const random = new Random(9);
  const x = c.exponents
    ? random.magnitudes(T * 2 * F, ...c.exponents, dtype)
    : random.normal(T * 2 * F, { dtype, std });
  const place = (as: FloatDType, width: number, data: Float64Array) =>
    c.strided
      ? context.stridedRows(as, [T, width], data, { before: 3, after: 5 })
      : context.tensor(as, [T, width], data);

  const out = siluMul(context.stream, place(dtype, 2 * F, x), {
    dtype: outDtype,
    clamp: c.clamp,
    ...(c.strided && { out: place(outDtype, F, new Float64Array(T * F)) }),
  });
  expect(out.shape).toEqual([T, F]);
  expect(out.dtype).toBe(outDtype);
  expectClose(await context.read(out), reference(x, { T, F }, { clamp: c.clamp }), {
    dtype: outDtype,
    shape: [T, F],
  });
});

describe("siluMul: bad arguments", () => {
  const device = openTestDevice();

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    const x = device.empty("f32", [3, 8]);
    expect(() => siluMul(stream, device.empty("f32", [3, 7]))).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: expect.stringMatching(/^siluMul: x: .*2F/),
      }),
    );
    expect(() => siluMul(stream, x, { out: device.empty("f32", [3, 8]) })).toThrow(/^siluMul: x: .*2F/);
    expect(() => siluMul(stream, x, { out: device.empty("f32", [2, 4]) })).toThrow(/^siluMul: out: /);
    expect(() => siluMul(stream, device.empty("i32", [3, 8]))).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_TYPE", message: expect.stringMatching(/^siluMul: x: /) }),
    );
    const clamped = (limit: number, alpha: number) => () => siluMul(stream, x, { clamp: { limit, alpha } });
    expect(clamped(0, 1)).toThrow("siluMul: clamp.limit: expected a positive number, got 0");
    expect(clamped(Infinity, 1)).toThrow(/^siluMul: clamp.limit: expected a positive number/);
    expect(clamped(7, NaN)).toThrow(/^siluMul: clamp.alpha: expected a positive number/);
  });

  test("NaN is not clamped away", async () => {
    const stream = device.createStream();
    const x = stream.fromArray("f32", [3, 2], Float32Array.of(NaN, 1, 1, NaN, NaN, NaN));
    const out = await siluMul(stream, x, { clamp }).readFloat32(stream);
    expect([...out]).toEqual([NaN, NaN, NaN]);
  });
});
