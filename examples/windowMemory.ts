/**
 * What sliding windows keep:  npm run example:window-memory
 * One model with random weights, without windows, with a window in three layers of four, and with one in every layer. While it generates 20
 * windows, `stats()` says how much of the KV cache is in use: flat where windows let go, growing where layers see everything.
 */
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { randomCheckpoint } from "../bench/support/randomCheckpoint.js";
import { LLM } from "../lib/index.js";
import { attentionState } from "../lib/nn/attention.js";
import { stateLayout } from "../lib/nn/state.js";
import { readArguments } from "./arguments.js";
import { drawCharts, printTable } from "./plot.js";

readArguments("npm run example:window-memory   (no arguments)", {});

const [window, numLayers, contextLength] = [64, 8, 2048];
const heads = { numKvHeads: 2, headDim: 64 };
const shape = { numLayers, vocabSize: 512, hiddenSize: 128, numHeads: 4, ...heads, mlpWidth: 256 };
const weights = randomCheckpoint("qwen3-0.6b", shape);
const config = JSON.parse(readFileSync(`${weights}/config.json`, "utf8")) as object;

/** The same weights with windows in some layers: KV cache in use after each token, in kB. */
async function measure(name: string, windows: readonly number[]) {
  const folder = `${weights}-${name.replaceAll(" ", "-")}`;
  mkdirSync(folder, { recursive: true });
  copyFileSync(`${weights}/model.safetensors`, `${folder}/model.safetensors`);
  const layer_types = windows.map((size) => (size > 0 ? "sliding_attention" : "full_attention"));
  const fields = { use_sliding_window: true, sliding_window: window, layer_types };
  writeFileSync(`${folder}/config.json`, JSON.stringify({ ...config, ...fields }));

  const options = { contextLength, maxSequences: 1, maxStepTokens: 64, prefixCache: false };
  await using llm = await LLM.load(folder, { ...options, onProgress: false });
  const { dtype } = llm.shape;
  const layers = windows.map((size) => attentionState({ ...heads, dtype, window: size }));
  const { blockBytes } = stateLayout(layers, { pageSize: 16, longest: contextLength });
  const points: (readonly [tokens: number, kB: number])[] = [];
  for await (const _ of llm.generate([1, 2, 3], { maxTokens: 20 * window, ignoreEos: true, seed: 1 }))
    points.push([points.length + 1, (llm.stats().usedPages * blockBytes) / 1000]);
  return { name, points };
}

const kinds = { "no windows": 0, "three layers of four": 3, "every layer": 4 }; // so many layers of four
const runs: Awaited<ReturnType<typeof measure>>[] = [];
for (const [name, count] of Object.entries(kinds)) {
  const windows = Array.from({ length: numLayers }, (_, layer) => (layer % 4 < count ? window : 0));
  runs.push(await measure(name, windows));
}
const tokens = [1, 2, 5, 10, 20].map((count) => count * window - 10);
const cells = ({ points }: (typeof runs)[number]) =>
  tokens.map((n) => [`kB at ${n}`, points[n]![1]] as const);
printTable(runs.map((run) => ({ "windows of 64": run.name, ...Object.fromEntries(cells(run)) })));
const series = Object.fromEntries(runs.map(({ name, points }) => [name, points]));
const chart = { kind: "line", x: "generated token", y: "KV cache in use (kB)", series } as const;
console.log(`\n${drawCharts("window-memory.svg", "What sliding windows keep", [chart])}`);
