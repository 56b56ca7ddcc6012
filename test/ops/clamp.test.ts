// Contract: clamp matches its reference from values that it leaves as they are to those far beyond the limit.
import { describe, expect, test } from "vitest";
import { clamp } from "../../lib/ops/clamp.js";
import { clamp as reference } from "../reference/clamp.js";
import { expectClose } from "../support/compare.js";
import { describeOp, openTestDevice } from "../support/devices.js";
import { type ElementCase, elementOperands } from "../support/elementOperands.js";

interface ClampCase extends ElementCase {
  readonly limit: number;
}

const base = { limit: 1.5, shape: [3, 64], dtype: "f32" } as const;
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly ClampCase[] = [
  { name: "smallest", ...base, shape: [1] },
  { name: "a scalar", ...base, shape: [] },
  { name: "no rows", ...base, shape: [0, 5] },
  { name: "no columns", ...base, shape: [5, 0] },
  ...tails.map((D) => ({ name: `${D} columns`, ...base, shape: [3, D] })),
  { name: "rank 4", ...base, shape: [2, 3, 4, 16] },
  { name: "bf16", ...base, dtype: "bf16" },
  { name: "f16", ...base, dtype: "f16" },
  { name: "f32 to bf16", ...base, outDtype: "bf16" },
  { name: "f16 to f32", ...base, dtype: "f16", outDtype: "f32" },
  { name: "a limit far beyond the values", ...base, limit: 1e6 },
  { name: "a limit far below the values", ...base, limit: 2 ** -8 },
  { name: "strided rows", ...base, shape: [3, 37], strided: true },
  { name: "strided rows of rank 3, bf16", ...base, shape: [3, 2, 32], dtype: "bf16", strided: true },
  { name: "in place", ...base, shape: [3, 37], inPlace: true },
  { name: "many rows over the threads", ...base, shape: [301, 257], dtype: "bf16" },
  { name: "each element alone", ...base, limit: 30, shape: [2001, 1], range: [-90, 90] },
  { name: "each element alone, near 0", ...base, limit: 30, shape: [2001, 1], range: [-0.01, 0.01] },
  { name: "the far tails", ...base, shape: [2001], range: [-400, 400] },
  { name: "huge and tiny", ...base, exponents: [-60, 126] },
];

describeOp("clamp", cases, async (context, c) => {
  const { limit, shape, dtype, outDtype = dtype } = c;
  const { x, xTensor, options } = elementOperands(context, c);
  const out = clamp(context.stream, xTensor, { limit, ...options });
  expect(out.shape).toEqual(shape);
  expect(out.dtype).toBe(outDtype);
  expectClose(await context.read(out), reference(x, { limit }), { dtype: outDtype, shape });
});

describe("clamp: bad arguments", () => {
  const device = openTestDevice();

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    const x = device.empty("f32", [3, 8]);
    expect(() => clamp(stream, device.empty("i32", [3, 8]), { limit: 1 })).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_TYPE", message: expect.stringMatching(/^clamp: x: /) }),
    );
    expect(() => clamp(stream, x, { limit: 1, out: device.empty("f32", [8, 3]) })).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: "clamp: out: expected [3, 8] (the shape of x), got [8, 3]",
      }),
    );
    for (const limit of [0, -1, 1e-60]) {
      expect(() => clamp(stream, x, { limit })).toThrow(/^clamp: limit: expected a positive number/);
    }
  });

  test("NaN is not clamped away", async () => {
    const stream = device.createStream();
    const out = clamp(stream, stream.fromArray("f32", [3], Float32Array.of(NaN, -9, Infinity)), { limit: 2 });
    expect([...(await out.readFloat32(stream))]).toEqual([NaN, -2, 2]);
  });
});
