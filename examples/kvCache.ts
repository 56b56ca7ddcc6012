/**
 * What the KV cache saves and what it takes:  npm run example:kv-cache
 * GPT-2's 124M shape with random weights, 200 greedy tokens. With the cache a step runs one token; without it every step
 * runs the whole text again. Then the size of the cache with 12, 4 and 1 key-value heads: MHA, GQA and MQA.
 */
import { randomCheckpoint } from "../bench/support/randomCheckpoint.js";
import { kvPageBytes } from "../lib/engine/engineOptions.js";
import { LLM } from "../lib/index.js";
import { drawCharts, printTable } from "./plot.js";

const [prompt, numTokens, pageSize] = [[464, 1263, 318, 257], 200, 16];
const checkpoint = randomCheckpoint("gpt2-124m"); // 250 MB, written once
await using llm = await LLM.load(checkpoint, { maxSequences: 1, prefixCache: false, pageSize });
const { architecture, dtype, numLayers, numHeads, maxPositions } = llm.shape;
console.log(`${architecture}, ${numLayers} layers, ${numHeads} heads, ${dtype}: ${numTokens} tokens\n`);

async function* withCache(maxTokens: number) {
  for await (const { tokenIds } of llm.generate(prompt, { maxTokens, ignoreEos: true })) yield* tokenIds;
}

async function* withoutCache(maxTokens: number) {
  const ids = [...prompt];
  while (ids.length < prompt.length + maxTokens) {
    const { tokenIds } = await llm.generate(ids, { maxTokens: 1, ignoreEos: true }).result();
    ids.push(...tokenIds);
    yield* tokenIds;
  }
}

/** The tokens, and the milliseconds that each of them took. */
async function time(tokens: AsyncIterable<number>) {
  const result: { readonly id: number; readonly ms: number }[] = [];
  let last = performance.now();
  for await (const id of tokens) {
    result.push({ id, ms: performance.now() - last });
    last = performance.now();
  }
  return result;
}

for (const run of [withCache, withoutCache]) await time(run(3)); // warm-up
const [cached, recomputed] = [await time(withCache(numTokens)), await time(withoutCache(numTokens))];
const seconds = (run: typeof cached) => run.reduce((sum, { ms }) => sum + ms / 1000, 0);
const row = (run: typeof cached) => ({ seconds: seconds(run), "tokens/s": numTokens / seconds(run) });
printTable(
  Object.entries({ with: cached, without: recomputed }).map(([cache, run]) => ({ cache, ...row(run) })),
);
const same = cached.every(({ id }, i) => id === recomputed[i]!.id);
const ratio = (seconds(recomputed) / seconds(cached)).toFixed(1);
console.log(`With the cache ${ratio} times as fast; the tokens are ${same ? "the same" : "DIFFERENT"}.\n`);

const sizes = Object.entries({ MHA: 12, GQA: 4, MQA: 1 }).map(([attention, numKvHeads]) => {
  const bytesPerToken = kvPageBytes({ ...llm.shape, numKvHeads }, pageSize) / pageSize; // as the engine counts
  return { attention, numKvHeads, bytesPerToken, contextMB: (bytesPerToken * maxPositions) / 1e6 };
});
printTable(sizes);

const curve = (run: typeof cached) => run.map(({ ms }, i) => [i + 1, ms] as const);
const speed = { "without the cache": curve(recomputed), "with it": curve(cached) };
const size = {
  [`a context of ${maxPositions} tokens`]: sizes.map((s) => [s.attention, s.contextMB] as const),
};
const picture = drawCharts("kv-cache.svg", "What the KV cache saves and takes", [
  { kind: "line", x: "generated token", y: "time per token (ms)", series: speed },
  { kind: "bar", x: "key-value heads: 12, 4, 1", y: "KV cache (MB)", series: size },
]);
console.log(`\n${picture}`);
