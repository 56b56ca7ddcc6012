/**
 * Contract: with a weight of gate and up, linear gives silu(gate) * up: what linear and siluMul give one after the other, on the
 * CPU bit by bit, in one launch where gate and up are of one format.
 */
import { expect, test } from "vitest";
import { native } from "../../lib/device/native.js";
import { linear, type LinearOptions } from "../../lib/ops/linear.js";
import { type LinearWeight, packLinear } from "../../lib/ops/packLinear.js";
import { siluMul } from "../../lib/ops/siluMul.js";
import { linear as linearReference } from "../reference/linear.js";
import { siluMul as siluMulReference } from "../reference/siluMul.js";
import { expectClose, expectSame } from "../support/compare.js";
import {
  describeOp,
  type OpCase,
  type OpContext,
  openTestDevice,
  withEnvironment,
} from "../support/devices.js";
import { toStorage, type FloatDType } from "../support/dtype.js";
import { hopperProducts, portableProducts } from "../support/kernelTiles.js";
import { Random } from "../support/random.js";

interface GatedCase extends OpCase {
  readonly x: FloatDType;
  readonly gate: FloatDType;
  /** Default: that of gate. */
  readonly up?: FloatDType;
  readonly out: FloatDType;
  readonly bias: boolean;
  readonly sizes: readonly (readonly [T: number, F: number, K: number])[];
  /** Rows of x and out, with so many numbers in front of and behind them. */
  readonly strided?: { readonly before: number; readonly after: number };
  readonly scale?: number;
}

const products = [
  ["f32", "f32"],
  ["f32", "bf16"],
  ["f32", "f16"],
  ["bf16", "bf16"],
  ["f16", "f16"],
] as const;

const sizes = [
  [1, 40, 64],
  [5, 16, 33],
  [17, 21, 40],
  [70, 9, 24],
  [150, 37, 72],
] as const;

const cases: readonly GatedCase[] = [
  ...products.flatMap(([x, gate]) =>
    (["f32", "bf16", "f16"] as const).flatMap((out) =>
      [false, true].map((bias) => ({ name: "every width", x, gate, out, bias, sizes })),
    ),
  ),
  {
    ...{ name: "long rows, shared by blocks", x: "bf16", gate: "bf16", out: "bf16", bias: true },
    sizes: [
      [2, 20, 2304],
      [13, 35, 1800],
    ],
  },
  {
    name: "strided rows",
    x: "bf16",
    gate: "bf16",
    out: "bf16",
    bias: true,
    sizes,
    strided: { before: 3, after: 5 },
  },
  {
    name: "strided rows",
    x: "f32",
    gate: "f16",
    out: "f32",
    bias: false,
    sizes,
    strided: { before: 3, after: 5 },
  },
  {
    ...{
      name: "whole pieces of out, biases that are none",
      x: "bf16",
      gate: "bf16",
      out: "bf16",
      bias: true,
    },
    ...{ sizes: [[5, 21, 40]], strided: { before: 8, after: 3 } },
  },
  { name: "far gates", x: "bf16", gate: "bf16", out: "bf16", bias: false, sizes, scale: 30 },
  {
    ...{ name: "nothing", x: "bf16", gate: "bf16", out: "bf16", bias: true },
    sizes: [
      [0, 20, 16],
      [3, 0, 16],
      [3, 20, 0],
    ],
  },
  { name: "two formats", x: "f32", gate: "bf16", up: "f32", out: "bf16", bias: true, sizes },
  { name: "two formats", x: "f32", gate: "f32", up: "f16", out: "f32", bias: false, sizes },
];

/** Random numbers of one call. */
function numbersOf({ x, gate, up = gate, scale = 1 }: GatedCase, [T, F, K]: GatedCase["sizes"][number]) {
  const random = new Random(T + 3 * F + K);
  return {
    x: random.normal(T * K, { dtype: x, std: scale }),
    gate: random.normal(F * K, { dtype: gate, std: 0.3 }),
    up: random.normal(F * K, { dtype: up, std: 0.3 }),
    bias: random.normal(2 * F, { dtype: "f32" }),
  };
}

const joined = (...parts: readonly Float64Array[]): Float64Array =>
  Float64Array.from(parts.flatMap((part) => [...part]));

describeOp("linear over gate and up", cases, async (context, c) => {
  const { stream } = context;
  for (const size of c.sizes) {
    const [T, F, K] = size;
    const numbers = numbersOf(c, size);
    const place = (dtype: FloatDType, width: number, values: Float64Array) =>
      c.strided
        ? context.stridedRows(dtype, [T, width], values, c.strided)
        : context.tensor(dtype, [T, width], values);
    const matrices = {
      gate: context.tensor(c.gate, [F, K], numbers.gate),
      up: context.tensor(c.up ?? c.gate, [F, K], numbers.up),
    };
    const x = place(c.x, K, numbers.x);
    const bias = c.bias ? context.tensor("f32", [2 * F], numbers.bias) : undefined;
    const [gated, plain] = [true, false].map((swiglu) => packLinear(stream, matrices, { swiglu })) as [
      LinearWeight,
      LinearWeight,
    ];
    expect(gated).toMatchObject({ outputs: 2 * F, swiglu: true, isFused: c.up === undefined });
    const given = c.strided && { out: place(c.out, F, new Float64Array(T * F)) };
    const result = linear(stream, x, gated, { bias, dtype: c.out, ...given });
    expect(result.shape).toEqual([T, F]);
    const apart = siluMul(stream, linear(stream, x, plain, { bias }), { dtype: c.out });

    const [actual, label] = [await context.read(result), `T ${T}, F ${F}`];
    if (context.device.name === "cpu")
      expectSame(actual, await context.read(apart), { shape: [T, F], label });
    const both = linearReference(
      numbers.x,
      joined(numbers.gate, numbers.up),
      { T, N: 2 * F, K },
      c.bias ? { bias: numbers.bias } : {},
    );
    const tolerance = { dtype: c.out, intermediate: c.x, reduction: K, ops: 2 } as const;
    expectClose(actual, siluMulReference(both, { T, F }), { ...tolerance, shape: [T, F], label });
    for (const weight of [gated, plain]) weight.dispose();
  }
});

