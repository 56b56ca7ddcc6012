/**
 * Streams a story:  npm start
 * Another prompt:   npm start -- "Once upon a time" --max-tokens 100 --temperature 0.8 --seed 7 --model <folder or hub id>
 */
import { LLM } from "../lib/index.js";
import { numberOf, readArguments } from "./arguments.js";

const { values, text } = readArguments(
  `npm start -- ["A prompt"] [--model <folder or hub id>] [--max-tokens 256] [--temperature 0] [--seed <number>]`,
  {
    model: { type: "string", default: "models/tiny-moe" },
    "max-tokens": { type: "string", default: "256" },
    temperature: { type: "string", default: "0" },
    seed: { type: "string" },
  },
  true,
);
const prompt = text || "Once upon a time, a small fox named Wren lived near";
const options = {
  maxTokens: numberOf("max-tokens", values["max-tokens"]),
  temperature: numberOf("temperature", values.temperature),
  seed: numberOf("seed", values.seed),
};

await using llm = await LLM.load(values.model);
const { architecture, dtype } = llm.shape;
const { device, isa, threads } = llm.stats();
console.error(`${values.model}: ${architecture}, ${dtype} on ${device} (${isa}, ${threads} threads)\n`);

const stream = llm.generate(prompt, options); // refuses what the options cannot be before anything is printed
process.stdout.write(prompt);
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
