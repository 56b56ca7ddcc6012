/**
 * Contract: packStored brings rows of every stored format into a weight so that it has exactly the values that dequantize gives: in
 * the format that keeps their codes, on the CPU, and in a dense one. `embedding` reads them back.
 */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { FloatDType } from "../../lib/device/dtype.js";
import { storedFormats, StoredRows, type StoredShape } from "../../lib/ops/dequantize.js";
import { embedding } from "../../lib/ops/embedding.js";
import { linear } from "../../lib/ops/linear.js";
import { LinearWeight, packRows, WeightSegment } from "../../lib/ops/linearWeight.js";
import { packStored } from "../../lib/ops/packStored.js";
import { offsetTypes, scaleTypes, weightFormats } from "../../lib/ops/weightFormat.js";
import { packStored as reference } from "../reference/packStored.js";
import { expectSame } from "../support/compare.js";
import { describeOp, type OpCase, type OpContext, openTestDevice } from "../support/devices.js";
import { roundTo } from "../support/dtype.js";
import { formatOf, quantizedGroup, quantizedWeight } from "../support/quantizedWeights.js";
import { Random } from "../support/random.js";
import { randomStored, storedOnDevice, type StoredOptions } from "../support/storedRows.js";

interface PackCase extends OpCase, StoredOptions {
  /** Where parts begin, in the order in which they are packed. Default: one part. */
  readonly starts?: readonly number[];
  readonly rowOrder?: boolean;
  /** Inputs sorted by group, as a load does with desc_act. */
  readonly kOrder?: boolean;
  readonly someInputs?: readonly [number, number];
  readonly experts?: number;
  /** The weight has zero points, although the file has none. */
  readonly addZeros?: boolean;
}

const blocks = storedFormats.slice(storedFormats.indexOf("q8_0"));
const isBig = (format: string): boolean => ["q4_k", "q5_k", "q6_k"].includes(format);

const cases: readonly PackCase[] = [
  { name: "one scale for each row", format: "int8", N: 19, K: 33 },
  { name: "one scale for all", format: "int8", N: 19, K: 33, scaleRows: 19, scale: "f16" },
  { name: "groups, the last one short", format: "int8", N: 17, K: 70, group: 32, scale: "bf16" },
  { name: "zero points", format: "int8", N: 17, K: 70, group: 16, zeros: true },
  { name: "one scale for each row", format: "fp8", N: 16, K: 40, scale: "bf16" },
  { name: "blocks, cut off at both edges", format: "fp8", N: 135, K: 200, group: 128, scaleRows: 128 },
  { name: "words that are not full", format: "packed4", N: 13, K: 45, group: 16 },
  { name: "zero points", format: "packed4", N: 33, K: 256, group: 128, zeros: true, scale: "bf16" },
  { name: "one scale for each row", format: "packed4", N: 13, K: 45, addZeros: true },
  { name: "zero points", format: "packed8", N: 13, K: 45, zeros: true },
  { name: "symmetric", format: "gptq4", N: 24, K: 64, group: 32, scale: "f16" },
  { name: "version 1", format: "gptq4", N: 24, K: 64, group: 32, zeros: true, version1: true },
  {
    ...{ name: "desc_act", format: "gptq4", N: 24, K: 96, group: 32, zeros: true },
    ...{ gIdx: true, kOrder: true },
  },
  { name: "symmetric", format: "gptq8", N: 24, K: 68, group: 32, scale: "f16" },
  { name: "version 1", format: "gptq8", N: 24, K: 64, group: 32, zeros: true, version1: true },
  {
    ...{ name: "desc_act", format: "gptq8", N: 21, K: 96, group: 32, zeros: true, version1: true },
    ...{ gIdx: true, kOrder: true },
  },
  { name: "zero points", format: "awq4", N: 24, K: 77, group: 32, zeros: true, scale: "f16" },
  { name: "neighbours in a byte", format: "mxfp4", N: 7, K: 96 },
  ...blocks.map((format) => ({ name: "blocks", format, N: 21, K: isBig(format) ? 512 : 96 })),
  ...blocks.map((format) => ({
    name: "parts that begin anywhere",
    ...{ format, N: 40, K: isBig(format) ? 256 : 64, starts: [21, 0, 4] },
  })),
  { name: "parts and rows in another order", format: "q4_k", N: 40, K: 256, starts: [9, 0], rowOrder: true },
  { name: "some inputs", format: "packed4", N: 20, K: 128, group: 32, someInputs: [32, 96] },
  { name: "some inputs", format: "q6_k", N: 20, K: 768, someInputs: [256, 512] },
  { name: "experts", format: "q4_0", N: 20, K: 64, experts: 3 },
  {
    name: "d is negative, subnormal and zero",
    format: "q4_k",
    N: 4,
    K: 512,
    halves: [-0.5, 2 ** -24, 0, 2 ** -15],
  },
];

