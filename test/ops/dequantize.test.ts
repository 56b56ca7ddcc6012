// Contract: dequantize gives the values that stored codes mean, rounded once, in every format; and refuses what is no matrix.
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { FloatDType } from "../../lib/device/dtype.js";
import { dequantize, storedFormats, StoredRows } from "../../lib/ops/dequantize.js";
import { dequantize as reference } from "../reference/dequantize.js";
import { dequantised, type StoredMatrix } from "../reference/storedFormats.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { Random } from "../support/random.js";
import { randomStored, storedOnDevice, type StoredOptions } from "../support/storedRows.js";

interface StoredCase extends OpCase, StoredOptions {
  readonly out?: FloatDType;
  /** out is a view into wider rows. */
  readonly strided?: boolean;
  /** Stored rows in random order, some of them twice. */
  readonly rowOrder?: boolean;
  /** Stored inputs in random order. */
  readonly kOrder?: boolean;
  /** [first, end) of the inputs that are meant. */
  readonly someInputs?: readonly [number, number];
}

const int8 = { format: "int8", N: 7, K: 33 } as const;
const fp8 = { format: "fp8", N: 7, K: 33 } as const;
const packed4 = { format: "packed4", N: 13, K: 45, scale: "bf16" } as const;
const packed8 = { format: "packed8", N: 13, K: 45, scale: "bf16" } as const;
const gptq4 = { format: "gptq4", N: 13, K: 64, group: 16, scale: "f16" } as const;
const gptq8 = { format: "gptq8", N: 13, K: 68, group: 16, scale: "f16" } as const;
const awq4 = { format: "awq4", N: 24, K: 45, group: 16, scale: "f16" } as const;
const mxfp4 = { format: "mxfp4", N: 7, K: 96 } as const;
const blocks = storedFormats.slice(storedFormats.indexOf("q8_0"));
const big = ["q4_k", "q5_k", "q6_k"];

const cases: readonly StoredCase[] = [
  { name: "one scale for each row", ...int8 },
  { name: "one scale for all", ...int8, scaleRows: 7 },
  { name: "groups, the last one short", ...int8, group: 16, scale: "bf16" },
  { name: "zero points", ...int8, zeros: true, scale: "f16" },
  { name: "zero points of groups", ...int8, zeros: true, group: 16 },
  { name: "one scale for each row", ...fp8, scale: "bf16" },
  { name: "one scale for all", ...fp8, scaleRows: 7 },
  { name: "blocks, cut off at both edges", ...fp8, N: 135, K: 200, group: 128, scaleRows: 128 },
  { name: "every code", ...fp8, N: 16, K: 64 },
  { name: "words that are not full", ...packed4, group: 16 },
  { name: "one scale for each row", ...packed4, K: 64 },
  { name: "zero points, whose words are not full", ...packed4, group: 32, zeros: true },
  { name: "words that are not full", ...packed8 },
  { name: "zero points, whose words are not full", ...packed8, zeros: true, group: 16 },
  { name: "symmetric", ...gptq4 },
  { name: "version 1 stores zero points less 1", ...gptq4, zeros: true, version1: true },
  { name: "version 2", ...gptq4, zeros: true },
  { name: "desc_act", ...gptq4, zeros: true, version1: true, gIdx: true },
  { name: "desc_act, inputs sorted", ...gptq4, zeros: true, gIdx: true, kOrder: true },
  { name: "one scale for each row", ...gptq4, group: 0, zeros: true },
  { name: "symmetric", ...gptq8 },
  { name: "version 1 stores zero points less 1", ...gptq8, zeros: true, version1: true },
  { name: "version 2, one scale for each row", ...gptq8, group: 0, zeros: true },
  { name: "desc_act, inputs sorted", ...gptq8, zeros: true, version1: true, gIdx: true, kOrder: true },
  { name: "symmetric", ...awq4 },
  { name: "zero points", ...awq4, zeros: true },
  { name: "neighbours in a byte", ...mxfp4 },
  ...blocks.map((format) => ({ name: "blocks", format, N: 5, K: big.includes(format) ? 512 : 96 })),
  ...blocks.map((format) => ({ name: "no rows", format, N: 0, K: 256 })),
  ...(["q8_0", "q4_0", "q4_1", "q4_k", "q6_k"] as const).map((format) => ({
    name: "d is negative, subnormal and zero",
    ...{ format, N: 4, K: 512, halves: [-0.0078125, 2 ** -24, -(2 ** -15), 0, 65504, -3 * 2 ** -24] },
  })),
  { name: "rows in another order", ...int8, N: 9, rowOrder: true, group: 16 },
  { name: "rows in another order", ...gptq4, rowOrder: true, zeros: true },
  { name: "rows in another order", ...gptq8, rowOrder: true, zeros: true },
  { name: "rows in another order", ...awq4, rowOrder: true, zeros: true },
  { name: "rows in another order", format: "q4_k", N: 6, K: 256, rowOrder: true },
  { name: "some inputs", ...packed4, group: 16, someInputs: [16, 37] },
  { name: "some inputs", ...awq4, someInputs: [3, 40] },
  { name: "some inputs", format: "q6_k", N: 3, K: 512, someInputs: [130, 400] },
  { name: "some inputs in another order", ...packed4, group: 16, someInputs: [5, 21], kOrder: true },
  { name: "to bf16", ...packed4, group: 16, out: "bf16" },
  { name: "to f16", format: "q4_k", N: 5, K: 256, out: "f16" },
  { name: "into a view", ...packed4, group: 16, strided: true },
  { name: "into a view of bf16", format: "q8_0", N: 5, K: 64, strided: true, out: "bf16" },
  { name: "many rows over the threads", format: "q8_0", N: 301, K: 256 },
];

