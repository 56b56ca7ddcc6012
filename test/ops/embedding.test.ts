// Contract: embedding copies the rows that ids name, converts their dtype, and refuses ids outside the table.
import { describe, expect, test } from "vitest";
import { ExecutionError } from "../../lib/errors.js";
import { embedding } from "../../lib/ops/embedding.js";
import { packLinear } from "../../lib/ops/packLinear.js";
import { embedding as reference } from "../reference/embedding.js";
import { expectSame } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { roundTo, type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface EmbeddingCase extends OpCase {
  readonly T: number;
  readonly V: number;
  readonly D: number;
  readonly dtype: FloatDType;
  readonly outDtype?: FloatDType;
  /** table and out are views into wider rows. */
  readonly strided?: boolean;
  /** Exponents of the values: huge and tiny magnitudes. */
  readonly exponents?: readonly [number, number];
}

const small = { T: 5, V: 7, D: 64, dtype: "bf16" } as const;
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly EmbeddingCase[] = [
  { name: "smallest", ...small, T: 1, V: 1, D: 1 },
  { name: "no ids", ...small, T: 0 },
  { name: "no ids, empty table", ...small, T: 0, V: 0 },
  { name: "no columns", ...small, D: 0 },
  ...tails.map((D) => ({ name: `${D} columns, bf16 to f32`, ...small, D, outDtype: "f32" as const })),
  { name: "bf16", ...small },
  { name: "f32", ...small, dtype: "f32" },
  { name: "f16", ...small, dtype: "f16" },
  { name: "f32 to bf16", ...small, D: 50, dtype: "f32", outDtype: "bf16" },
  { name: "f32 to f16", ...small, D: 50, dtype: "f32", outDtype: "f16" },
  { name: "f16 to f32", ...small, D: 50, dtype: "f16", outDtype: "f32" },
  { name: "bf16 to f16", ...small, D: 50, outDtype: "f16" },
  { name: "strided rows", ...small, D: 37, strided: true },
  { name: "strided rows, bf16 to f32", ...small, D: 37, strided: true, outDtype: "f32" },
  { name: "many rows over the threads", ...small, T: 500, V: 100, D: 130, outDtype: "f32" },
  { name: "huge and tiny", ...small, outDtype: "f32", exponents: [-126, 127] },
  { name: "subnormal values of one dtype keep their bits", ...small, exponents: [-133, -127] },
];

describeOp("embedding", cases, async (context, c) => {
  const { T, V, D, dtype, outDtype = dtype } = c;
  const random = new Random(8);
  const table = c.exponents
    ? random.magnitudes(V * D, ...c.exponents, dtype)
    : random.normal(V * D, { dtype });
  const ids = V > 0 ? random.tokenIds(T, V) : new Int32Array(0);
  const place = (as: FloatDType, rows: number, data: Float64Array) =>
    c.strided
      ? context.stridedRows(as, [rows, D], data, { before: 3, after: 5 })
      : context.tensor(as, [rows, D], data);

  const out = embedding(context.stream, context.integers([T], ids), place(dtype, V, table), {
    dtype: outDtype,
    ...(c.strided && { out: place(outDtype, T, new Float64Array(T * D)) }),
  });
  expect(out.shape).toEqual([T, D]);
  expect(out.dtype).toBe(outDtype);
  expectSame(await context.read(out), roundTo(outDtype, reference(ids, table, { V, D })), { shape: [T, D] });
});

describeOp(
  "embedding of a packed weight",
  cases.filter(({ strided }) => !strided),
  async (context, { T, V, D, dtype, outDtype = dtype, exponents }) => {
    const random = new Random(9);
    const values = exponents
      ? random.magnitudes(V * D, ...exponents, dtype)
      : random.normal(V * D, { dtype });
    const ids = V > 0 ? random.tokenIds(T, V) : new Int32Array(0);
    const table = packLinear(context.stream, context.tensor(dtype, [V, D], values));
    const out = embedding(context.stream, context.integers([T], ids), table, { dtype: outDtype });
    expect(out).toMatchObject({ shape: [T, D], dtype: outDtype });
    expectSame(await context.read(out), roundTo(outDtype, reference(ids, values, { V, D })), {
      shape: [T, D],
    });
    table.dispose();
  },
);

describe("embedding: bad arguments", () => {
  const device = openTestDevice();
  const table = device.empty("bf16", [7, 8]);

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    const ids = device.empty("i32", [3]);
    expect(() => embedding(stream, device.empty("f32", [3]), table)).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_TYPE",
        message: "embedding: ids: expected dtype i32, got f32",
      }),
    );
    expect(() => embedding(stream, ids, device.empty("i32", [7, 8]))).toThrow(/^embedding: table: /);
    expect(() => embedding(stream, ids, device.empty("f32", [2, 7, 8]))).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_RANGE" }),
    );
    const gateUp = packLinear(stream, device.empty("f32", [6, 8]), { swiglu: true });
    expect(() => embedding(stream, ids, gateUp)).toThrow(
      "embedding: table: expected a weight packed without swiglu, got one of gate and up",
    );
    expect(() => embedding(stream, ids, table, { out: device.empty("f32", [4, 8]) })).toThrow(
      "embedding: out: expected [T=3, D=8] (T from ids axis 0; D from table axis 1), got [4, 8]",
    );
  });

  test.each([-1, 7, 2147483647])("id %i outside the table poisons the stream", async (id) => {
    const stream = device.createStream();
    embedding(stream, stream.fromArray("i32", [2], Int32Array.of(0, id)), table);
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(`ids[1] = ${id} is outside [0, V=7)`);
  });
});
