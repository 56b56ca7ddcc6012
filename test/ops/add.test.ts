// Contract: add is one f32 addition per element, of b times a scale if there is one, rounded to the dtype of a, whatever the strides
// and aliases.
import { describe, expect, test } from "vitest";
import { add } from "../../lib/ops/add.js";
import { add as reference } from "../reference/add.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { roundTo, type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface AddCase extends OpCase {
  readonly shape: readonly number[];
  readonly a: FloatDType;
  readonly b: FloatDType;
  /** a and out are views into wider rows. */
  readonly strided?: boolean;
  readonly scale?: number;
  /** The tensor that is overwritten. */
  readonly into?: "a" | "b";
  /** Exponents of the values: huge and tiny magnitudes. */
  readonly exponents?: readonly [number, number];
}

const small = { shape: [3, 64], a: "f32", b: "f32" } as const;
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly AddCase[] = [
  { name: "smallest", ...small, shape: [1] },
  { name: "scalars", ...small, shape: [] },
  { name: "no rows", ...small, shape: [0, 5] },
  { name: "no columns", ...small, shape: [5, 0] },
  ...tails.map((D) => ({ name: `${D} columns`, ...small, shape: [3, D], b: "bf16" as const })),
  { name: "rank 4", ...small, shape: [2, 3, 4, 16] },
  { name: "bf16", ...small, a: "bf16", b: "bf16" },
  { name: "f16", ...small, a: "f16", b: "f16" },
  { name: "bf16 + f32", ...small, a: "bf16" },
  { name: "f32 + f16", ...small, b: "f16" },
  { name: "strided rows", ...small, shape: [3, 37], strided: true },
  { name: "strided rows of rank 3, bf16", ...small, shape: [3, 2, 32], a: "bf16", b: "bf16", strided: true },
  { name: "residual in place", ...small, b: "bf16", into: "a" },
  { name: "into b", ...small, into: "b" },
  { name: "many rows over the threads", ...small, shape: [301, 257], b: "bf16" },
  { name: "one long row cut into pieces", ...small, shape: [50003] },
  { name: "huge and tiny", ...small, exponents: [-120, 126] },
  ...[0.22, -3, 0].map((scale) => ({ name: `${scale} times b`, ...small, scale })),
  { name: "a scale, residual in place", ...small, b: "bf16", into: "a", scale: 0.5 },
  { name: "a scale, bf16", ...small, a: "bf16", b: "bf16", scale: 1.25 },
  { name: "a scale, strided rows", ...small, shape: [3, 37], b: "f16", strided: true, scale: 0.7 },
  { name: "a scale, one long row cut into pieces", ...small, shape: [50003], scale: -0.3 },
  { name: "huge and tiny, bf16", ...small, a: "bf16", b: "bf16", exponents: [-120, 126] },
];

describeOp("add", cases, async (context, c) => {
  const { shape, a: aType, b: bType, exponents, scale } = c;
  const count = shape.reduce((product, size) => product * size, 1);
  const random = new Random(13);
  const [a, b] = ([aType, bType] as const).map((dtype) =>
    exponents ? random.magnitudes(count, ...exponents, dtype) : random.normal(count, { dtype }),
  ) as [Float64Array, Float64Array];
  const place = (as: FloatDType, data: Float64Array) =>
    c.strided
      ? context.stridedRows(as, shape, data, { before: 3, after: 5 })
      : context.tensor(as, shape, data);

  const tensors = { a: place(aType, a), b: context.tensor(bType, shape, b) };
  const out = add(context.stream, tensors.a, tensors.b, {
    ...(scale !== undefined && { scale }),
    ...(c.into && { out: tensors[c.into] }),
    ...(c.strided && { out: place(aType, new Float64Array(count)) }),
  });
  expect(out.shape).toEqual(shape);
  expect(out.dtype).toBe(aType);
  const sum = reference(a, b, scale && Math.fround(scale));
  if (aType === "f32" && scale === undefined)
    expectSame(await context.read(out), roundTo("f32", sum), { shape });
  else
    expectClose(await context.read(out), sum, {
      dtype: aType,
      shape,
      ...(scale !== undefined && { ops: 2 }),
    });
});

describe("add: bad arguments", () => {
  const device = openTestDevice();

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    const a = device.empty("f32", [3, 8]);
    expect(() => add(stream, a, device.empty("f32", [8]))).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: "add: b: expected [3, 8] (the shape of a), got [8]",
      }),
    );
    expect(() => add(stream, a, a, { out: device.empty("bf16", [3, 8]) })).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_TYPE",
        message: "add: out: expected dtype f32 (from a), got bf16",
      }),
    );
    expect(() => add(stream, device.empty("i32", [3, 8]), a)).toThrow(/^add: a: expected dtype/);
    expect(() => add(stream, a, a, { out: device.empty("f32", [3, 9]) })).toThrow(/^add: out: /);
    expect(() => add(stream, a, a, { scale: NaN })).toThrow("add: scale: expected a finite number, got nan");
    expect(() => add(stream, a, a, { scale: 1e300 })).toThrow(
      "add: scale: expected a finite number, got inf",
    );
  });
});
