// Contract: rope rotates the first R dimensions of every head of q and k in place and leaves the others untouched.
import { describe, expect, test } from "vitest";
import { ExecutionError } from "../../lib/errors.js";
import { rope } from "../../lib/ops/rope.js";
import { rope as reference } from "../reference/rope.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, type OpCase, type OpContext, openTestDevice } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface RopeCase extends OpCase {
  readonly T: number;
  readonly Hq: number;
  /** 0: k is null. */
  readonly Hkv: number;
  readonly Dh: number;
  readonly R: number;
  readonly dtype: FloatDType;
  readonly interleaved?: boolean;
  readonly strided?: boolean;
  /** The table is a view into wider rows. */
  readonly stridedTable?: boolean;
  readonly exponents?: readonly [number, number];
}

const Lmax = 40;
const small = { T: 3, Hq: 4, Hkv: 2, Dh: 64, R: 64, dtype: "f32" } as const;

const layouts: readonly RopeCase[] = [
  { name: "smallest", ...small, T: 1, Hq: 1, Hkv: 1, Dh: 2, R: 2 },
  { name: "no tokens", ...small, T: 0 },
  { name: "f32", ...small },
  { name: "bf16", ...small, dtype: "bf16" },
  { name: "f16", ...small, dtype: "f16" },
  { name: "no k", ...small, Hkv: 0, dtype: "bf16" },
  { name: "partial rotation", ...small, R: 32, dtype: "bf16" },
  { name: "half of 5", ...small, Dh: 16, R: 10 },
  { name: "half of 17", ...small, Dh: 40, R: 34, dtype: "bf16" },
  { name: "half of 17, f16", ...small, Dh: 40, R: 34, dtype: "f16" },
  { name: "half of 31", ...small, Dh: 64, R: 62 },
  { name: "head of 128, many tokens", ...small, T: 70, Dh: 128, R: 128, dtype: "bf16" },
  { name: "strided rows", ...small, R: 48, dtype: "bf16", strided: true },
  { name: "strided table", ...small, R: 48, stridedTable: true },
  { name: "far more k than q", ...small, T: 40, Hq: 1, Hkv: 30 },
  { name: "huge", ...small, exponents: [100, 125] },
  { name: "tiny", ...small, exponents: [-120, -90], dtype: "bf16" },
];

const cases = layouts.flatMap((c) => [c, { ...c, name: `${c.name}, interleaved`, interleaved: true }]);

function tensor(context: OpContext, c: RopeCase, heads: number, values: Float64Array) {
  const shape = [c.T, heads, c.Dh];
  return c.strided
    ? context.stridedRows(c.dtype, shape, values, { before: 1, after: 6 })
    : context.tensor(c.dtype, shape, values);
}

describeOp("rope", cases, async (context, c) => {
  const { T, Dh, R, dtype, interleaved = false } = c;
  const random = new Random(5);
  const table = new Float64Array(Lmax * R);
  for (let i = 0; i < table.length; i++) table[i] = Math.fround(random.uniform(-1, 1));
  const positions = random.tokenIds(T, Lmax);
  const inputs = [c.Hq, c.Hkv].map((heads) => {
    const count = T * heads * Dh;
    const x = c.exponents ? random.magnitudes(count, ...c.exponents, dtype) : random.normal(count, { dtype });
    return { heads, x, tensor: tensor(context, c, heads, x) };
  });
  const [q, k] = inputs as [(typeof inputs)[0], (typeof inputs)[0]];
  const keys = c.Hkv > 0 ? k.tensor : null;
  rope(
    context.stream,
    q.tensor,
    keys,
    context.integers([T], positions),
    c.stridedTable
      ? context.stridedRows("f32", [Lmax, R], table, { before: 2, after: 4 })
      : context.tensor("f32", [Lmax, R], table),
    {
      interleaved,
    },
  );

  for (const { heads, x, tensor: rotated } of inputs) {
    const expected = reference(x, positions, table, { T, H: heads, Dh, R }, { interleaved });
    expectClose(await context.read(rotated), expected, { dtype, shape: [T, heads, Dh], reduction: 2 });
  }
});

describe("rope: rows and errors", () => {
  const device = openTestDevice();

  test("a token's result does not depend on the other tokens", async () => {
    const stream = device.createStream();
    const random = new Random(6);
    const [T, H, Dh] = [33, 3, 48];
    const values = Float32Array.from(random.normal(T * H * Dh));
    const table = stream.fromArray("f32", [Lmax, Dh], Float32Array.from(random.normal(Lmax * Dh)));
    const positions = random.tokenIds(T, Lmax);
    const together = stream.fromArray("f32", [T, H, Dh], values);
    rope(stream, together, null, stream.fromArray("i32", [T], positions), table);
    const expected = await together.readFloat32(stream);
    for (const t of [0, 17, 32]) {
      const row = values.slice(t * H * Dh, (t + 1) * H * Dh);
      const alone = stream.fromArray("f32", [1, H, Dh], row);
      rope(stream, alone, null, stream.fromArray("i32", [1], positions.slice(t, t + 1)), table);
      const shape = [1, H, Dh];
      expectSame(await alone.readFloat32(stream), expected.subarray(t * H * Dh, (t + 1) * H * Dh), { shape });
    }
  });

  test("bad arguments name the argument", () => {
    const stream = device.createStream();
    const [q, k] = [device.empty("f32", [2, 4, 16]), device.empty("f32", [2, 2, 16])];
    const positions = device.empty("i32", [2]);
    const table = device.empty("f32", [8, 16]);
    const range = (message: RegExp) =>
      expect.objectContaining({ code: "ERR_ARGUMENT_RANGE", message: expect.stringMatching(message) });
    expect(() => rope(stream, q, k, positions, device.empty("f32", [8, 18]))).toThrow(
      range(/^rope: table: /),
    );
    expect(() => rope(stream, q, k, positions, device.empty("f32", [8, 15]))).toThrow(
      range(/^rope: table: .*even/),
    );
    expect(() => rope(stream, q, k, device.empty("i32", [3]), table)).toThrow(range(/^rope: positions: /));
    expect(() => rope(stream, q, device.empty("bf16", [2, 2, 16]), positions, table)).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_TYPE" }),
    );
  });

  test.each([-1, 8])("position %i outside the table poisons the stream", async (position) => {
    const stream = device.createStream();
    const q = device.empty("f32", [1, 1, 16]);
    const positions = stream.fromArray("i32", [1], Int32Array.of(position));
    rope(stream, q, null, positions, device.empty("f32", [8, 16]));
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
  });
});
