/**
 * Many prompts at once:  npm run example:batch   (or: -- --model <folder or hub id>; a progress bar with tokens/s when the terminal is interactive)
 * The same prompts one after another take longer: continuous batching reads the weights once for all of them.
 */
import { LLM } from "../lib/index.js";
import { readArguments } from "./arguments.js";

const { values } = readArguments("npm run example:batch -- [--model <folder or hub id>]", {
  model: { type: "string", default: "models/tiny-moe" },
});

const names = ["Wren", "Tala", "Milo", "Bram", "Odo", "Pip", "Juno", "Fern"];
const animals = ["fox", "badger", "otter", "hare"];
const prompts = names.flatMap((name) =>
  animals.map((animal) => `Once upon a time, a small ${animal} named ${name}`),
);

await using llm = await LLM.load(values.model);
const options = { maxTokens: 96 };
await llm.generateAll(prompts.slice(0, 2), { ...options, progress: false }); // warm-up

let start = performance.now();
const results = await llm.generateAll(prompts, options);
const together = performance.now() - start;
const tokens = results.reduce((sum, result) => sum + result.usage.completionTokens, 0);

start = performance.now();
for (const prompt of prompts) await llm.generate(prompt, options).result();
const apart = performance.now() - start;

for (const [i, result] of results.slice(0, 3).entries()) console.log(`${prompts[i]}${result.text}\n`);
const rate = (ms: number) => `${((tokens / ms) * 1000).toFixed(0)} tokens/s`;
console.log(
  `${prompts.length} prompts, ${tokens} tokens: together ${rate(together)}, one by one ${rate(apart)}`,
);
const { steps, stepMs, prefix, preemptions } = llm.stats();
console.log(
  `${steps} steps, the last ones ${stepMs.toFixed(2)} ms each; ${prefix.hits} prompt tokens cached; ${preemptions} preemptions`,
);
