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

async function time(tokens: AsyncIterable<number>) {
  const [ids, ms]: [number[], number[]] = [[], []];
  let last = performance.now();
  for await (const id of tokens) {
    ids.push(id);
    ms.push(performance.now() - last);
    last = performance.now();
  }
  const seconds = ms.reduce((sum, x) => sum + x, 0) / 1000;
  return {
    ids,
    ms,
    row: { "last token ms": ms.at(-1)!, "total s": seconds, "tokens/s": ids.length / seconds },
  };
}

for (const run of [withCache, withoutCache]) await time(run(3)); // warm-up
const [cached, recomputed] = [await time(withCache(numTokens)), await time(withoutCache(numTokens))];
const same = cached.ids.every((id, i) => id === recomputed.ids[i]);
printTable([
  { cache: "with", ...cached.row },
  { cache: "without", ...recomputed.row },
]);
const ratio = recomputed.row["total s"] / cached.row["total s"];
console.log(
  `The cache makes it ${ratio.toFixed(1)} times as fast; the tokens are ${same ? "the same" : "DIFFERENT"}.\n`,
);

const sizes = Object.entries({ MHA: 12, GQA: 4, MQA: 1 }).map(([attention, numKvHeads]) => {
  const perToken = kvPageBytes({ ...llm.shape, numKvHeads }, pageSize) / pageSize; // how the engine sizes its pages
  return {
    attention,
    "KV heads": numKvHeads,
    "bytes/token": perToken,
    "MB/context": (perToken * maxPositions) / 1e6,
  };
});
printTable(sizes);

const curve = (ms: readonly number[]) => ms.map((y, i) => [i + 1, y] as const);
const speed = { "with KV cache": curve(cached.ms), "without: the text again": curve(recomputed.ms) };
const bars = {
  [`KV cache of ${maxPositions} tokens`]: sizes.map((row) => [row.attention, row["MB/context"]] as const),
};
const picture = drawCharts("kv-cache.svg", "What the KV cache saves and takes", [
  { kind: "line", x: "generated token", y: "time per token (ms)", series: speed },
  { kind: "bar", x: "key-value heads: 12, 4, 1", y: "memory (MB)", series: bars },
]);
console.log(`\n${picture}`);
