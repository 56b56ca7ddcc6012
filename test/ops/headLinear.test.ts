/** Contract: headLinear multiplies each head with the matrix of its own, for every shape, view and dtype; on the CPU row by row. */
import { expect, test } from "vitest";
import { Tensor } from "../../lib/device/tensor.js";
import { headLinear } from "../../lib/ops/headLinear.js";
import { emptyGroupedWeight, packExpert } from "../../lib/ops/packLinear.js";
import { headLinear as reference } from "../reference/headLinear.js";
import { expectClose } from "../support/compare.js";
import { describeOp, onKernel, type OpCase, type OpContext, openTestDevice } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface HeadCase extends OpCase {
  readonly T: number;
  readonly H: number;
  readonly N: number;
  readonly K: number;
  readonly x: FloatDType;
  readonly weight: FloatDType;
  readonly out?: FloatDType;
  /** Heads of x and of out lie in wider ones, tokens among others. */
  readonly strided?: boolean;
  /** All heads read the same row. */
  readonly shared?: boolean;
  /** Heads of out lie in wider ones, from multiples of 16 bytes on. */
  readonly apart?: boolean;
  readonly scale?: number;
}

const bf16 = { x: "bf16", weight: "bf16" } as const;
const cases: readonly HeadCase[] = [
  { name: "smallest", T: 1, H: 1, N: 1, K: 1, ...bf16 },
  { name: "no tokens", T: 0, H: 3, N: 16, K: 8, ...bf16 },
  ...[1, 2, 5, 7, 13].map((T) => ({ name: "tails", T, H: 3, N: 33, K: 17, ...bf16 })),
  { name: "f32", T: 5, H: 2, N: 40, K: 25, x: "f32", weight: "f32" },
  { name: "f32 activations", T: 5, H: 2, N: 40, K: 25, x: "f32", weight: "bf16" },
  { name: "f32 activations, many rows", T: 40, H: 2, N: 70, K: 41, x: "f32", weight: "f16" },
  { name: "f16 to f32", T: 9, H: 2, N: 40, K: 25, x: "f16", weight: "f16", out: "f32" },
  { name: "strided", T: 5, H: 3, N: 40, K: 25, strided: true, ...bf16 },
  { name: "strided, f32", T: 4, H: 3, N: 18, K: 9, strided: true, x: "f32", weight: "f32" },
  { name: "one row for all heads", T: 6, H: 4, N: 20, K: 31, shared: true, ...bf16 },
  { name: "huge", T: 2, H: 2, N: 20, K: 30, x: "f32", weight: "bf16", scale: 2 ** 60 },
  { name: "tiny", T: 2, H: 2, N: 20, K: 30, x: "f32", weight: "f32", scale: 2 ** -60 },
  // rows of whole 16-byte pieces, as models have them: the fast kernels of a GPU
  ...[1, 3, 8, 11, 17, 40, 70].map((T) => ({ name: "whole pieces", T, H: 3, N: 100, K: 136, ...bf16 })),
  { name: "whole pieces, strided", T: 7, H: 3, N: 64, K: 72, strided: true, ...bf16 },
  { name: "whole pieces, many rows, strided", T: 140, H: 2, N: 72, K: 64, strided: true, ...bf16 },
  { name: "whole pieces, one row for all heads", T: 20, H: 4, N: 48, K: 64, shared: true, ...bf16 },
  { name: "long rows, shared by blocks", T: 2, H: 2, N: 40, K: 2304, ...bf16 },
  { name: "long rows, shared by blocks", T: 13, H: 3, N: 70, K: 1800, x: "f16", weight: "f16", out: "f32" },
  { name: "long rows, shared by blocks", T: 20, H: 2, N: 24, K: 1160, out: "f32", ...bf16 },
  { name: "long rows, shared by blocks", T: 3, H: 2, N: 70, K: 900, x: "f32", weight: "f16" },
  { name: "many heads", T: 2, H: 130, N: 24, K: 16, ...bf16 },
  { name: "queries into latents", T: 3, H: 4, N: 512, K: 128, ...bf16 },
  { name: "latents into values", T: 17, H: 4, N: 128, K: 512, ...bf16 },
];

/** All heads as one product: where they read the same row. */
const f16 = { x: "f16", weight: "f16" } as const;
const asOne: readonly HeadCase[] = [
  { name: "one row", T: 1, H: 3, N: 64, K: 8, ...bf16 },
  { name: "tails", T: 70, H: 3, N: 64, K: 72, ...bf16 },
  { name: "tiles of several heads, which lie apart", T: 70, H: 5, N: 64, K: 136, apart: true, ...bf16 },
  { name: "heads of several tiles, which lie apart", T: 17, H: 3, N: 192, K: 64, apart: true, ...f16 },
  { name: "many rows, heads apart", T: 300, H: 4, N: 128, K: 64, apart: true, ...bf16 },
  { name: "f32, heads apart", T: 33, H: 3, N: 64, K: 72, apart: true, out: "f32" as const, ...bf16 },
  { name: "one head", T: 20, H: 1, N: 128, K: 40, apart: true, ...bf16 },
];
const shared = onKernel("headLinear", "shared", asOne).map((one) => ({
  ...{ ...one, shared: true },
  skip: { ...one.skip, cuda: "not every GPU has it" },
}));

function packed(context: OpContext, { H, N, K, weight: dtype }: HeadCase, values: Float64Array) {
  const shape = { experts: H, outputs: N, inputs: K, dtype, swiglu: false };
  const group = emptyGroupedWeight(context.stream, shape);
  for (let h = 0; h < H; h++) {
    const own = values.subarray(h * N * K, (h + 1) * N * K);
    packExpert(context.stream, group, h, context.tensor(dtype, [N, K], own));
  }
  return group;
}