interface Packed {
  readonly weight: LinearWeight;
  /** [N, inputs] */
  readonly expected: Float64Array;
  readonly inputs: number;
}

/** A weight filled with the parts of a case; the last expert of a stack. */
function packed(context: OpContext, c: PackCase, dense?: FloatDType): Packed {
  const { stream, device } = context;
  const { N, K, starts = [0], experts = 1, someInputs: [first, end] = [0, K] } = c;
  const random = new Random(N + K);
  const parts = [...starts].map((start) => {
    const count = Math.min(N, ...starts.filter((other) => other > start)) - start;
    const zeroed = { ...c, N: c.format === "awq4" ? N : count };
    const matrix = randomStored(zeroed, random);
    const rows = Array.from({ length: count }, (_, n) => (c.rowOrder ? random.integer(0, count) : n));
    const byGroup = (a: number, b: number) => matrix.gIdx![a]! - matrix.gIdx![b]!;
    const all = Int32Array.from({ length: K }, (_, k) => k);
    const order = c.kOrder ? all.sort(byGroup) : all;
    return { matrix, rows, inputs: [...order.subarray(first, end)], order, first: start };
  });
  const inputs = end - first;
  const codes = formatOf(parts[0]!.matrix);
  const ofCodes = c.addZeros ? ({ ...codes, offset: "zero" } as const) : codes;
  const format = dense ? ({ format: "dense", dtype: dense } as const) : ofCodes;
  const weight =
    experts > 1
      ? quantizedGroup(device, format, { E: experts, N, K: inputs })
      : quantizedWeight(device, format, N, inputs);
  const expert = experts - 1;
  for (const { matrix, rows, order, first: at } of parts) {
    const stored = storedOnDevice(context, matrix, {
      rows: rows.length,
      ...(c.rowOrder ? { rowOrder: Int32Array.from(rows) } : {}),
      ...(c.kOrder ? { kOrder: order } : {}),
      ...(c.someInputs ? { firstInput: first, numInputs: inputs } : {}),
    });
    packStored(stream, stored, weight, { first: at, expert });
  }
  return { weight, expected: reference(N, inputs, parts), inputs };
}

/** A code of 0 times a negative scale is -0 on a device. */
const plusZero = (values: Float64Array): Float64Array => values.map((value) => value + 0);

/** All rows of a weight; the last expert of a stack. */
async function rowsOf(context: OpContext, weight: LinearWeight, dtype: FloatDType): Promise<Float64Array> {
  const { outputs, inputs, swiglu } = weight;
  const segments = weight.segments.map((segment) => segment.expert(segment.data.size(0) - 1));
  const one = new LinearWeight({ inputs, swiglu }, segments);
  const ids = context.integers(
    [outputs],
    Int32Array.from({ length: outputs }, (_, i) => i),
  );
  return plusZero(await context.read(embedding(context.stream, ids, one, { dtype })));
}

describeOp("packStored: codes, scales and offsets as they are", cases, async (context, c) => {
  const { weight, expected, inputs } = packed(context, c);
  const shape = [c.N, inputs];
  expectSame(await rowsOf(context, weight, "f32"), plusZero(expected), { shape });
  weight.dispose();
});

