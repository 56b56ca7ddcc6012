/**
 * Where a mixture of experts sends its tokens:  npm run example:moe-routing   (or: -- --model <folder or hub id>)
 * The model tells a few stories; then `llm.routing` says which experts every token of them goes to, layer by layer. An
 * even load has an entropy of log2(experts) bits and a largest share of 1x the mean.
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
await using llm = await LLM.load(values.model);
const { numLayers, numExperts, expertsPerToken } = llm.shape;
if (numExperts === 0) throw new Error(`${values.model}: a model without experts`);
const stories = await llm.generateAll(prompts, { maxTokens: 160, progress: false });

const counts = Array.from({ length: numLayers }, () => new Array<number>(numExperts).fill(0));
let numTokens = 0;
for (const [i, { tokenIds }] of stories.entries()) {
  const ids = [...llm.tokenizer!.encode(prompts[i]!), ...tokenIds];
  numTokens += ids.length;
  const layers = await llm.routing(ids); // for every layer [T, K]
  layers.forEach((experts, layer) => experts.forEach((expert) => counts[layer]![expert]!++));
}
console.log(`${numTokens} tokens, each through ${expertsPerToken} of ${numExperts} experts in every layer\n`);

// Shares of all choices: every layer sums to 1.
const shares = counts.map((row) => row.map((count) => count / (numTokens * expertsPerToken)));
const rows = shares.map((row, layer) => {
  const entropy = -row.reduce((sum, p) => sum + (p > 0 ? p * Math.log2(p) : 0), 0);
  const percent = Object.fromEntries(row.map((share, expert) => [`E${expert} %`, 100 * share]));
  return { layer, ...percent, "entropy (bits)": entropy, "max/mean": Math.max(...row) * numExperts };
});
printTable(rows);

const numbers = (count: number) => Array.from({ length: count }, (_, i) => `${i}`);
const picture = drawHeatmap("moe-routing.svg", "Load of the experts: share of the tokens' choices", {
  x: { name: "expert", labels: numbers(numExperts) },
  y: { name: "layer", labels: numbers(numLayers) },
  values: shares.map((row) => row.map((share) => 100 * share)),
  unit: "%",
  range: [0, 200 / numExperts],
});
console.log(`\n${picture}`);
