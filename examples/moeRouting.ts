/**
 * Where a mixture of experts sends its tokens:  npm run example:moe-routing   (or: -- --model <folder or hub id>)
 * The model tells a few stories while the device counts which experts their tokens go to (`expertCounts`), layer by layer; then
 * `llm.routing` says it of every token of one sentence. An even load has an entropy of log2(experts) bits.
 */
import { LLM } from "../lib/index.js";
import { readArguments } from "./arguments.js";
import { drawHeatmap, printTable } from "./plot.js";

const { values } = readArguments("npm run example:moe-routing -- [--model <folder or hub id>]", {
  model: { type: "string", default: "models/tiny-moe" },
});

const prompts = [
  "Once upon a time, a small fox named Wren lived near",
  "Please tell me about Tala, a badger who finds a lantern.",
  "The old lighthouse keeper",
  '"Why is the river so loud tonight?" asked Milo.',
  "In the middle of winter, the hare",
];
await using llm = await LLM.load(values.model, { expertCounts: true });
const { numExperts, expertsPerToken } = llm.shape;
if (numExperts === 0) throw new Error(`${values.model}: a model without experts`);
await llm.generateAll(prompts, { maxTokens: 160, progress: false });

const loads = await llm.expertLoad();
const total = loads[0]!.counts.reduce((sum, count) => sum + count, 0);
const tokens = total / expertsPerToken;
console.log(`${tokens} tokens, each through ${expertsPerToken} of ${numExperts} experts in every layer\n`);

/** Of all choices of a layer, in percent. */
const sharesOf = (counts: readonly number[]): number[] => counts.map((count) => (100 * count) / total);
const rows = loads.map(({ layer, counts, entropy, busiestShare }) => {
  const bar = sharesOf(counts).map((share) => "▁▂▃▄▅▆▇█"[Math.min(7, Math.round((share * numExperts) / 25))]);
  return { layer, load: bar.join(""), "entropy (bits)": entropy, "busiest %": 100 * busiestShare };
});
printTable(rows);

const sentence = llm.tokenizer!.encode(prompts[2]!);
const routed = await llm.routing(sentence); // for every layer [T, K]
console.log(`\nExperts of layer ${loads[0]!.layer}, the best first:`);
for (const [t, id] of sentence.entries()) {
  const own = [...routed[loads[0]!.layer]!.subarray(t * expertsPerToken, (t + 1) * expertsPerToken)];
  console.log(`  ${JSON.stringify(llm.tokenizer!.decode([id]))}: ${own.join(", ")}`);
}

const picture = drawHeatmap("moe-routing.svg", "Load of the experts: share of the tokens' choices", {
  x: { name: "expert", labels: Array.from({ length: numExperts }, (_, expert) => `${expert}`) },
  y: { name: "layer", labels: loads.map(({ layer }) => `${layer}`) },
  values: loads.map(({ counts }) => sharesOf(counts)),
  unit: "%",
  digits: 1,
  range: [0, 200 / numExperts],
});
console.log(`\n${picture}`);
