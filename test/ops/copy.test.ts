// Contract: copy moves the bits of every dtype between tensors of one shape, whatever the row strides of either.
import { describe, expect, test } from "vitest";
import { copy } from "../../lib/ops/copy.js";
import { copy as reference } from "../reference/copy.js";
import { expectSame } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { roundTo, type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface CopyCase extends OpCase {
  readonly shape: readonly number[];
  readonly dtype: FloatDType;
  /** Which of the two is a view into wider rows. */
  readonly strided?: "src" | "dst" | "both";
  /** Exponents of the values: huge, tiny and subnormal magnitudes. */
  readonly exponents?: readonly [number, number];
}

const small = { shape: [3, 64], dtype: "f32" } as const;
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly CopyCase[] = [
  { name: "smallest", ...small, shape: [1] },
  { name: "a scalar", ...small, shape: [] },
  { name: "no rows", ...small, shape: [0, 5] },
  { name: "no columns", ...small, shape: [5, 0] },
  ...tails.map((D) => ({ name: `${D} columns`, ...small, shape: [3, D], strided: "both" as const })),
  { name: "rank 4", ...small, shape: [2, 3, 4, 16] },
  { name: "bf16", ...small, dtype: "bf16" },
  { name: "f16 out of strided rows", ...small, dtype: "f16", strided: "src" },
  { name: "bf16 into strided rows of rank 3", ...small, shape: [3, 2, 32], dtype: "bf16", strided: "dst" },
  { name: "many rows over the threads", ...small, shape: [301, 257], strided: "src" },
  { name: "one long row cut into pieces", ...small, shape: [50003], dtype: "bf16" },
  { name: "huge, tiny and subnormal, bf16", ...small, dtype: "bf16", exponents: [-132, 127] },
  { name: "huge, tiny and subnormal, f16", ...small, dtype: "f16", exponents: [-23, 15] },
];

describeOp("copy", cases, async (context, c) => {
  const { shape, dtype, strided, exponents } = c;
  const count = shape.reduce((product, size) => product * size, 1);
  const random = new Random(14);
  const src = exponents ? random.magnitudes(count, ...exponents, dtype) : random.normal(count, { dtype });
  const place = (side: "src" | "dst", data: Float64Array) =>
    strided === side || strided === "both"
      ? context.stridedRows(dtype, shape, data, { before: 3, after: 5 })
      : context.tensor(dtype, shape, data);

  const dst = place("dst", new Float64Array(count));
  expect(copy(context.stream, place("src", src), dst)).toBe(dst);
  expectSame(await context.read(dst), reference(src), { shape });
});

describeOp(
  "copy: a block inside a larger tensor",
  [{ name: "rank 4, cut on every axis" }],
  async (context) => {
    const outer = [3, 5, 6, 32];
    const count = 3 * 5 * 6 * 32;
    const [from, before] = [new Random(18).normal(count), new Random(19).normal(count)];
    const [src, dst] = [context.tensor("f32", outer, from), context.tensor("f32", outer, before)];
    const cut = (whole: typeof src) => whole.slice(0, 1, 3).slice(1, 2, 5).slice(2, 1, 5).slice(3, 4, 24);
    copy(context.stream, cut(src), cut(dst));
    const isInside = (i: number): boolean => {
      const [a, b, c, d] = [Math.floor(i / 960), Math.floor(i / 192) % 5, Math.floor(i / 32) % 6, i % 32];
      return a >= 1 && b >= 2 && c >= 1 && c < 5 && d >= 4 && d < 24;
    };
    const expected = before.map((value, i) => (isInside(i) ? from[i]! : value));
    expectSame(await context.read(dst), roundTo("f32", expected), { shape: outer });
  },
);

describeOp("copy: every bit of bytes and words", [{ name: "256 patterns" }], async (context) => {
  const { stream } = context;
  const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
  for (const dtype of ["u8", "i8", "fp8e4m3"] as const) {
    const data = dtype === "i8" ? new Int8Array(bytes.buffer) : bytes;
    const copied = copy(stream, stream.fromArray(dtype, [256], data), stream.empty(dtype, [256]));
    expect(await copied.read(stream)).toEqual(data);
  }
  // Signalling NaN of f32: a copy through float arithmetic would make it quiet.
  const words = Int32Array.of(0x7f800001, -1, 0, -2147483648);
  for (const dtype of ["f32", "i32"] as const) {
    const data = dtype === "f32" ? new Float32Array(words.buffer) : words;
    const copied = copy(stream, stream.fromArray(dtype, [4], data), stream.empty(dtype, [4]));
    const { buffer } = await copied.read(stream);
    expect(new Int32Array(buffer)).toEqual(words);
  }
});

describe("copy: bad arguments", () => {
  const device = openTestDevice();

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    const src = device.empty("f32", [3, 8]);
    expect(() => copy(stream, src, device.empty("f32", [8, 3]))).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: "copy: dst: expected [3, 8] (the shape of src), got [8, 3]",
      }),
    );
    expect(() => copy(stream, src, device.empty("i32", [3, 8]))).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_TYPE", message: expect.stringMatching(/^copy: dst: /) }),
    );
    const packed = device.empty("i4", [3, 8]);
    expect(() => copy(stream, packed, packed)).toThrow(/^copy: src: expected dtype/);
  });
});