describeOp(
  "packStored: a dense weight has the values",
  cases.map((c, i) => ({ ...c, dtype: (["f32", "bf16", "f16"] as const)[i % 3]! })),
  async (context, { dtype, ...c }) => {
    const { weight, expected, inputs } = packed(context, c, dtype);
    const flushed = (values: Float64Array) =>
      // bf16 may flush what is subnormal
      plusZero(values.map((value) => (Math.abs(value) < 2 ** -126 ? 0 : value)));
    const shape = [c.N, inputs];
    const actual = await rowsOf(context, weight, "f32");
    expectSame(flushed(actual), flushed(roundTo(dtype, expected)), { shape });
    weight.dispose();
  },
);

describeOp(
  "packStored: gate and up take turns, rows that there are not are 0",
  [
    { name: "", format: "int8", zeros: true, group: 16 },
    { name: "", format: "q5_1" },
    { name: "", format: "q4_k" },
    { name: "", format: "q6_k" },
    { name: "", format: "fp8" },
  ] as (OpCase & Pick<StoredOptions, "format" | "zeros" | "group">)[],
  async (context, c) => {
    const [N, K] = [42, isBig(c.format) ? 256 : 64];
    const gate = randomStored({ ...c, N: N / 2, K }, new Random(1));
    const up = randomStored({ ...c, N: N / 2, K }, new Random(2));
    const rows = Array.from({ length: N / 2 }, (_, i) => i);
    const inputs = Array.from({ length: K }, (_, k) => k);
    const weight = quantizedWeight(context.device, formatOf(gate), N, K, true);
    packStored(context.stream, storedOnDevice(context, up), weight, { first: N / 2 });
    packStored(context.stream, storedOnDevice(context, gate), weight);
    // The packed rows in their order, as those of a weight without gate and up: two panels of each, 11 rows of which there are not.
    const [segment] = weight.segments;
    const shape = { name: "weight", outputs: 64, inputs: K, format: segment!.format, swiglu: false };
    const flat = new LinearWeight({ inputs: K, swiglu: false }, [new WeightSegment(shape, segment!.data)]);
    const at = (start: number) => [
      { first: start, rows: rows.slice(0, 16), inputs },
      { first: start + 32, rows: rows.slice(16), inputs },
    ];
    const expected = reference(64, K, [
      ...at(0).map((part) => ({ ...part, matrix: gate })),
      ...at(16).map((part) => ({ ...part, matrix: up })),
    ]);
    expectSame(await rowsOf(context, flat, "f32"), plusZero(expected), { shape: [64, K] });
    weight.dispose();
  },
);

interface RefusedCase extends OpCase, StoredOptions {
  readonly part?: Partial<StoredShape>;
  readonly kOrder?: Int32Array;
  readonly weight: { readonly group: number };
  readonly message: RegExp;
}

describeOp<RefusedCase>(
  "packStored: data that is no weight ends the stream",
  [
    {
      ...{ name: "groups that are none of the file", format: "gptq4", N: 8, K: 32, group: 16, gIdx: true },
      ...{
        weight: { group: 16 },
        message: /^packStored: inputs 0 to 15 of stored row \d+ have scales of several groups/,
      },
    },
    {
      ...{ name: "groups across those of the file", format: "packed4", N: 2, K: 64, group: 32 },
      ...{ part: { firstInput: 16 }, weight: { group: 32 } },
      message: /^packStored: inputs 0 to 31 of stored row \d+ have scales of several groups/,
    },
  ] as RefusedCase[],
  async (context, { part, weight: { group }, message, ...c }) => {
    const matrix = randomStored(c, new Random(4));
    const stored = storedOnDevice(context, matrix, part);
    const weight = quantizedWeight(context.device, { ...formatOf(matrix), group }, c.N, stored.inputs);
    packStored(context.stream, stored, weight);
    await expect(context.stream.synchronize()).rejects.toThrow(message);
    weight.dispose();
  },
);

describeOp<OpCase>(
  "activations of int8 on a GPU",
  [{ name: "are refused by name", skip: { cpu: "it has kernels" } }],
  async ({ device, stream }) => {
    const weight = quantizedWeight(device, { format: "int8", activation: "int8" }, 16, 32);
    const x = stream.empty("f32", [1, 32]);
    const message = `weight: ${device.name} has no kernels for activations of int8`;
    expect(() => linear(stream, x, weight)).toThrow(message);
    await stream.synchronize();
    weight.dispose();
  },
);

