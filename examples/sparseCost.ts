/**
 * Time of DeepSeek's attention for one new token, dense and sparse:  npm run example:sparse-cost
 * The shape of DeepSeek V3.2: 128 heads over latents of 512 + 64 numbers. Dense attention looks at all L tokens. The sparse one has an
 * indexer, 64 small heads of width 128, which looks at L small keys and chooses 2048 tokens, and attention looks at these.
 */
import { Device, ops } from "../lib/index.js";
import { readArguments } from "./arguments.js";
import { drawCharts, printTable } from "./plot.js";

readArguments("npm run example:sparse-cost   (no arguments)", {});

const [heads, latent, rotated, indexHeads, indexWidth, topK, pageSize] = [128, 512, 64, 64, 128, 2048, 64];
const lengths = [1024, 2048, 4096, 8192, 16_384, 32_768, 65_536];
const longest = lengths.at(-1)!;
await using device = Device.open("cpu"); // on a GPU no tensor cores attend to chosen tokens yet
const stream = device.createStream();

function random(...shape: number[]) {
  const values = new Float32Array(shape.reduce((a, b) => a * b)).map(() => 2 * Math.random() - 1);
  using wide = stream.fromArray("f32", shape, values);
  return ops.cast(stream, wide, "bf16");
}
const integers = (...values: number[]) => stream.fromArray("i32", [values.length], Int32Array.from(values));

const q = random(1, heads, latent + rotated);
const latents = random(longest / pageSize, pageSize, latent + rotated);
const indexQueries = random(1, indexHeads, indexWidth);
const indexKeys = random(longest / pageSize, pageSize, indexWidth);
const weights = stream.fromArray("f32", [1, indexHeads], new Float32Array(indexHeads).map(Math.random));
const pageTable = integers(...Array.from({ length: longest / pageSize }, (_, i) => i)).reshape([1, -1]);
const [rows, cuSeqlensQ] = [integers(0), integers(0, 1)];

/** Milliseconds: the best of at least eleven. */
async function measure(run: () => unknown): Promise<number> {
  const times: number[] = [];
  for (const begin = performance.now(); times.length < 12 || performance.now() < begin + 500;) {
    using _temporaries = stream.scope();
    const start = performance.now();
    run();
    await stream.synchronize();
    times.push(performance.now() - start);
  }
  return Math.min(...times.slice(1));
}

async function compare(L: number) {
  const sequence = [pageTable, rows, cuSeqlensQ, integers(L)] as const;
  const choose = () => ops.indexerTopK(stream, indexQueries, weights, indexKeys, ...sequence, { topK });
  const options = { latent, scale: 1 / Math.sqrt(192) };
  const dense = await measure(() => ops.mlaAttention(stream, q, latents, ...sequence, options));
  const indexer = await measure(choose);
  const chosen = { ...options, indices: choose() };
  const attention = await measure(() => ops.mlaAttention(stream, q, latents, ...sequence, chosen));
  const times = { "dense ms": dense, "indexer ms": indexer, "chosen ms": attention };
  return { L, ...times, "sparse ms": indexer + attention, "dense / sparse": dense / (indexer + attention) };
}

console.log(`${device.name}, ${device.isa}, ${device.threads} threads\n`);
const table: Awaited<ReturnType<typeof compare>>[] = [];
for (const L of lengths) table.push(await compare(L));
printTable(table);

const time = (column: "dense ms" | "sparse ms" | "indexer ms") =>
  table.filter((row) => row[column] > 0.05).map((row) => [row.L, row[column]] as const); // a short context has nothing to choose
const series = {
  "dense: all tokens": time("dense ms"),
  "sparse: an indexer and 2048 tokens": time("sparse ms"),
  "of it the indexer": time("indexer ms"),
};
const axes = { x: "context L (tokens)", y: "time of a token (ms)", log: true };
console.log(
  `\n${drawCharts("sparse-cost.svg", "What DeepSeek's attention costs", [{ kind: "line", ...axes, series }])}`,
);
