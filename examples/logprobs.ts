/**
 * How sure the model is:  npm run example:logprobs -- "some text"   (or: --model <folder or hub id>)
 * Log probabilities of a text (perplexity) and of a continuation, with the alternatives at each step.
 */
import { LLM } from "../lib/index.js";
import { readArguments } from "./arguments.js";

const { values, text: given } = readArguments(
  `npm run example:logprobs -- ["some text"] [--model <folder or hub id>]`,
  { model: { type: "string", default: "models/tiny-moe" } },
  true,
);
const text = given || "Once upon a time, a small fox named Wren lived near";
await using llm = await LLM.load(values.model);
const result = await llm.generate(text, { maxTokens: 12, promptLogprobs: 1, logprobs: 3 }).result();

const percent = (logprob: number) => `${(100 * Math.exp(logprob)).toFixed(1)}%`.padStart(6);
const show = (text: string | undefined) => JSON.stringify(text).padEnd(12);

console.log("The prompt, token by token, and what the model would have said:");
const prompt = (result.promptLogprobs ?? []).filter((entry) => entry !== null);
for (const { text, logprob, top } of prompt) {
  const best = top[0]!;
  const other = best.logprob > logprob ? `  rather ${show(best.text)} ${percent(best.logprob)}` : "";
  console.log(`  ${show(text)} ${percent(logprob)}${other}`);
}
const mean = prompt.reduce((sum, { logprob }) => sum + logprob, 0) / prompt.length;
console.log(`perplexity ${Math.exp(-mean).toFixed(2)} over ${prompt.length} tokens\n`);

console.log("The continuation, with the best three at each step:");
for (const { text, top } of result.logprobs ?? []) {
  const alternatives = top.map((entry) => `${show(entry.text)} ${percent(entry.logprob)}`).join("  ");
  console.log(`  ${show(text)} |  ${alternatives}`);
}
