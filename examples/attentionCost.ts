/**
 * Time and memory of flash attention against the naive one:  npm run example:attention-cost
 * Then that of examples/sparseCost.ts, dense attention against sparse one.
 * One causal head of width 64, f32. The naive attention writes the [L, L] matrix of all scores. Flash attention walks over
 * keys and values in tiles with a running softmax and holds one tile of scores at a time.
 */
import { Device, ops, type Tensor } from "../lib/index.js";
import { readArguments } from "./arguments.js";
import { type Chart, drawCharts, printTable } from "./plot.js";

readArguments("npm run example:attention-cost   (no arguments)", {});

const [width, scale] = [64, 1 / 8];
await using device = Device.open("auto");
const stream = device.createStream();
const values = (count: number) => new Float32Array(count).map(() => 2 * Math.random() - 1);
const random = (L: number) => stream.fromArray("f32", [L, width], values(L * width));

/** Milliseconds (the best of at least five), bytes that are allocated, and the result, which must come first. */
async function measure(attention: () => [Tensor, ...Tensor[]]) {
  const times: number[] = [];
  for (const begin = performance.now(); times.length < 6 || performance.now() < begin + 500;) {
    using _temporaries = stream.scope(); // tensors come from an arena, which the first run grows
    const start = performance.now();
    attention();
    await stream.synchronize();
    times.push(performance.now() - start);
  }
  const tensors = attention(); // outside a scope every tensor has its own memory
  const result = await tensors[0].readFloat32(stream);
  const bytes = tensors.reduce((sum, { memory }) => sum + memory.bytes, 0);
  for (const tensor of tensors) tensor.dispose();
  return { ms: Math.min(...times.slice(1)), MB: bytes / 1e6, result };
}

async function compare(L: number) {
  const [q, k, v] = [random(L), random(L), random(L)];
  const [packedK, packedV] = [ops.packLinear(stream, k), ops.packLinear(stream, v, { transpose: true })];
  const naive = await measure(() => {
    const scores = ops.linear(stream, q, packedK); // [L, L] = Q K^T
    ops.softmax(stream, scores, { causal: true, scale, out: scores }); // in place: no second matrix
    const packed = [packedK, packedV].map((weight) => weight.segments[0]!.data);
    return [ops.linear(stream, scores, packedV), scores, ...packed]; // P V
  });
  const [qs, ks, vs] = [q, k, v].map((x) => x.splitLast(1, width)) as [Tensor, Tensor, Tensor]; // [L, 1, 64]
  const flash = await measure(() => [ops.flashAttention(stream, qs, ks, vs, { causal: true, scale })]);
  const difference = naive.result.reduce((most, x, i) => Math.max(most, Math.abs(x - flash.result[i]!)), 0);
  const ms = { "naive ms": naive.ms, "flash ms": flash.ms };
  return { L, ...ms, "naive MB": naive.MB, "flash MB": flash.MB, "largest difference": difference };
}

console.log(`${device.name}, ${device.isa}, ${device.threads} threads\n`);
const rows: Awaited<ReturnType<typeof compare>>[] = [];
for (const L of [256, 512, 1024, 2048, 4096, 8192]) rows.push(await compare(L));
printTable(rows);

const chart = (unit: "ms" | "MB", y: string): Chart => ({
  ...{ kind: "line", x: "sequence length L (tokens)", y, log: true },
  series: {
    "naive: the whole [L, L] matrix": rows.map((row) => [row.L, row[`naive ${unit}`]]),
    "flash: tile by tile": rows.map((row) => [row.L, row[`flash ${unit}`]]),
  },
});
const charts = [chart("ms", "time (ms)"), chart("MB", "memory (MB)")];
console.log(`\n${drawCharts("attention-cost.svg", "What attention costs", charts)}\n`);
await import("./sparseCost.js"); // and DeepSeek's, dense and sparse
