/**
 * Measures the tile shapes of the portable linear kernel on the present GPU over buckets of (T, N, K) and writes the fastest
 * of each to native/ops/linear/linear.tiles.h, which is compiled in.
 *
 *     npx tsx bench/tuneLinear.ts               measure and write
 *     npx tsx bench/tuneLinear.ts --estimate    write the rule below, without a GPU
 */
import { readFileSync, writeFileSync } from "node:fs";
import { Device } from "../lib/device/device.js";
import { linear } from "../lib/ops/linear.js";
import { type LinearWeight, packLinear } from "../lib/ops/packLinear.js";
import type { Stream } from "../lib/device/stream.js";
import { benchArgs } from "./support/benchArgs.js";
import { filled } from "./support/inputs.js";
import { onStream, time } from "./support/timing.js";

/** Rows x columns of a tile; s: streams the weights. The order is that of the enum and of linear.cu's kernels. */
const shapes = ["s8x16", "s8x32", "s8x64", "s16x64", "t32x128", "t64x64", "t64x128", "t128x128"] as const;
type Shape = (typeof shapes)[number];

/** Upper ends of the buckets; one more bucket takes what is larger. */
const inputs = [1024, 4096]; // K
const rows = [2, 4, 8, 16, 32, 64, 128, 256, 512]; // T
const outputs = [1024, 2048, 4096, 8192, 16384]; // N

const table = new URL("../native/ops/linear/linear.tiles.h", import.meta.url);
const cachedBytes = 240 * 2 ** 20; // no L2 holds weights of so many bytes until they come round again

/** Sizes that stand for the buckets: their upper ends, and twice the last of them. */
function sizes(bounds: readonly number[]): number[] {
  return [...bounds, 2 * bounds.at(-1)!];
}

/** The rule for GPUs that have not been measured. */
function estimate(T: number, N: number): Shape {
  if (T <= 2) return "s8x16"; // no splits; reading x once per 16 columns costs little
  if (T <= 8) return N <= 2048 ? "s8x16" : N <= 8192 ? "s8x32" : "s8x64";
  if (T <= 16) return "s16x64";
  if (T <= 32) return "t32x128";
  if (T <= 64) return N <= 2048 ? "t64x64" : "t64x128";
  if (T <= 256) return N <= 8192 ? "t64x128" : "t128x128";
  return N <= 1024 ? "t64x128" : "t128x128";
}

/** Shapes worth a measurement: at most four times as many rows as there are, or a quarter. */
function candidates(T: number): Shape[] {
  return shapes.filter((shape) => {
    const tileRows = Number(shape.slice(1).split("x")[0]);
    return (T <= 4 * tileRows && tileRows <= Math.max(16, 4 * T)) || (T > 512 && tileRows >= 64);
  });
}

/** Median microseconds of a call with one shape. The variable is read when a stream is created. */
async function measure(
  device: Device,
  T: number,
  weights: readonly LinearWeight[],
  shape: Shape,
): Promise<number> {
  process.env["WARPLOOP_KERNEL"] = `linear:${shape.slice(1)}`;
  return onStream(device, async (stream: Stream) => {
    const x = filled(stream, "bf16", [T, weights[0]!.inputs]);
    let next = 0;
    const { medianUs } = await time(stream, () => linear(stream, x, weights[next++ % weights.length]!), 10);
    return medianUs;
  });
}

/** Weights of one shape that together do not fit into a cache. */
async function coldWeights(device: Device, N: number, K: number): Promise<LinearWeight[]> {
  return onStream(device, async (stream) => {
    const source = filled(stream, "bf16", [N, K]);
    const count = Math.max(1, Math.ceil(cachedBytes / (2 * N * K)));
    const weights = Array.from({ length: count }, () => packLinear(stream, source));
    await stream.synchronize();
    return weights;
  });
}

async function fastest(device: Device, T: number, weights: readonly LinearWeight[]): Promise<Shape> {
  const { outputs: N, inputs: K } = weights[0]!;
  let best: { shape: Shape; us: number } | undefined;
  const report: string[] = [];
  for (const shape of candidates(T)) {
    const us = await measure(device, T, weights, shape);
    report.push(`${shape} ${us.toFixed(1)}`);
    if (!best || us < best.us) best = { shape, us };
  }
  console.error(`T=${T} N=${N} K=${K}: ${report.join(", ")} us`);
  return best!.shape;
}

/** One shape per bucket, [K][T][N]. */
async function measureAll(device: Device): Promise<Shape[][][]> {
  const result: Shape[][][] = [];
  for (const K of sizes(inputs)) {
    const byRows: Shape[][] = sizes(rows).map(() => []);
    for (const N of sizes(outputs)) {
      const weights = await coldWeights(device, N, K);
      for (const [i, T] of sizes(rows).entries()) byRows[i]!.push(await fastest(device, T, weights));
      for (const weight of weights) weight.dispose();
    }
    result.push(byRows);
  }
  return result;
}

function bound(name: string, bounds: readonly number[], i: number): string {
  return i < bounds.length ? `${name} <= ${bounds[i]}` : `${name} > ${bounds.at(-1)}`;
}

function render(chosen: readonly Shape[][][], source: string): string {
  const list = (values: readonly (string | number)[]) => values.join(", ");
  const blocks = chosen.map((byRows, k) => {
    const lines = byRows.map((shapesOfRow, t) => {
      const cells = shapesOfRow.map((shape) => shape.padStart(8)).join(", ");
      return `        {${cells}},  // ${bound("T", rows, t)}`;
    });
    return `    {   // ${bound("K", inputs, k)}\n${lines.join("\n")}\n    },`;
  });
  return `// Which tile shape linear.cu uses, by buckets of K, T and N. Written by bench/tuneLinear.ts.
// ${source}
#pragma once
#include <cstdint>

namespace warploop::cuda {

/// Rows x columns of a tile. s: streams the weights (cuda/gemm/streaming.cuh); t: cuda/gemm/tiles.cuh.
enum class LinearShape { ${list(shapes)} };
// clang-format off

// Upper ends of the buckets; the last bucket takes what is larger.
inline constexpr int64_t kInputBounds[] = {${list(inputs)}};
inline constexpr int64_t kRowBounds[] = {${list(rows)}};
inline constexpr int64_t kOutputBounds[] = {${list(outputs)}};

namespace linear_tiles {
using enum LinearShape;
inline constexpr LinearShape kChosen[${chosen.length}][${chosen[0]!.length}][${chosen[0]![0]!.length}] = {  // N: ${list(outputs.map((N) => `<= ${N}`))}, more
${blocks.join("\n")}
};
// clang-format on
}  // namespace linear_tiles

}  // namespace warploop::cuda
`;
}

const values = benchArgs(import.meta.url, { estimate: { type: "boolean", default: false } });
if (values.estimate) {
  const chosen = sizes(inputs).map(() => sizes(rows).map((T) => sizes(outputs).map((N) => estimate(T, N))));
  writeFileSync(table, render(chosen, "Not measured: the rule of that script."));
} else {
  const device = Device.open("cuda");
  const chosen = await measureAll(device);
  writeFileSync(table, render(chosen, `Measured on ${device.name}.`));
  await device.dispose();
}
console.log(readFileSync(table, "utf8"));
