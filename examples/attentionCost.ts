/**
 * Time and memory of flash attention against the naive one:  npm run example:attention-cost
 * One causal head of width 64, f32. The naive attention writes the [L, L] matrix of all scores. Flash attention walks over
 * keys and values in tiles with a running softmax and holds one tile of scores at a time.
 */
import { Device, ops, type Tensor } from "../lib/index.js";
import { drawCharts } from "./plot.js";

const [width, scale] = [64, 1 / 8];
await using device = Device.open("auto");
const stream = device.createStream();
const random = (L: number) =>
  stream.fromArray(
    "f32",
    [L, width],
    Float32Array.from({ length: L * width }, () => 2 * Math.random() - 1),
  );

/** Milliseconds (the best of five), bytes that are allocated, and the result, which must come first. */
async function measure(attention: () => [Tensor, ...Tensor[]]) {
  const times: number[] = [];
  for (let i = 0; i < 6; i++) {
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

/** One row of the table. */
async function compare(L: number) {
  const [q, k, v] = [random(L), random(L), random(L)];
  const [keys, values] = [ops.packLinear(stream, k), ops.packLinear(stream, v, { transpose: true })];
  const naive = await measure(() => {
    const scores = ops.linear(stream, q, keys); // [L, L] = Q K^T
    ops.softmax(stream, scores, { causal: true, scale, out: scores }); // in place: no second matrix
    return [ops.linear(stream, scores, values), scores, keys.tensor, values.tensor]; // P V
  });
  const [qs, ks, vs] = [q, k, v].map((x) => x.splitLast(1, width)) as [Tensor, Tensor, Tensor]; // [L, 1, 64]
  const flash = await measure(() => [ops.flashAttention(stream, qs, ks, vs, { causal: true, scale })]);
  const difference = naive.result.reduce((most, x, i) => Math.max(most, Math.abs(x - flash.result[i]!)), 0);
  const [time, memory] = [
    { naiveMs: naive.ms, flashMs: flash.ms },
    { naiveMB: naive.MB, flashMB: flash.MB },
  ];
  return { L, ...time, ...memory, difference };
}

console.log(`${device.name}, ${device.isa}, ${device.threads} threads`);
const rows: Awaited<ReturnType<typeof compare>>[] = [];
for (const L of [256, 512, 1024, 2048, 4096, 8192]) rows.push(await compare(L));
const short = (row: object) =>
  Object.entries(row).map(([key, value]) => [key, Number(Number(value).toPrecision(4))]);
console.table(rows.map((row) => Object.fromEntries(short(row)) as object));

const x = { name: "sequence length L (tokens)", type: "log2" } as const;
const curves = (naive: "naiveMs" | "naiveMB", flash: "flashMs" | "flashMB") => ({
  "naive: the whole [L, L] matrix": rows.map((row) => [row.L, row[naive]] as const),
  "flash: tile by tile": rows.map((row) => [row.L, row[flash]] as const),
});
const time = { name: "time (ms)", type: "log10" } as const;
const memory = { name: "memory (MB)", type: "log10" } as const;
const picture = drawCharts("attention-cost.svg", "What attention costs", [
  { title: "Time", kind: "line", x, y: time, series: curves("naiveMs", "flashMs") },
  { title: "Memory", kind: "line", x, y: memory, series: curves("naiveMB", "flashMB") },
]);
console.log(picture);
