// Contract: gelu matches its reference with both formulas over the whole range of x, where each element stands alone.
import { describe, expect, test } from "vitest";
import { gelu, type GeluApproximation } from "../../lib/ops/gelu.js";
import { gelu as reference } from "../reference/gelu.js";
import { expectClose } from "../support/compare.js";
import { describeOp, openTestDevice } from "../support/devices.js";
import { type ElementCase, elementOperands } from "../support/elementOperands.js";

interface GeluCase extends ElementCase {
  readonly approximate: GeluApproximation;
}

const erf = { approximate: "none", shape: [3, 64], dtype: "f32" } as const;
const tanh = { ...erf, approximate: "tanh" } as const;
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly GeluCase[] = [
  { name: "smallest, erf", ...erf, shape: [1] },
  { name: "smallest, tanh", ...tanh, shape: [1] },
  { name: "a scalar", ...tanh, shape: [] },
  { name: "no rows", ...tanh, shape: [0, 5] },
  { name: "no columns", ...tanh, shape: [5, 0] },
  ...tails.map((D) => ({ name: `${D} columns`, ...(D % 2 === 0 ? erf : tanh), shape: [3, D] })),
  { name: "rank 4", ...erf, shape: [2, 3, 4, 16] },
  { name: "erf, bf16", ...erf, dtype: "bf16" },
  { name: "tanh, bf16", ...tanh, dtype: "bf16" },
  { name: "tanh, f16", ...tanh, dtype: "f16" },
  { name: "tanh, f32 to bf16", ...tanh, outDtype: "bf16" },
  { name: "erf, f16 to f32", ...erf, dtype: "f16", outDtype: "f32" },
  { name: "strided rows", ...tanh, shape: [3, 37], strided: true },
  { name: "strided rows of rank 3, bf16", ...erf, shape: [3, 2, 32], dtype: "bf16", strided: true },
  { name: "in place", ...tanh, shape: [3, 37], inPlace: true },
  { name: "many rows over the threads", ...tanh, shape: [301, 257], dtype: "bf16" },
  { name: "each element alone, erf", ...erf, shape: [2001, 1], range: [-5, 5] },
  { name: "each element alone, tanh", ...tanh, shape: [2001, 1], range: [-4, 5] },
  { name: "the far tails, erf", ...erf, shape: [2001], range: [-40, 40] },
  { name: "the far tails, tanh", ...tanh, shape: [2001], range: [-40, 40] },
  { name: "huge and tiny, erf", ...erf, exponents: [-60, 126] },
  { name: "huge and tiny, tanh", ...tanh, exponents: [-60, 126] },
];

describeOp("gelu", cases, async (context, c) => {
  const { approximate, shape, dtype, outDtype = dtype } = c;
  const { x, xTensor, options } = elementOperands(context, c);
  const out = gelu(context.stream, xTensor, { approximate, ...options });
  expect(out.shape).toEqual(shape);
  expect(out.dtype).toBe(outDtype);
  expectClose(await context.read(out), reference(x, { approximate }), { dtype: outDtype, shape });
});

describe("gelu: bad arguments", () => {
  const device = openTestDevice();

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    const x = device.empty("f32", [3, 8]);
    expect(() => gelu(stream, device.empty("i32", [3, 8]), { approximate: "tanh" })).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_TYPE", message: expect.stringMatching(/^gelu: x: /) }),
    );
    expect(() => gelu(stream, x, { approximate: "none", out: device.empty("f32", [8, 3]) })).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: "gelu: out: expected [3, 8] (the shape of x), got [8, 3]",
      }),
    );
    expect(() => gelu(stream, x, { approximate: "erf" as GeluApproximation })).toThrow(
      /^gelu: approximate: expected "none" or "tanh"/,
    );
  });
});