interface TileCase extends OpCase {
  readonly tile: string;
  readonly T: number;
  readonly F: number;
  readonly K: number;
}

const tiles = [...portableProducts, ...hopperProducts].map(({ name }) => name);

async function runTile({ device }: Pick<OpContext, "device">, { tile, T, F, K }: TileCase): Promise<void> {
  const c = { name: tile, x: "f16", gate: "f16", out: "f32", bias: true, sizes: [] } as const;
  const numbers = numbersOf(c, [T, F, K]);
  const stream = withEnvironment({ WARPLOOP_KERNEL: `linear:${tile}` }, () => device.createStream());
  try {
    const tensor = (shape: number[], values: Float64Array) =>
      stream.fromArray("f16", shape, toStorage("f16", values));
    const weight = packLinear(stream, tensor([2 * F, K], joined(numbers.gate, numbers.up)), { swiglu: true });
    const bias = stream.fromArray("f32", [2 * F], Float32Array.from(numbers.bias));
    const result = linear(stream, tensor([T, K], numbers.x), weight, { bias, dtype: "f32" });
    const actual = await result.readFloat32(stream);
    const both = linearReference(
      numbers.x,
      joined(numbers.gate, numbers.up),
      { T, N: 2 * F, K },
      { bias: numbers.bias },
    );
    const tolerance = { dtype: "f32", intermediate: "f16", reduction: K, ops: 2 } as const;
    expectClose(actual, siluMulReference(both, { T, F }), { ...tolerance, shape: [T, F] });
    weight.dispose();
  } finally {
    await stream.dispose();
  }
}

describeOp<TileCase>(
  "linear over gate and up with every tile of a GPU",
  tiles
    .filter((tile) => tile !== "8x16")
    .flatMap((tile) => [
      { name: "more rows and columns than a tile", tile, T: 150, F: 157, K: 72 },
      { name: "more steps than stages", tile, T: 70, F: 68, K: 1160 },
    ])
    .map((each) => ({ ...each, skip: { cpu: "it has no tiles" } })),
  runTile,
);

test.skipIf(native.runLastBlocks === undefined)(
  "a tile without room for a panel of gate and one of up refuses, and is not chosen",
  async () => {
    await using device = openTestDevice();
    const size = { name: "", T: 1, F: 40, K: 64 };
    await expect(runTile({ device }, { ...size, tile: "8x16" })).rejects.toThrow(
      /8x16 cannot run this: 16 columns do not hold a panel of gate and one of up/,
    );
    const stream = device.createStream();
    const weight = packLinear(stream, stream.empty("bf16", [80, 64]), { swiglu: true });
    const trace = stream.trace();
    linear(stream, stream.empty("bf16", [1, 64]), weight);
    expect((await trace.end()).map(({ op, kernel }) => [op, kernel])).toEqual([["linear", "8x32"]]);
  },
);

test("one launch where gate and up are of one format", async () => {
  await using device = openTestDevice();
  const stream = device.createStream();
  const matrix = (dtype: FloatDType) => stream.empty(dtype, [24, 16]);
  const opsOf = async (up: FloatDType) => {
    const weight = packLinear(stream, { gate: matrix("bf16"), up: matrix(up) }, { swiglu: true });
    const trace = stream.trace();
    linear(stream, stream.empty("f32", [2, 16]), weight);
    return (await trace.end()).map(({ op }) => op);
  };
  expect(await opsOf("bf16")).toEqual(["linear"]);
  expect(await opsOf("f32")).toEqual(["linear", "linear", "siluMul"]);
});

test("linear over gate and up refuses what does not fit, naming the argument", async () => {
  await using device = openTestDevice();
  const stream = device.createStream();
  const tensor = (shape: number[], dtype: FloatDType = "f32") => stream.empty(dtype, shape);
  const x = tensor([2, 8]);
  const wrong: readonly (readonly [options: LinearOptions, message: string])[] = [
    [
      { residual: tensor([2, 6]) },
      "linear: residual: expected none with a weight of gate and up, got a tensor",
    ],
    [
      { out: tensor([2, 12]) },
      "linear: out: expected [T=2, F=6] (T from x axis 0; F from weight axis 0), got [2, 12]",
    ],
    [{ bias: tensor([6]) }, "linear: bias: expected [N=12] (N from weight axis 0), got [6]"],
  ];
  for (const up of ["f32", "bf16"] as const) {
    const weight = packLinear(stream, { gate: tensor([6, 8]), up: tensor([6, 8], up) }, { swiglu: true });
    for (const [options, message] of wrong) {
      const refused = expect.objectContaining({ code: "ERR_ARGUMENT_RANGE", message });
      expect(() => linear(stream, x, weight, options)).toThrow(refused);
    }
  }
  expect(() => packLinear(stream, tensor([7, 8]), { swiglu: true })).toThrow(
    "packLinear: weight: expected an even number of rows, gate and up, got 7",
  );
});