describeOp("headLinear", [...cases, ...shared], async (context, c) => {
  const { T, H, N, K, x: xType, weight: wType, scale = 1 } = c;
  const random = new Random(T + H + N + K);
  const rows = random.normal(T * (c.shared ? 1 : H) * K, { dtype: xType, std: scale });
  const values = random.normal(H * N * K, { dtype: wType, std: 0.5 });
  const spread = Float64Array.from({ length: T * H * K }, (_, i) => {
    return rows[Math.floor(i / (H * K)) * K + (i % K)]!;
  });
  const given = context.tensor(xType, [T, c.shared ? 1 : H, K], rows);
  const same = Tensor.strided(given.memory, xType, [T, H, K], [K, 0, 1], given.byteOffset);
  const x = c.strided
    ? context.stridedRows(xType, [T, H, K], rows, { before: 8, after: 16 })
    : c.shared
      ? same
      : given;
  const dtype = c.out ?? xType;
  const weight = packed(context, c, values);
  const zeros = new Float64Array(T * H * N);
  const margins = c.strided ? { before: 4, after: 8 } : c.apart && { before: 8, after: 16 };
  const out = margins && context.stridedRows(dtype, [T, H, N], zeros, margins);
  const result = headLinear(context.stream, x, weight, { dtype, ...(out && { out }) });
  expect(result.shape).toEqual([T, H, N]);
  const expected = reference(c.shared ? spread : rows, values, { H, N, K });
  expectClose(await context.read(result), expected, { dtype, shape: [T, H, N], reduction: K });
  weight.dispose();
});

test("a row of headLinear does not depend on how many there are", async () => {
  await using device = openTestDevice();
  const stream = device.createStream();
  const [T, H, N, K] = [30, 2, 40, 48];
  const weight = emptyGroupedWeight(stream, {
    experts: H,
    outputs: N,
    inputs: K,
    dtype: "f32",
    swiglu: false,
  });
  const random = new Random(7);
  const numbers = (count: number) => Float32Array.from(random.normal(count));
  for (let h = 0; h < H; h++) packExpert(stream, weight, h, stream.fromArray("f32", [N, K], numbers(N * K)));
  const x = stream.fromArray("f32", [T, H, K], numbers(T * H * K));
  const all = await headLinear(stream, x, weight).readFloat32(stream);
  for (const [start, end] of [
    [0, 1],
    [3, 9],
    [9, 30],
  ] as const) {
    const some = await headLinear(stream, x.slice(0, start, end), weight).readFloat32(stream);
    const rows = [...all.subarray(start * H * N, end * H * N)];
    if (device.kind === "cpu") expect([...some]).toEqual(rows);
    else expect(some).toHaveLength(rows.length); // splits and tiles follow the rows
  }
});

test("on a Hopper GPU headLinear is one product of all heads where they read the same rows, and says why not elsewhere", async () => {
  await using device = openTestDevice();
  if (device.isa !== "sm_90") return;
  const stream = device.createStream();
  const [T, H, K] = [256, 16, 16];
  const weightOf = (outputs: number) =>
    emptyGroupedWeight(stream, { experts: H, outputs, inputs: K, dtype: "bf16", swiglu: false });
  const [weight, narrow] = [weightOf(128), weightOf(48)];
  const own = device.empty("bf16", [T, H, K]);
  const same = Tensor.strided(own.memory, "bf16", [T, H, K], [K, 0, 1]);
  const trace = stream.trace();
  headLinear(stream, same, weight);
  headLinear(stream, own, weight);
  headLinear(stream, same, narrow);
  headLinear(stream, same, weight, { out: device.empty("bf16", [T, H, 132]).slice(2, 0, 128) });
  const chosen = (await trace.end()).map(({ kernel, refused }) => [
    kernel,
    ...refused.map(({ reason }) => reason),
  ]);
  expect(chosen).toEqual([
    ["shared"],
    ["heads", "each head has rows of its own"],
    ["heads", "N is not a multiple of 64"],
    ["heads", "heads of out do not begin at multiples of 8 elements"],
  ]);
});

test("headLinear refuses what does not fit, naming the argument", async () => {
  await using device = openTestDevice();
  const stream = device.createStream();
  const shape = { experts: 2, outputs: 8, inputs: 4, dtype: "f32", swiglu: false } as const;
  const weight = emptyGroupedWeight(stream, shape);
  const gated = emptyGroupedWeight(stream, { ...shape, swiglu: true });
  const x = device.empty("f32", [3, 2, 4]);
  const refused = (message: string) => expect.objectContaining({ message }) as Error;
  expect(() => headLinear(stream, device.empty("f32", [3, 2, 5]), weight)).toThrow(
    refused(
      "headLinear: x: expected [T, H=2, K=4] (H from weight axis 0; K from weight axis 2), got [3, 2, 5]",
    ),
  );
  expect(() => headLinear(stream, device.empty("f32", [3, 1, 4]), weight)).toThrow(RangeError);
  expect(() => headLinear(stream, device.empty("bf16", [3, 2, 4]), weight)).toThrow(/^headLinear: x: .*f32/);
  expect(() => headLinear(stream, x, gated)).toThrow(/^headLinear: weight: .* without gate and up/);
  expect(() => headLinear(stream, x, weight, { out: device.empty("f32", [3, 2, 4]) })).toThrow(RangeError);
});