describeOp("dequantize", cases, async (context, c) => {
  const { N, K, out: dtype = "f32", someInputs: [first, end] = [0, K] } = c;
  const random = new Random(3 + N + K);
  const matrix = randomStored(c, random);
  const rows = Array.from({ length: N }, (_, n) => (c.rowOrder ? random.integer(0, N) : n));
  const byGroup = (a: number, b: number) => (matrix.gIdx ? matrix.gIdx[a]! - matrix.gIdx[b]! : 0);
  const order = c.kOrder ? random.permutation(K).sort(byGroup) : Int32Array.from({ length: K }, (_, k) => k);
  const stored = storedOnDevice(context, matrix, {
    ...(c.rowOrder ? { rowOrder: Int32Array.from(rows) } : {}),
    ...(c.kOrder ? { kOrder: order } : {}),
    ...(c.someInputs ? { firstInput: first, numInputs: end - first } : {}),
  });
  const inputs = [...order.subarray(first, end)];
  const shape = [N, inputs.length];
  const room = { before: 3, after: 5 };
  const out = c.strided
    ? context.stridedRows(dtype, shape, new Float64Array(N * inputs.length), room)
    : undefined;
  const result = dequantize(context.stream, stored, { dtype, ...(out ? { out } : {}) });
  expect(result.shape).toEqual(shape);
  expect(result.dtype).toBe(dtype);
  const expected = reference(matrix, { rows, inputs });
  if (dtype === "f32") expectSame(plusZero(await context.read(result)), plusZero(expected), { shape });
  else expectClose(await context.read(result), expected, { dtype, shape });
});

/** A code of 0 times a negative scale is -0 on a device. */
const plusZero = (values: Float64Array): Float64Array => values.map((value) => value + 0);

describeOp(
  "dequantize: codes of a few rows, as a load reads them",
  [
    { name: "", format: "int8", N: 20, K: 32, group: 16, first: 5, count: 9 },
    {
      name: "scales of blocks",
      format: "fp8",
      N: 300,
      K: 32,
      group: 16,
      scaleRows: 128,
      first: 120,
      count: 20,
    },
    { name: "", format: "packed4", N: 20, K: 19, zeros: true, first: 5, count: 9 },
    { name: "", format: "mxfp4", N: 20, K: 32, first: 19, count: 1 },
    { name: "", format: "q4_k", N: 20, K: 256, first: 5, count: 9 },
  ] as readonly (StoredOptions & OpCase & { readonly first: number; readonly count: number })[],
  async (context, { first, count, ...c }) => {
    const matrix = randomStored(c, new Random(5));
    const pitch = matrix.codes.length / c.N;
    const codes = matrix.codes.slice(first * pitch, (first + count) * pitch);
    const part = { firstRow: first, rows: count };
    const plain = storedOnDevice(context, matrix, part, codes);
    const rows = Array.from({ length: count }, (_, i) => first + i);
    const inputs = Array.from({ length: c.K }, (_, k) => k);
    const shape = [count, c.K];
    const expected = plusZero(reference(matrix, { rows, inputs }));
    expectSame(plusZero(await context.read(dequantize(context.stream, plain))), expected, { shape });
    const rowOrder = Int32Array.from([...rows].reverse());
    const turned = storedOnDevice(context, matrix, { ...part, rowOrder }, codes);
    const wanted = plusZero(reference(matrix, { rows: [...rows].reverse(), inputs }));
    expectSame(plusZero(await context.read(dequantize(context.stream, turned))), wanted, { shape });
  },
);

