/**
 * Contract: linear multiplies with weights of codes as with the numbers that they mean, for every kind of codes, scales and offsets,
 * shape, tail, view and dtype, the same bits in every run and row by row.
 */
import { expect } from "vitest";
import { linear } from "../../lib/ops/linear.js";
import { blockOf, int8Rows } from "../reference/int8Rows.js";
import { linear as reference } from "../reference/linear.js";
import { gated } from "../reference/siluMul.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, type OpCase } from "../support/devices.js";
import { roundTo, type FloatDType } from "../support/dtype.js";
import { bytesOnCpu, codeKinds, randomCodes, roundedOn } from "../support/quantizedWeights.js";
import { Random } from "../support/random.js";
import type { StoredOptions } from "../support/storedRows.js";

interface CodesCase extends OpCase {
  readonly T: number;
  readonly N: number;
  readonly K: number;
  readonly x: FloatDType;
  /** A segment each, with an equal part of the rows. */
  readonly kinds: readonly string[];
  readonly out?: FloatDType;
  readonly bias?: boolean;
  readonly residual?: FloatDType;
  readonly strided?: boolean;
  readonly swiglu?: boolean;
  /** What x becomes first. Default "float". */
  readonly activation?: "int8";
  /** Some elements of x are a hundred times larger. */
  readonly outliers?: boolean;
  /** What the first rows of x are multiplied with. */
  readonly factors?: readonly number[];
}

const kindOf = (name: string) => codeKinds.find((kind) => kind.name === name)!;
const upTo = (K: number, name: string): number => Math.ceil(K / kindOf(name).step) * kindOf(name).step;
const dtypes = ["f32", "bf16", "f16"] as const;
const names = codeKinds.map(({ name }) => name);
const epilogue = { T: 5, N: 40, K: 256, x: "bf16" } as const;

const cases: readonly CodesCase[] = [
  ...names.flatMap((name) =>
    dtypes.flatMap((x) => [
      { name, T: 1, N: 17, K: upTo(70, name), x, kinds: [name] },
      { name, T: 7, N: 50, K: upTo(300, name), x, kinds: [name] },
    ]),
  ),
  ...[1, 2, 3, 4, 5, 6, 8, 12, 13, 25, 100].flatMap((T) =>
    ["int8 by rows", "q4_k", "int4 in groups, zeros"].map((name) => ({
      ...{ name: `rows: ${name}`, T, N: 33, K: upTo(160, name), x: "bf16" as const, kinds: [name] },
    })),
  ),
  ...names.flatMap((name) =>
    [1, 9, 40].map((T) => ({
      ...{ name: "whole pieces of x", T, N: 90, K: upTo(328, name), kinds: [name] },
      x: T === 9 ? ("f16" as const) : ("bf16" as const),
    })),
  ),
  ...["int4 in groups of 128", "q4_k", "q6_k", "int8 by rows"].flatMap((name) =>
    [2, 16].map((T) => ({
      name: "many chunks",
      T,
      N: 70,
      K: upTo(2000, name),
      x: "bf16" as const,
      kinds: [name],
    })),
  ),
  ...[1, 7, 31, 33, 255, 257].map((K) => ({
    ...{ name: "inputs that fill no block", T: 3, N: 16, K, x: "bf16" as const },
    kinds: ["int4 in groups, zeros"],
  })),
  { name: "no rows", T: 0, N: 16, K: 32, x: "bf16", kinds: ["int8 by rows"] },
  { name: "no inputs", T: 3, N: 20, K: 0, x: "bf16", kinds: ["int8 by rows"], bias: true },
  { name: "bias", ...epilogue, kinds: ["q4_k"], bias: true },
  { name: "bias and residual", ...epilogue, kinds: ["q6_k"], bias: true, residual: "f32", out: "f32" },
  { name: "views", ...epilogue, kinds: ["int4 in groups of 128"], strided: true, residual: "bf16" },
  { name: "gate and up", ...epilogue, N: 84, kinds: ["q4_k"], swiglu: true, bias: true },
  { name: "gate and up of two kinds", ...epilogue, N: 80, kinds: ["q4_k", "q6_k"], swiglu: true },
  { name: "q, k and v of three kinds", ...epilogue, N: 96, kinds: ["q4_k", "int8 by rows", "q6_k"] },
  { name: "panels and rows over the threads", T: 200, N: 600, K: 96, x: "bf16", kinds: ["q8_0"] },
];