describe("packStored: bad arguments", () => {
  const device = openTestDevice();
  const stream = device.createStream();
  const codes = device.empty("u8", [2 * 32]);
  const scales = device.empty("f32", [2]);
  const stored = new StoredRows({ format: "int8", outputs: 2, inputs: 32 }, { codes, scales });

  const onCodes = test.skipIf(!device.weightFormats.includes("int8"));
  onCodes.each<[string, Parameters<typeof quantizedWeight>[1], number, number, RegExp]>([
    ["other codes", { format: "fp8" }, 2, 32, /^packStored: out: expected int8, got fp8/],
    [
      "other scales",
      { format: "int8", scale: "f16" },
      2,
      32,
      /^packStored: out: expected scales of the type/,
    ],
    ["a minimum", { format: "int8", offset: "min" }, 2, 32, /^packStored: out: expected the offsets that/],
    ["other inputs", { format: "int8" }, 2, 64, /^packStored: stored: expected as many inputs as out/],
    [
      "too few rows",
      { format: "int8" },
      1,
      32,
      /^packStored: stored: expected rows inside the packed weight/,
    ],
  ])("%s", (_, format, N, K, message) => {
    expect(() => packStored(stream, stored, quantizedWeight(device, format, N, K))).toThrow(message);
  });

  test.each<[string, Parameters<typeof quantizedWeight>[1]]>([
    ["a group of 24", { format: "int8", group: 24 }],
    ["two levels without groups", { format: "int4", group: 0, scale: "f16u8" }],
    ["two levels in groups of 48", { format: "int4", group: 48, scale: "f16u8" }],
    ["zero points of fp8", { format: "fp8", offset: "zero" }],
    ["activations of bytes with fp8", { format: "fp8", activation: "int8" }],
    ["a minimum of fp4", { format: "fp4", group: 32, offset: "min" }],
  ])("a weight that there cannot be: %s", (_, format) => {
    expect(() => quantizedWeight(device, format, 2, 32)).toThrow(
      /cannot have such groups, scales or offsets/,
    );
  });

  const onBytes = test.skipIf(device.kind !== "cpu"); // a GPU has no products of bytes
  onBytes("more inputs than a row of bytes can have", () => {
    const weight = quantizedWeight(device, { format: "int8", activation: "int8" }, 1, 2 ** 20 + 1);
    const x = device.empty("f32", [1, 2 ** 20 + 1]);
    expect(() => linear(stream, x, weight)).toThrow(
      "linear: weight: expected at most 1048576 inputs with activations of int8, got 1048577",
    );
    weight.dispose();
  });

  onCodes("an expert that there is not; packLinear into codes", () => {
    const group = quantizedGroup(device, { format: "int8" }, { E: 2, N: 2, K: 32 });
    expect(() => packStored(stream, stored, group, { expert: 2 })).toThrow(
      "packStored: expert: expected 0 to 1, got 2",
    );
    const weight = quantizedWeight(device, { format: "int8" }, 2, 32);
    expect(() => packRows(stream, weight, { first: 0, matrix: device.empty("f32", [2, 32]) })).toThrow(
      /out: expected a dense weight, got int8/,
    );
  });
});

describe("formats of weights", () => {
  test("are listed in the same order in C++ and in TypeScript", () => {
    const header = readFileSync(new URL("../../native/formats/weight_view.h", import.meta.url), "utf8");
    const [, list = ""] = /define WARPLOOP_WEIGHT_FORMATS\(FORMAT\)((?:.*\\\n)*.*)/.exec(header)!;
    expect([...list.matchAll(/FORMAT\((\w+),/g)].map(([, name]) => name)).toEqual([...weightFormats]);
    const enumOf = (name: string): string[] =>
      new RegExp(`enum class ${name} : uint8_t \\{ (.*) \\};`).exec(header)![1]!.split(", ");
    expect(enumOf("ScaleType")).toEqual([...scaleTypes]);
    expect(enumOf("OffsetType")).toEqual([...offsetTypes]);
  });
});
