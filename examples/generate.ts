/**
 * Streams a story:  npm start
 * Another prompt:   npm start -- "Once upon a time" --max-tokens 100 --temperature 0.8 --seed 7 --model <folder or hub id>
 */
import { parseArgs } from "node:util";
import { LLM } from "../lib/index.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: "string", default: "models/tiny-moe" },
    "max-tokens": { type: "string", default: "256" },
    temperature: { type: "string", default: "0" },
    seed: { type: "string" },
  },
});
const prompt = positionals.join(" ") || "Once upon a time, a small fox named Wren lived near";

await using llm = await LLM.load(values.model);
const { architecture, dtype } = llm.shape;
const { device, isa, threads } = llm.stats();
console.error(`${values.model}: ${architecture}, ${dtype} on ${device} (${isa}, ${threads} threads)\n`);

process.stdout.write(prompt);
const stream = llm.generate(prompt, {
  maxTokens: Number(values["max-tokens"]),
  temperature: Number(values.temperature),
  ...(values.seed !== undefined && { seed: Number(values.seed) }),
});

const start = performance.now();
let firstToken = 0;
let tokens = 0;
for await (const chunk of stream) {
  firstToken ||= performance.now();
  tokens += chunk.tokenIds.length;
  process.stdout.write(chunk.text);
  if (chunk.finishReason === "length") process.stdout.write(" ...");
}
const seconds = (performance.now() - firstToken) / 1000;
console.error(
  `\n\n${tokens} tokens, ${((tokens - 1) / seconds).toFixed(0)} tokens/s, ` +
    `first token after ${(firstToken - start).toFixed(0)} ms`,
);
