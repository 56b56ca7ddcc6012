// Contract: kvStore writes every token's keys and values to its slot and to nowhere else, converting to the page dtype.
import { describe, expect, test } from "vitest";
import { ExecutionError } from "../../lib/errors.js";
import { kvStore } from "../../lib/ops/kvStore.js";
import { kvStore as reference } from "../reference/kvStore.js";
import { expectSame } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { roundTo, type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface KvStoreCase extends OpCase {
  readonly T: number;
  readonly Hkv: number;
  readonly Dh: number;
  readonly Dv: number;
  readonly P: number;
  readonly Ps: number;
  readonly dtype: FloatDType;
  readonly pages: FloatDType;
  /** Every how many tokens one is skipped (slot -1). */
  readonly skipEvery?: number;
  /** k and v are views into wider rows. */
  readonly strided?: boolean;
  /** Exponents of the values: huge and tiny magnitudes. */
  readonly exponents?: readonly [number, number];
}

const small = { T: 5, Hkv: 2, Dh: 16, Dv: 16, P: 4, Ps: 4, dtype: "f32", pages: "f32" } as const;

const cases: readonly KvStoreCase[] = [
  { name: "smallest", ...small, T: 1, Hkv: 1, Dh: 1, Dv: 1, P: 1, Ps: 1 },
  { name: "no tokens", ...small, T: 0 },
  { name: "f32 to f32", ...small },
  { name: "bf16 to bf16, Dv differs", ...small, Dv: 24, dtype: "bf16", pages: "bf16" },
  { name: "f32 to bf16", ...small, Dh: 48, pages: "bf16" },
  { name: "bf16 to f32", ...small, dtype: "bf16" },
  { name: "f32 to f16", ...small, pages: "f16" },
  { name: "f16 to bf16", ...small, dtype: "f16", pages: "bf16" },
  { name: "tails below two vectors", ...small, Dh: 31, Dv: 17, pages: "bf16" },
  { name: "odd page size, many tokens", ...small, T: 300, P: 120, Ps: 3, Dh: 64, pages: "bf16" },
  { name: "far wider values than keys", ...small, T: 60, P: 15, Dh: 1, Dv: 64, pages: "bf16" },
  { name: "skipped tokens", ...small, T: 9, skipEvery: 2 },
  { name: "all tokens skipped", ...small, skipEvery: 1 },
  { name: "strided rows", ...small, dtype: "bf16", pages: "bf16", strided: true },
  { name: "strided rows, converted", ...small, Dh: 19, dtype: "f32", pages: "bf16", strided: true },
  { name: "huge and tiny", ...small, pages: "bf16", exponents: [-120, 120] },
];

describeOp("kvStore", cases, async (context, c) => {
  const { T, Hkv, Dh, Dv, P, Ps, dtype, pages, skipEvery = 0 } = c;
  const random = new Random(11);
  const values = (count: number, as: FloatDType) =>
    c.exponents ? random.magnitudes(count, ...c.exponents, as) : random.normal(count, { dtype: as });
  const slots = random
    .permutation(P * Ps)
    .subarray(0, T)
    .slice();
  if (skipEvery > 0) for (let t = 0; t < T; t += skipEvery) slots[t] = -1;

  const inputs = [Dh, Dv].map((width) => {
    const x = values(T * Hkv * width, dtype);
    const before = values(P * Ps * Hkv * width, pages);
    const shape = [T, Hkv, width];
    const tensor = c.strided
      ? context.stridedRows(dtype, shape, x, { before: 3, after: 5 })
      : context.tensor(dtype, shape, x);
    return { x, before, width, tensor, pages: context.tensor(pages, [P, Ps, Hkv, width], before) };
  });
  const [k, v] = inputs as [(typeof inputs)[0], (typeof inputs)[0]];
  kvStore(context.stream, k.tensor, v.tensor, k.pages, v.pages, context.integers([T], slots));

  for (const { x, before, width, pages: written } of inputs) {
    const expected = reference(roundTo(pages, x), before, slots, { P, Ps, Hkv, Dh: width });
    expectSame(await context.read(written), expected, { shape: [P, Ps, Hkv, width] });
  }
});

describe("kvStore: bad arguments", () => {
  const device = openTestDevice();
  const zeros = (dtype: "f32" | "bf16" | "i32", shape: readonly number[]) => device.empty(dtype, shape);

  test("mismatched shapes and dtypes name the argument", () => {
    const stream = device.createStream();
    const [x, pages, slots] = [zeros("f32", [3, 2, 8]), zeros("f32", [2, 4, 2, 8]), zeros("i32", [3])];
    expect(() => kvStore(stream, x, zeros("f32", [3, 1, 8]), pages, pages, slots)).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: expect.stringMatching(/^kvStore: v: /),
      }),
    );
    expect(() => kvStore(stream, x, x, pages, zeros("f32", [2, 5, 2, 8]), slots)).toThrow(
      /kvStore: vPages: expected \[P=2/,
    );
    expect(() => kvStore(stream, x, zeros("bf16", [3, 2, 8]), pages, pages, slots)).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_TYPE" }),
    );
    expect(() => kvStore(stream, x, x, pages, pages, zeros("f32", [3]))).toThrow(/slots: expected dtype i32/);
  });

  test.each([-2, 8, 2147483647])("slot %i outside the pages poisons the stream", async (slot) => {
    const stream = device.createStream();
    const x = zeros("f32", [1, 2, 8]);
    const pages = zeros("f32", [2, 4, 2, 8]);
    kvStore(stream, x, x, pages, pages, stream.fromArray("i32", [1], Int32Array.of(slot)));
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(/slots\[0\]/);
  });
});
