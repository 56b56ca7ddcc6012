/**
 * How alike sentences are:  npm run example:embed -- --model Qwen/Qwen3-Embedding-0.6B "one sentence" "another" "a third"
 * A vector for each sentence, and the cosine of each two of them. The model of a clone only shows that it runs: it knows a few stories,
 * and is not made for embeddings, so that the mean over all tokens says more than the last one.
 */
import { LLM } from "../lib/index.js";
import { readArguments } from "./arguments.js";
import { drawHeatmap, printTable } from "./plot.js";

const { values, texts: given } = readArguments(
  `npm run example:embed -- ["a sentence" "another"] [--model <folder or hub id>] [--mean]`,
  { model: { type: "string", default: "models/tiny-moe" }, mean: { type: "boolean", default: false } },
  true,
);
const stories = [
  "A small fox lived near the sea.",
  "A young badger lived in the hills.",
  "Tell me about a lantern.",
];
const texts = given.length > 0 ? given : stories;
await using llm = await LLM.load(values.model);
const vectors = await llm.embed(texts, { pooling: values.mean ? "mean" : "last" });

const cosine = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, d) => sum + x * b[d]!, 0); // of unit length
const table = vectors.map((a) => vectors.map((b) => cosine(a, b)));
const names = texts.map((_, i) => `${i + 1}.`);
texts.forEach((text, i) => console.log(`${names[i]!}  ${text}`));
printTable(
  table.map((row, i) => ({ "": names[i]!, ...Object.fromEntries(row.map((x, j) => [names[j]!, x])) })),
);

const axis = { name: "sentence", labels: names };
const title = `Cosines of ${llm.shape.hiddenSize} numbers each`;
const heatmap = { x: axis, y: axis, values: table, unit: "", digits: 2, range: [0, 1] } as const;
console.log(`\n${drawHeatmap("embed.svg", title, heatmap)}`);