const bytesToo = (c: CodesCase): boolean => c.kinds.every((kind) => kindOf(kind).format !== "fp8");
const bytes = { N: 17, x: "f32", activation: "int8", skip: bytesOnCpu } as const;
const rowsOfAllSizes = { T: 6, factors: [0, 1e-30, 1e-20, 1e20, Infinity, NaN] };
const int8Cases: readonly CodesCase[] = [
  { name: "more rows of bytes than fit at once", T: 200, K: 16384, ...bytes, kinds: ["int8 by rows"] },
  { name: "rows of all sizes, wide blocks", ...rowsOfAllSizes, K: 256, ...bytes, kinds: ["int4 by rows"] },
  { name: "rows of all sizes, narrow blocks", ...rowsOfAllSizes, K: 256, ...bytes, kinds: ["q4_k"] },
  ...cases.filter(bytesToo).map((c) => ({ ...c, activation: "int8" as const, skip: bytesOnCpu })),
  ...names
    .filter((name) => bytesToo({ kinds: [name] } as unknown as CodesCase))
    .map((name) => ({
      ...{ name: "outliers, more inputs than a chunk", T: 13, N: 35, K: upTo(1050, name), x: "f32" as const },
      ...{ kinds: [name], activation: "int8" as const, outliers: true, skip: bytesOnCpu },
    })),
];

describeOp("linear with codes", [...cases, ...int8Cases], async (context, c) => {
  const { T, N, K, x: xType, kinds, swiglu = false, activation = "float" } = c;
  const out = c.out ?? xType;
  const random = new Random(7 * T + 31 * N + K);
  const parts = kinds.map((kind): StoredOptions => ({ ...kindOf(kind), N: N / kinds.length, K }));
  const { weight, values } = randomCodes(context, parts, { swiglu, seed: K, activation });
  const outliers = c.outliers ? { outliers: 0.01 } : {};
  const { factors = [] } = c;
  const x = roundTo(
    xType,
    random
      .normal(T * K, { dtype: xType, ...outliers })
      .map((value, i) => value * (factors[Math.floor(i / K)] ?? 1)),
  );
  const bias = c.bias ? random.normal(N, { dtype: "f32", std: 0.1 }) : undefined;
  const residual = c.residual ? random.normal(T * N, { dtype: c.residual }) : undefined;
  const optional = { ...(bias && { bias }), ...(residual && { residual }) };
  const meets = (segment: number): Float64Array => {
    const { format } = weight.segments[Math.min(segment, weight.segments.length - 1)]!;
    return c.activation && format.format !== "dense" ? int8Rows(x, K, blockOf(format.group)) : x;
  };
  const products = productsOf(c, meets, values, optional);
  const [width, half] = [swiglu ? N / 2 : N, N / 2];
  const expected = swiglu
    ? Float64Array.from({ length: T * half }, (_, i) => {
        const at = Math.floor(i / half) * N + (i % half);
        return gated(products[at]!, products[at + half]!);
      })
    : products;
  const view = (dtype: FloatDType, shape: number[], data: Float64Array) =>
    c.strided
      ? context.stridedRows(dtype, shape, data, { before: 3, after: 5 })
      : context.tensor(dtype, shape, data);
  const rows = view(xType, [T, K], x);
  const given = {
    ...(bias && { bias: context.tensor("f32", [N], bias) }),
    ...(residual && { residual: view(c.residual!, [T, N], residual) }),
    dtype: out,
  };
  const result = linear(context.stream, rows, weight, given);
  expect(result.shape).toEqual([T, width]);
  const actual = await context.read(result);
  const rounded = swiglu ? { intermediate: xType } : roundedOn(context, xType);
  expectClose(actual, expected, { dtype: out, shape: [T, width], reduction: Math.max(K, 1), ...rounded });
  if (T > 0 && context.device.kind === "cpu") {
    const last = (tensor: typeof rows) => tensor.slice(0, T - 1, T);
    const alone = { ...given, ...(residual && { residual: last(given.residual!) }) };
    const single = linear(context.stream, last(rows), weight, alone);
    expectSame(await context.read(single), actual.subarray((T - 1) * width), { shape: [width] });
  }
  weight.dispose();
});

/** The products of all segments, each with the activations that it meets. */
function productsOf(
  { T, N, K, kinds }: CodesCase,
  meets: (segment: number) => Float64Array,
  values: Float64Array,
  optional: Parameters<typeof reference>[3],
): Float64Array {
  const out = new Float64Array(T * N);
  const width = N / kinds.length;
  kinds.forEach((_, i) => {
    const part = reference(meets(i), values, { T, N, K }, optional);
    for (let t = 0; t < T; t++)
      out.set(part.subarray(t * N + i * width, t * N + (i + 1) * width), t * N + i * width);
  });
  return out;
}
