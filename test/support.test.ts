// Contract: the test tools themselves: dtype conversions round as IEEE 754 says, and comparisons accept rounding and nothing else.
import { describe, expect, test, vi } from "vitest";
import { cast } from "./reference/cast.js";
import { f64 } from "./support/arrays.js";
import { cosineDistance, expectClose, expectSame, normalizedError } from "./support/compare.js";
import { fromStorage, roundValue, toStorage } from "./support/dtype.js";
import { Random } from "./support/random.js";
import { isPicked } from "./support/seed.js";

const random = new Random(7);

test("a part of the cases is picked by the seed and the name: about its share of them", () => {
  vi.stubEnv("WARPLOOP_TEST_WHOLE", undefined);
  const names = Array.from({ length: 3000 }, (_, i) => `case ${i}`);
  const picked = names.filter((name) => isPicked(name, 1 / 3));
  expect(Math.abs(picked.length - 1000)).toBeLessThan(130); // five standard deviations
  expect(names.filter((name) => isPicked(name, 1 / 3))).toEqual(picked);
  vi.stubEnv("WARPLOOP_TEST_WHOLE", "cases");
  expect(names.every((name) => isPicked(name, 1 / 3))).toBe(true);
  vi.unstubAllEnvs();
});

describe("dtype conversions", () => {
  test.each([
    { dtype: "bf16", value: 1 + 2 ** -8, rounded: 1 }, // tie, to even
    { dtype: "bf16", value: 1 + 3 * 2 ** -8, rounded: 1 + 2 ** -6 },
    { dtype: "bf16", value: 1 + 2 ** -8 + 2 ** -40, rounded: 1 + 2 ** -7 }, // float32 first would round it to the tie
    { dtype: "bf16", value: 3.4e38, rounded: Infinity },
    { dtype: "bf16", value: 2 ** -134, rounded: 0 },
    { dtype: "f16", value: 65519.99, rounded: 65504 },
    { dtype: "f16", value: 65520, rounded: Infinity },
    { dtype: "f16", value: -(2 ** -24), rounded: -(2 ** -24) }, // the smallest subnormal
    { dtype: "f16", value: 2 ** -25, rounded: 0 },
    { dtype: "f16", value: 1.5 * 2 ** -24, rounded: 2 ** -23 },
    { dtype: "f16", value: 2049, rounded: 2048 },
    { dtype: "f32", value: 1e-46, rounded: 0 },
  ] as const)("$dtype: $value rounds to $rounded", ({ dtype, value, rounded }) => {
    expect(roundValue(dtype, value)).toBe(rounded);
    expect(cast(f64(-value), dtype)).toEqual(f64(-rounded));
  });

  test.each(["bf16", "f16"] as const)("all 65536 bit patterns of %s survive the round trip", (dtype) => {
    const values = fromStorage(
      dtype,
      Uint16Array.from({ length: 65536 }, (_, bits) => bits),
    );
    const numbers = values.filter((value) => !Number.isNaN(value));
    expect(numbers.length).toBe(dtype === "bf16" ? 65536 - 2 * 127 : 65536 - 2 * 1023);
    expectSame(fromStorage(dtype, toStorage(dtype, numbers)), numbers, { shape: [numbers.length] });
    expect([...fromStorage(dtype, toStorage(dtype, f64(NaN)))]).toEqual([NaN]);
  });

  test("f32 agrees with Math.fround", () => {
    const values = random.magnitudes(2000, -160, 130).map((value) => value * (1 + random.uniform() * 1e-7));
    expectSame(cast(values, "f32"), values.map(Math.fround), { shape: [2000] });
  });

  test.each([
    { dtype: "f16", bits: 0x3c00, value: 1 },
    { dtype: "f16", bits: 0xfbff, value: -65504 },
    { dtype: "f16", bits: 0x3555, value: 0.333251953125 },
    { dtype: "bf16", bits: 0x3f80, value: 1 },
    { dtype: "bf16", bits: 0x4049, value: 3.140625 },
  ] as const)("$dtype $value is stored as $bits", ({ dtype, bits, value }) => {
    expect([...toStorage(dtype, f64(value))]).toEqual([bits]);
  });
});

describe("expectClose", () => {
  const options = { dtype: "f32", shape: [2, 3] } as const;
  const expected = f64(1, 2, 3, 4, 5, 6);

  test("accepts rounding and names the worst position", () => {
    expectClose(
      expected.map((value) => value * (1 + 2 ** -24)),
      expected,
      options,
    );
    const wrong = f64(1, 2, 3.001, 4, 5, 7);
    expect(() => expectClose(wrong, expected, options)).toThrow(
      /2 of 6 .* worst at \[1, 2\]: got 7, expected 6/,
    );
  });

  test("compares infinities and NaN as masks", () => {
    expectClose([Infinity, NaN, -Infinity], f64(Infinity, NaN, -Infinity), { dtype: "f32", shape: [3] });
    expectClose([Infinity], f64(1e6), { dtype: "f16", shape: [1] });
    expect(() => expectClose([1, NaN], f64(1, 2), { dtype: "f32", shape: [2] })).toThrow(
      /first at \[1\]: got NaN, expected 2/,
    );
    expect(() => expectClose([Infinity], f64(-Infinity), { dtype: "f32", shape: [1] })).toThrow(
      /infinities or NaN differ/,
    );
  });

  test("bf16 allows half an ulp and not two", () => {
    expectClose([1 + 2 ** -8], f64(1), { dtype: "bf16", shape: [1] });
    expect(() => expectClose([1 + 2 ** -6], f64(1), { dtype: "bf16", shape: [1] })).toThrow();
  });

  test("expectSame tells 0 from -0; error measures are 0 for equal vectors", () => {
    expect(() => expectSame([-0], [0], { shape: [1] })).toThrow(/got -0, expected 0/);
    expect(normalizedError(expected, expected)).toBe(0);
    expect(
      cosineDistance(
        expected.map((value) => 2 * value),
        expected,
      ),
    ).toBeCloseTo(0, 12);
    expect(cosineDistance([1, 0], [0, 1])).toBe(1);
  });
});
