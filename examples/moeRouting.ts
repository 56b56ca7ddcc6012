/**
 * Where a mixture of experts sends its tokens:  npm run example:moe-routing
 * models/tiny-moe tells a few stories; then `llm.routing` says which experts every token of them goes to, layer by layer. An
 * even load has an entropy of log2(experts) bits and a largest share of 1x the mean.
 */
import { LLM } from "../lib/index.js";
import { drawHeatmap, printTable } from "./plot.js";

const prompts = [
  "Once upon a time, a small fox named Wren lived near",
  "Please tell me about Tala, a badger who finds a lantern.",
  "The old lighthouse keeper",
  '"Why is the river so loud tonight?" asked Milo.',
  "In the middle of winter, the hare",
  "Juno and Pip were friends, but",
];

await using llm = await LLM.load("models/tiny-moe");
const { numLayers, numExperts, expertsPerToken } = llm.shape;
const stories = await llm.generateAll(prompts, { maxTokens: 160, progress: false });

const counts = Array.from({ length: numLayers }, () => new Array<number>(numExperts).fill(0));
let numTokens = 0;
for (const [i, { tokenIds }] of stories.entries()) {
  const ids = [...llm.tokenizer!.encode(prompts[i]!), ...tokenIds];
  numTokens += ids.length;
  for (const [layer, experts] of (await llm.routing(ids)).entries()) {
    for (const expert of experts) counts[layer]![expert]!++;
  }
}

// Shares of all choices, so that every layer sums to 100 %.
const shares = counts.map((row) => row.map((count) => (100 * count) / (numTokens * expertsPerToken)));
console.log(
  `${numTokens} tokens, each through ${expertsPerToken} of ${numExperts} experts in ${numLayers} layers\n`,
);
printTable(
  shares.map((row, layer) => {
    const entropy = row.reduce(
      (sum, share) => sum - (share > 0 ? (share / 100) * Math.log2(share / 100) : 0),
      0,
    );
    const cells = row.map((share, expert) => [`E${expert} %`, share] as const);
    return {
      layer,
      ...Object.fromEntries(cells),
      "entropy bits": entropy,
      "max/mean": (Math.max(...row) * numExperts) / 100,
    };
  }),
);

const even = 100 / numExperts;
const picture = drawHeatmap("moe-routing.svg", "Share of tokens per expert and layer", {
  x: { name: "expert", labels: counts[0]!.map((_, expert) => `${expert}`) },
  y: { name: "layer", labels: counts.map((_, layer) => `${layer}`) },
  values: shares,
  unit: "%",
  range: [0, 2 * even],
});
console.log(`\n${picture}`);