interface RefusedCase extends OpCase, StoredOptions {
  readonly spoil: (matrix: StoredMatrix) => void;
  readonly rowOrder?: Int32Array;
  readonly kOrder?: Int32Array;
  readonly message: string;
}

const refused: readonly RefusedCase[] = [
  {
    ...{ name: "NaN of e4m3", format: "fp8", N: 3, K: 8, message: "stored row 1 has NaN at input 2" },
    spoil: ({ codes }) => (codes[10] = 0x7f),
  },
  {
    ...{
      name: "negative NaN of e4m3",
      format: "fp8",
      N: 3,
      K: 8,
      message: "stored row 2 has NaN at input 0",
    },
    spoil: ({ codes }) => (codes[16] = 0xff),
  },
  {
    ...{ name: "NaN of e8m0", format: "mxfp4", N: 3, K: 64 },
    message: "the scale of stored row 1, group 1 is NaN",
    spoil: ({ scales }) => (scales![3] = 2 ** 128),
  },
  {
    ...{ name: "NaN of e8m0 in a block", format: "mxfp4_gguf", N: 3, K: 64 },
    message: "the scale of stored row 2, group 0 is NaN",
    spoil: ({ codes }) => (codes[4 * 17] = 255),
  },
  {
    ...{ name: "a group that is none", format: "gptq4", N: 3, K: 16, group: 8, gIdx: true },
    message: "gIdx[4] = 2 is outside the 2 groups",
    spoil: ({ gIdx }) => (gIdx![4] = 2),
  },
  {
    ...{ name: "a row that is none", format: "int8", N: 3, K: 16, rowOrder: Int32Array.of(0, 3, 1) },
    message: "rowOrder[1] = 3 is outside the stored rows 0 to 2",
    spoil: () => undefined,
  },
  {
    ...{ name: "an input that is none", format: "int8", N: 3, K: 4, kOrder: Int32Array.of(0, 3, -1, 1) },
    message: "kOrder[2] = -1 is outside [0, K=4)",
    spoil: () => undefined,
  },
];

describeOp("dequantize: data that is no weight ends the stream", refused, async (context, c) => {
  const matrix = randomStored(c, new Random(8));
  c.spoil(matrix);
  const { rowOrder, kOrder } = c;
  const part = { ...(rowOrder ? { rowOrder } : {}), ...(kOrder ? { kOrder } : {}) };
  dequantize(context.stream, storedOnDevice(context, matrix, part));
  await expect(context.stream.synchronize()).rejects.toThrow(`dequantize: ${c.message}`);
});

