// Contract: softcap matches its reference from values that it leaves as they are to those far beyond the cap.
import { describe, expect, test } from "vitest";
import { softcap } from "../../lib/ops/softcap.js";
import { softcap as reference } from "../reference/softcap.js";
import { expectClose } from "../support/compare.js";
import { describeOp, openTestDevice } from "../support/devices.js";
import { type ElementCase, elementOperands } from "../support/elementOperands.js";

interface SoftcapCase extends ElementCase {
  readonly cap: number;
}

const base = { cap: 1.5, shape: [3, 64], dtype: "f32" } as const;
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly SoftcapCase[] = [
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
  { name: "a cap far beyond the values", ...base, cap: 1e6 },
  { name: "a cap far below the values", ...base, cap: 1e-6 },
  { name: "strided rows", ...base, shape: [3, 37], strided: true },
  { name: "strided rows of rank 3, bf16", ...base, shape: [3, 2, 32], dtype: "bf16", strided: true },
  { name: "in place", ...base, shape: [3, 37], inPlace: true },
  { name: "many rows over the threads", ...base, shape: [301, 257], dtype: "bf16" },
  { name: "each element alone", ...base, cap: 30, shape: [2001, 1], range: [-90, 90] },
  { name: "each element alone, near 0", ...base, cap: 30, shape: [2001, 1], range: [-0.01, 0.01] },
  { name: "the far tails", ...base, shape: [2001], range: [-400, 400] },
  { name: "huge and tiny", ...base, exponents: [-60, 126] },
];

describeOp("softcap", cases, async (context, c) => {
  const { cap, shape, dtype, outDtype = dtype } = c;
  const { x, xTensor, options } = elementOperands(context, c);
  const out = softcap(context.stream, xTensor, { cap, ...options });
  expect(out.shape).toEqual(shape);
  expect(out.dtype).toBe(outDtype);
  expectClose(await context.read(out), reference(x, { cap }), { dtype: outDtype, shape });
});

describe("softcap: bad arguments", () => {
  const device = openTestDevice();

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    const x = device.empty("f32", [3, 8]);
    expect(() => softcap(stream, device.empty("i32", [3, 8]), { cap: 1 })).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_TYPE", message: expect.stringMatching(/^softcap: x: /) }),
    );
    expect(() => softcap(stream, x, { cap: 1, out: device.empty("f32", [8, 3]) })).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: "softcap: out: expected [3, 8] (the shape of x), got [8, 3]",
      }),
    );
    for (const cap of [0, -1, 1e-60]) {
      expect(() => softcap(stream, x, { cap })).toThrow(/^softcap: cap: expected a positive number/);
    }
  });
});
