/**
 * Bytes of KV cache per token, as the engine lays it out and as the formula has it:  npm run example:cache-sizes
 * One shape, 32 layers of 32 heads of width 128 in bf16, with six kinds of attention: MHA, GQA, MQA, MLA (one latent of 512 numbers and a
 * rotated key of 64 for all heads), MLA whose latents are kept in fp8 with a factor for each 128 numbers, and GQA whose layers see 1024 tokens but for every sixth.
 */
import { attentionState } from "../lib/nn/attention.js";
import { latentState } from "../lib/nn/mla.js";
import { pageSizeOf, stateLayout } from "../lib/nn/state.js";
import { CacheGroup, peakBlocks } from "../lib/schedule/cacheGroup.js";
import { readArguments } from "./arguments.js";
import { drawCharts, printTable } from "./plot.js";

readArguments("npm run example:cache-sizes   (no arguments)", {});

const [numLayers, headDim, dtype, window, chunk] = [32, 128, "bf16", 1024, 512] as const;
const lengths = [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072];
const longest = lengths.at(-1)!;

/** What a layer keeps, and its bytes of a token by the formula: keys and values, those in the window. */
const heads = (numKvHeads: number, windowOf: (layer: number) => number = () => 0) => ({
  stateOf: (layer: number) => attentionState({ numKvHeads, headDim, dtype, window: windowOf(layer) }),
  formula: (layer: number, length: number) =>
    2 * numKvHeads * headDim * 2 * Math.min(1, (windowOf(layer) || Infinity) / length),
});
const latents = {
  stateOf: () => latentState({ rank: 512, rotatedDim: 64, dtype }),
  formula: () => (512 + 64) * 2,
};
const latentCodes = {
  stateOf: () => latentState({ rank: 512, rotatedDim: 64, dtype, kvDtype: "fp8e4m3" }),
  formula: () => 512 + 4 * 4 + 64 * 2,
};
const slides = (layer: number) => (layer % 6 === 5 ? 0 : window);
const kinds = {
  ...{ MHA: heads(32), GQA: heads(8), MQA: heads(1), MLA: latents, "MLA, fp8": latentCodes },
  "5:1 windows": heads(8, slides),
};

const layers = Array.from({ length: numLayers }, (_, layer) => layer);
const rows = Object.entries(kinds).flatMap(([attention, { stateOf, formula }]) => {
  const specs = layers.map(stateOf);
  const pageSize = pageSizeOf(specs);
  const layout = stateLayout(specs, { pageSize, longest });
  const groups = layout.groups.map((group, i) => new CacheGroup(i, group, pageSize, chunk));
  return lengths.map((length) => ({
    attention,
    length,
    engine: (peakBlocks(groups, length) * layout.blockBytes) / length, // of a request at its longest
    formula: layers.reduce((sum, layer) => sum + formula(layer, length), 0),
  }));
});
console.log("bytes per token of one request; a window also holds the chunk of a prompt that runs\n");
printTable(rows.filter(({ length }) => [1024, 8192, 131_072].includes(length)));

const curve = (of: "engine" | "formula") => ({
  ...({ kind: "line", log: true, x: "context (tokens)", y: `KB per token, ${of}` } as const),
  series: Object.fromEntries(
    Object.keys(kinds).map((name) => {
      const points = rows.filter(({ attention }) => attention === name);
      return [name, points.map((row) => [row.length, row[of] / 1024] as const)];
    }),
  ),
});
console.log(`\n${drawCharts("cache-sizes.svg", "What a token takes", [curve("engine"), curve("formula")])}`);