describe("stored formats", () => {
  test("are listed in the same order in C++ and in TypeScript", () => {
    const header = readFileSync(new URL("../../native/formats/stored_view.h", import.meta.url), "utf8");
    const [, list = ""] = /define WARPLOOP_STORED_FORMATS\(FORMAT\)((?:.*\\\n)*.*)/.exec(header)!;
    expect([...list.matchAll(/FORMAT\((\w+),/g)].map(([, name]) => name)).toEqual([...storedFormats]);
  });

  test("the reference knows codes that are easy to get wrong", () => {
    const one = { N: 1, scaleRows: 1, scales: Float64Array.of(1) };
    const decode = (m: Partial<StoredMatrix> & Pick<StoredMatrix, "format" | "K" | "codes">) => [
      ...dequantised({ ...one, group: m.K, ...m }),
    ];
    const codes = Uint8Array.of(0x01, 0x08, 0x38, 0x7e, 0x80, 0xfe, 0xb8, 0x77);
    expect(decode({ format: "fp8", K: 8, codes })).toEqual([
      ...[2 ** -9, 2 ** -6, 1, 448, -0, -448, -1, 240],
    ]);
    expect(decode({ format: "mxfp4", K: 4, codes: Uint8Array.of(0x1f, 0x72) })).toEqual([-6, 0.5, 1, 6]);
    const words = Uint8Array.of(0x10, 0x32, 0x54, 0x76);
    expect(decode({ format: "packed4", K: 8, codes: words })).toEqual([-8, -7, -6, -5, -4, -3, -2, -1]);
    const awq = { format: "awq4", K: 1, N: 8, codes: words, scales: new Float64Array(8).fill(1) };
    expect(decode(awq)).toEqual([0, 4, 1, 5, 2, 6, 3, 7].map((code) => code - 8));
    const gptq = { format: "gptq8", K: 4, codes: Uint8Array.of(0, 127, 128, 255) };
    expect(decode(gptq)).toEqual([-128, -1, 0, 127]);
    // 255 and 1 are 0.
    expect(decode({ ...gptq, zeros: Int32Array.of(255), addToZeros: 1 })).toEqual([0, 127, 128, 255]);
  });
});

describe("dequantize: bad arguments", () => {
  const device = openTestDevice();
  const stream = device.createStream();
  const codes = device.empty("u8", [4 * 16]);
  const scales = device.empty("f32", [4]);
  const shape = { format: "int8", outputs: 4, inputs: 16 } as const;

  test.each([
    ["outputs", shape, { scales: device.empty("f32", [5]) }, /scales: expected one for each group/],
    ["codes", { ...shape, outputs: 3 }, { scales: device.empty("f32", [3]) }, /codes: expected rows inside/],
    ["codes", { ...shape, inputs: 17 }, { scales }, /codes: expected bytes of whole rows/],
    ["no scales", shape, {}, /scales: expected a tensor, got none/],
    ["scales of i32", shape, { scales: device.empty("i32", [4]) }, /scales: expected dtype f32 or f16/],
    ["rows", { ...shape, rows: 5 }, { scales }, /rows: expected as many as there are codes of/],
    ["inputs", { ...shape, numInputs: 17 }, { scales }, /firstInput: expected inputs inside the matrix/],
    [
      "firstInput",
      { ...shape, firstInput: 9, numInputs: 8 },
      { scales },
      /firstInput: expected inputs inside/,
    ],
    ["scaleRows", { ...shape, scaleRows: 0 }, { scales }, /scaleRows: expected at least 1/],
    ["addToZeros", { ...shape, addToZeros: 1 }, { scales }, /addToZeros: expected 0, or 1 of gptq4/],
    ["zeros of i32", shape, { scales, zeros: device.empty("i32", [4]) }, /zeros: expected dtype i8/],
    ["zeros", shape, { scales, zeros: device.empty("i8", [3]) }, /zeros: expected one for each scale/],
    ["rowOrder", shape, { scales, rowOrder: device.empty("i32", [3]) }, /rowOrder: expected \[rows=4\]/],
    ["kOrder", shape, { scales, kOrder: device.empty("i32", [3]) }, /kOrder: expected \[K=16\]/],
    ["a K of q4_k", { format: "q4_k", outputs: 1, inputs: 128 }, {}, /inputs: expected a multiple of 256/],
    ["a K of q8_0", { format: "q8_0", outputs: 1, inputs: 48 }, {}, /inputs: expected a multiple of 32/],
    ["a K of gptq8", { format: "gptq8", outputs: 1, inputs: 6 }, {}, /inputs: expected a multiple of 4/],
    [
      "an N of awq4",
      { format: "awq4", outputs: 4, inputs: 16 },
      { scales },
      /outputs: expected a multiple of 8/,
    ],
    ["scales of q8_0", { format: "q8_0", outputs: 0, inputs: 32 }, { scales }, /codes: expected bytes/],
    [
      "a group of q6_k",
      { format: "q6_k", outputs: 0, inputs: 256, group: 32 },
      {},
      /group: expected that of/,
    ],
    ["zeros of fp8", { ...shape, format: "fp8" }, { scales, zeros: scales }, /zeros: expected none/],
  ] as const)("%s", (_, given, tensors, message) => {
    const stored = new StoredRows(given, { codes, ...tensors });
    expect(() => dequantize(stream, stored)).toThrow(message);
    expect(() => dequantize(stream, stored)).toThrow(/^dequantize: stored\./);
  });

  test("out of another shape; rows whose memory is closed", () => {
    const stored = new StoredRows(shape, { codes, scales });
    expect(() => dequantize(stream, stored, { out: device.empty("f32", [4, 15]) })).toThrow(
      /^dequantize: out: expected \[n=4, m=16\]/,
    );
    const closed = device.empty("f32", [4]);
    const rows = new StoredRows(shape, { codes, scales: closed });
    closed.dispose();
    expect(() => dequantize(stream, rows)).toThrow(/^dequantize: stored: the memory of these rows is closed/);
    expect(String(stored)).toBe("StoredRows [4, 16] int8");
  });
});
