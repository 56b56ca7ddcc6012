/**
 * What the KV cache saves and what it takes:  npm run example:kv-cache
 * GPT-2's 124M shape with random weights, 200 greedy tokens. With the cache a step runs one token; without it every step
 * runs the whole text again. Then the size of the cache with 12, 4 and 1 key-value heads: MHA, GQA and MQA.
 */
import { randomCheckpoint } from "../bench/support/randomCheckpoint.js";
import { LLM } from "../lib/index.js";
import { attentionState } from "../lib/nn/attention.js";
import { stateLayout } from "../lib/nn/state.js";
import { readArguments } from "./arguments.js";
import { drawCharts, printTable } from "./plot.js";

readArguments("npm run example:kv-cache   (no arguments)", {});

const [prompt, numTokens] = [[464, 1263, 318, 257], 200];
console.error("Random weights of GPT-2: 250 MB, written once and kept in bench/output/checkpoints ...");
const checkpoint = randomCheckpoint("gpt2-124m");
await using llm = await LLM.load(checkpoint, { maxSequences: 1, prefixCache: false });
const { architecture, dtype, numLayers, numHeads, headDim, maxPositions } = llm.shape;
console.log(`${architecture}, ${numLayers} layers, ${numHeads} heads, ${dtype}: ${numTokens} tokens\n`);

async function* withCache(maxTokens: number) {
  for await (const { tokenIds } of llm.generate(prompt, { maxTokens, ignoreEos: true })) yield* tokenIds;
}

async function* withoutCache(maxTokens: number) {
  for (const text = [...prompt]; text.length < prompt.length + maxTokens;) {
    const { tokenIds } = await llm.generate(text, { maxTokens: 1, ignoreEos: true }).result();
    text.push(...tokenIds);
    yield* tokenIds;
  }
}

async function measure(tokens: AsyncIterable<number>) {
  const [ids, ms]: [number[], number[]] = [[], []];
  let last = performance.now();
  for await (const id of tokens) {
    ids.push(id);
    ms.push(performance.now() - last);
    last = performance.now();
  }
  return { ids, ms, seconds: ms.reduce((sum, x) => sum + x, 0) / 1000 };
}

for (const run of [withCache, withoutCache]) await measure(run(3)); // warm-up
console.error("The same text with the cache, then without, which takes a minute or two ...");
const [cached, recomputed] = [await measure(withCache(numTokens)), await measure(withoutCache(numTokens))];
const rates = ({ seconds }: typeof cached) => ({ seconds, "tokens/s": numTokens / seconds });
printTable([recomputed, cached].map((run, i) => ({ cache: ["without", "with"][i]!, ...rates(run) })));
const same = cached.ids.every((id, i) => id === recomputed.ids[i]) ? "the same" : "DIFFERENT";
console.log(`${(recomputed.seconds / cached.seconds).toFixed(1)} times as fast; the tokens are ${same}\n`);

const sizes = Object.entries({ MHA: 12, GQA: 4, MQA: 1 }).map(([attention, numKvHeads]) => {
  const layers = Array(numLayers).fill(attentionState({ numKvHeads, headDim, dtype, window: 0 }));
  const layout = stateLayout(layers, { pageSize: 16, longest: maxPositions });
  const bytesPerToken = layout.blockBytes / layout.pageSize;
  return { attention, numKvHeads, bytesPerToken, contextMB: (bytesPerToken * maxPositions) / 1e6 };
});
printTable(
  sizes.map(({ attention, numKvHeads, bytesPerToken, contextMB }) => ({
    ...{ attention, "KV heads": numKvHeads, "bytes per token": bytesPerToken },
    [`MB of ${maxPositions} tokens`]: contextMB,
  })),
);

const curve = ({ ms }: typeof cached) => ms.map((y, i) => [i + 1, y] as const);
const time = { "without the cache": curve(recomputed), "with it": curve(cached) };
const size = { [`${maxPositions} tokens`]: sizes.map((row) => [row.attention, row.contextMB] as const) };
const picture = drawCharts("kv-cache.svg", "What the KV cache saves and takes", [
  { kind: "line", x: "generated token", y: "time per token (ms)", series: time },
  { kind: "bar", x: "12, 4 and 1 key-value heads", y: "KV cache (MB)", series: size },
]);
console.log(`\n${picture}`);
