/**
 * Contract: every option on every kernel of an op's table (native/cuda/choose.h): the right result, or a refusal with its
 * reason. On the emulated GPU.
 */
import { describe, expect, test } from "vitest";
import { native } from "../../lib/device/native.js";
import { flashAttention } from "../../lib/ops/flashAttention.js";
import { groupedLinear } from "../../lib/ops/groupedLinear.js";
import { linear } from "../../lib/ops/linear.js";
import { emptyGroupedWeight, packExpert, packLinear } from "../../lib/ops/packLinear.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import type { Stream } from "../../lib/device/stream.js";
import { flashAttention as flashReference } from "../reference/flashAttention.js";
import { groupedLinear as groupedReference } from "../reference/groupedLinear.js";
import { linear as linearReference } from "../reference/linear.js";
import { siluMul as siluMulReference } from "../reference/siluMul.js";
import { pagedAttention as pagedReference } from "../reference/pagedAttention.js";
import { expectClose } from "../support/compare.js";
import { openTestDevice, withEnvironment } from "../support/devices.js";
import { splitProducts } from "../support/kernelTiles.js";
import { toStorage, type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";
import { someOf } from "../support/seed.js";
import { starts } from "../support/starts.js";

const onSimt = describe.skipIf(native.runLastBlocks === undefined);

/** Runs with one kernel, "op:kernel". The message of a refusal, or nothing. */
async function withKernel(wish: string, run: (stream: Stream) => Promise<void>): Promise<string | undefined> {
  await using device = openTestDevice();
  const stream = withEnvironment({ WARPLOOP_KERNEL: wish }, () => device.createStream());
  try {
    await run(stream);
    return undefined;
  } catch (error) {
    const refusal = /cannot run this: ([^(]*)/.exec(String(error))?.[1];
    if (refusal === undefined) throw error;
    return refusal.trim();
  }
}

/** Calls a function once for each key: kernels are held against the same numbers. */
function remembered<T>(): (key: readonly unknown[], make: () => T) => T {
  const known = new Map<string, T>();
  return (key, make) => {
    const text = key.join();
    if (!known.has(text)) known.set(text, make());
    return known.get(text)!;
  };
}

/** All combinations of the options' values. */
function combinations<T extends Record<string, readonly unknown[]>>(
  options: T,
): { [K in keyof T]: T[K][number] }[] {
  let all: Record<string, unknown>[] = [{}];
  for (const [name, values] of Object.entries(options))
    all = all.flatMap((one) => values.map((value) => ({ ...one, [name]: value })));
  return all as { [K in keyof T]: T[K][number] }[];
}

/** What a run takes of them. */
const halfOf = <T>(options: readonly T[]) => someOf(options, options.length / 2);

/** Sequences of all kinds for one call: few rows and many, of one span of keys and of several. */
const sequences = [
  [1, 40],
  [70, 90],
  [2, 1100],
  [20, 1060],
] as const;
const [queries, keys] = [0, 1].map((part) => starts(sequences.map((lengths) => lengths[part]!))) as [
  Int32Array,
  Int32Array,
];

const heads = { Hq: 2, Hkv: 1, Dh: 64, Dv: 64 } as const;
const [T, S] = [queries.at(-1)!, keys.at(-1)!];

type Inputs = readonly [q: Float64Array, k: Float64Array, v: Float64Array];

onSimt("flashAttention on every kernel", () => {
  const [inputs, references] = [remembered<Inputs>(), remembered<ReturnType<typeof flashReference>>()];
  const options = combinations({
    kernel: ["hopper", "tiles", "any"],
    scale: [0.2, 0, -0.2],
    causal: [true, false],
    window: [0, 20],
    withLse: [true, false],
  } as const);
  test.each(halfOf(options))("%o", async ({ kernel, scale, causal, window, withLse }) => {
    const dtype = withLse ? "bf16" : "f16";
    const [q, k, v] = inputs([dtype], () => {
      const random = new Random(5);
      const [q, k, v] = [T * 2, S, S].map((rows) => random.normal(rows * 64, { dtype }));
      return [q!, k!, v!];
    });
    const refusal = await withKernel(`flashAttention:${kernel}`, async (stream) => {
      const tensor = (shape: number[], values: Float64Array) =>
        stream.fromArray(dtype, shape, toStorage(dtype, values));
      const lse = stream.empty("f32", [T, 2]);
      const lengths = (values: Int32Array) => stream.fromArray("i32", [values.length], values);
      const out = flashAttention(
        stream,
        tensor([T, 2, 64], q),
        tensor([S, 1, 64], k),
        tensor([S, 1, 64], v),
        {
          ...{ scale, causal, window },
          ...{ cuSeqlensQ: lengths(queries), cuSeqlensK: lengths(keys) },
          ...(withLse && { lse }),
        },
      );
      const masks = { scale, causal, window, cuSeqlensQ: queries, cuSeqlensK: keys };
      const key = [dtype, scale, causal, window];
      const expected = references(key, () => flashReference(q, k, v, heads, masks));
      const tolerance = { dtype, reduction: 1100 + 64, intermediate: dtype } as const;
      expectClose(await out.readFloat32(stream), expected.out, { ...tolerance, shape: [T, 2, 64] });
      if (withLse)
        expectClose(await lse.readFloat32(stream), expected.lse, {
          ...tolerance,
          dtype: "f32",
          shape: [T, 2],
        });
    });
    expect(refusal).toBe(undefined);
  });
});

onSimt("pagedAttention on every kernel", () => {
  const [inputs, references] = [remembered<Inputs>(), remembered<Float64Array>()];
  const options = combinations({
    kernel: ["hopper", "tiles", "any"],
    scale: [0.2, 0, -0.2],
    window: [0, 20],
    dtype: ["bf16", "f16"],
    out: ["f32", "bf16", "f16"],
  } as const);
  test.each(halfOf(options))("%o", async ({ kernel, scale, window, dtype, out: outType }) => {
    const [Ps, B] = [16, sequences.length];
    const random = new Random(8);
    const counts = sequences.map(([, length]) => Math.ceil(length / Ps));
    const [P, Pmax] = [starts(counts).at(-1)!, Math.max(...counts)];
    const pages = random.permutation(P);
    const table = new Int32Array(B * Pmax).fill(-1);
    counts.forEach((count, b) => {
      table.set(pages.subarray(starts(counts)[b], starts(counts)[b]! + count), b * Pmax);
    });
    const rows = Int32Array.from({ length: B }, (_, b) => b);
    const lengths = Int32Array.from(sequences, ([, length]) => length);
    const [q, k, v] = inputs([dtype], () => {
      const [q, k, v] = [T * 2, P * Ps, P * Ps].map((count) => random.normal(count * 64, { dtype }));
      return [q!, k!, v!];
    });
    const refusal = await withKernel(`pagedAttention:${kernel}`, async (stream) => {
      const tensor = (shape: number[], values: Float64Array) =>
        stream.fromArray(dtype, shape, toStorage(dtype, values));
      const integers = (shape: number[], values: Int32Array) => stream.fromArray("i32", shape, values);
      const out = stream.empty(outType, [T, 2, 64]);
      pagedAttention(
        stream,
        tensor([T, 2, 64], q),
        tensor([P, Ps, 1, 64], k),
        tensor([P, Ps, 1, 64], v),
        integers([B, Pmax], table),
        integers([B], rows),
        integers([B + 1], queries),
        integers([B], lengths),
        { scale, window, out },
      );
      const sizes = { ...heads, Ps, Pmax };
      const expected = references(
        [dtype, scale, window],
        () => pagedReference(q, k, v, table, rows, queries, lengths, sizes, { scale, window }).out,
      );
      const tolerance = { dtype: outType, reduction: 1100 + 64, intermediate: dtype } as const;
      expectClose(await out.readFloat32(stream), expected, { ...tolerance, shape: [T, 2, 64] });
    });
    expect(refusal).toBe(undefined);
  });
});

const products = [
  ["hopper", "bf16"],
  ["portable", "bf16"],
  ["portable", "f16"],
  ["unaligned", "f16"],
  ["f32", "f32"],
] as const;

/** Blocks share the K of a tile. */
const splits = splitProducts.map(({ name }) => [name, "bf16"] as const);

onSimt("linear on every kernel", () => {
  const options = combinations({
    product: [...products, ...splits],
    withBias: [false, true],
    residualType: [undefined, "f32", "bf16", "f16"],
    swiglu: [false, true],
    out: ["f32", "bf16"],
  } as const).filter(({ residualType, swiglu }) => !(residualType && swiglu));
  test.each(halfOf(options))(
    "%o",
    async ({ product: [kernel, dtype], withBias, residualType, swiglu, out }) => {
      const [T, N] = [70, 300]; // two tiles of the widest kernel, the second one cut
      const K = splits.some(([name]) => name === kernel) ? 200 : 64; // parts of two steps, of one and of none
      const random = new Random(6);
      const weightType: FloatDType = dtype === "f32" ? "bf16" : dtype;
      const [x, weight] = [random.normal(T * K, { dtype }), random.normal(N * K, { dtype: weightType })];
      const bias = withBias ? random.normal(N) : undefined;
      const residual = residualType && random.normal(T * N, { dtype: residualType });
      const refusal = await withKernel(`linear:${kernel}`, async (stream) => {
        const tensor = (as: FloatDType, shape: number[], values: Float64Array) =>
          stream.fromArray(as, shape, toStorage(as, values));
        const packed = packLinear(stream, tensor(weightType, [N, K], weight), { swiglu });
        const result = linear(stream, tensor(dtype, [T, K], x), packed, {
          ...(bias && { bias: tensor("f32", [N], bias) }),
          ...(residual && { residual: tensor(residualType, [T, N], residual) }),
          dtype: out,
        });
        const sums = linearReference(
          x,
          weight,
          { T, N, K },
          { ...(bias && { bias }), ...(residual && { residual }) },
        );
        const expected = swiglu ? siluMulReference(sums, { T, F: N / 2 }) : sums;
        expectClose(await result.readFloat32(stream), expected, {
          ...{ dtype: out, shape: result.shape, reduction: K },
          ...(swiglu && { intermediate: dtype, ops: 2 }),
        });
      });
      expect(refusal).toBe(undefined);
    },
  );
});

/** Of the Hopper kernel, by rows per expert and columns: streams; tiles of 128 columns; of 256; of a cluster. */
const groups = [
  [[50, 0, 38], 288],
  [[90, 0, 38], 288],
  [[90, 0, 38], 512],
  [[520], 512],
] as const;

/** Hopper kernels that are there to be measured: no size chooses them. */
const lagging = [
  ["h128x256lag2", "bf16"],
  ["h128x256x2lag2", "f16"],
] as const;

onSimt("groupedLinear on every kernel", () => {
  const options = combinations({
    product: [...products, ...lagging],
    group: groups,
    swiglu: [false, true],
    gathered: [false, true],
    out: ["f32", "bf16"],
    biased: [false, true],
  } as const).filter(({ product: [kernel], group, out }) =>
    kernel.includes("lag")
      ? group === groups[1] && out === "f32"
      : kernel === "hopper" || group === groups[0],
  );
  test.each(halfOf(options))(
    "%o",
    async ({ product: [kernel, dtype], group: [counts, N], swiglu, gathered, out, biased }) => {
      const K = kernel.includes("lag") ? 392 : 64; // more steps than stages
      const offsets = starts(counts);
      const [M, E, width] = [offsets.at(-1)!, counts.length, swiglu ? N / 2 : N];
      const random = new Random(7);
      const weightType: FloatDType = dtype === "f32" ? "bf16" : dtype;
      const topK = gathered ? 2 : 1;
      const x = random.normal((M / topK) * K, { dtype });
      const weight = random.normal(E * N * K, { dtype: weightType, std: 0.5 });
      const order = gathered ? random.permutation(M) : undefined;
      const bias = biased ? random.normal(E * N) : undefined;
      const clamp = biased && swiglu ? { limit: 2, alpha: 1.702 } : undefined;
      const refusal = await withKernel(`groupedLinear:${kernel}`, async (stream) => {
        const shape = { experts: E, outputs: N, inputs: K, dtype: weightType, swiglu };
        const group = emptyGroupedWeight(stream, shape);
        for (let e = 0; e < E; e++) {
          const values = toStorage(weightType, weight.subarray(e * N * K, (e + 1) * N * K));
          packExpert(stream, group, e, stream.fromArray(weightType, [N, K], values));
        }
        const rows = stream.fromArray(dtype, [M / topK, K], toStorage(dtype, x));
        const result = groupedLinear(stream, rows, group, stream.fromArray("i32", [E + 1], offsets), {
          ...(order && { order: stream.fromArray("i32", [M], order), topK }),
          bias: bias && stream.fromArray("f32", [E, N], Float32Array.from(bias)),
          ...{ clamp, dtype: out },
        });
        const expected = groupedReference(
          x,
          weight,
          offsets,
          { N, K },
          { swiglu, bias, clamp, ...(order && { order, topK }) },
        );
        expectClose(await result.readFloat32(stream), expected, {
          dtype: out,
          shape: [M, width],
          reduction: K,
        });
      });
      expect(refusal).toBe(undefined);
    },
  );
});
