/**
 * What constraints cost a batch: tokens/s of 32 sequences, none, half or all of which have a form, in turns in one run (median of the ratios to none).
 * Four layers of the Qwen3-0.6B shape with 151,936 tokens, so that what is done for a token of the vocabulary shows more than in a whole model.
 *
 *     npm run bench:grammar-batch -- [--rounds 5] [--sequences 32] [--tokens 48]
 */
import { LLM, type OutputFormat } from "../lib/index.js";
import { benchArgs } from "./support/benchArgs.js";
import { randomIds } from "./support/randomValues.js";
import { median } from "./support/statistics.js";
import { printTable } from "./support/table.js";
import { wideVocabularyModel } from "./support/wideVocabulary.js";

const values = benchArgs(import.meta.url, {
  rounds: { type: "string", default: "5" },
  sequences: { type: "string", default: "32" },
  tokens: { type: "string", default: "48" },
});
const [rounds, sequences, tokens] = [values.rounds, values.sequences, values.tokens].map(Number) as [
  number,
  number,
  number,
];

const item = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"],
};
/** They do not end before `tokens`. */
const forms: Readonly<Record<string, OutputFormat>> = {
  "objects of a schema": { schema: { type: "array", items: item, minItems: 100 } },
  "any JSON": { schema: { type: "array", minItems: 100 } },
  "a regular expression": { regex: "(?:[A-Z][a-z]+ ){100}" },
};

await using llm = await LLM.load(wideVocabularyModel(), {
  ...{ device: "cpu", contextLength: 512, maxSequences: sequences, prefixCache: false },
});

/** @param constrained how many of the sequences have the form @returns tokens/s */
async function run(format: OutputFormat, constrained: number): Promise<number> {
  const start = performance.now();
  const results = await Promise.all(
    Array.from({ length: sequences }, (_, i) =>
      llm
        .generate(randomIds(i, 16, llm.shape.vocabSize), {
          ...{ maxTokens: tokens, temperature: 1, seed: i },
          ...(i < constrained ? { format } : { ignoreEos: true }),
        })
        .result(),
    ),
  );
  const count = results.reduce((sum, { usage }) => sum + usage.completionTokens, 0);
  return (1000 * count) / (performance.now() - start);
}

const rows: string[][] = [];
for (const [name, format] of Object.entries(forms)) {
  await run(format, sequences); // compiles the form
  const ratios = { half: [] as number[], all: [] as number[] };
  const none: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const free = await run(format, 0);
    none.push(free);
    ratios.half.push((await run(format, sequences / 2)) / free);
    ratios.all.push((await run(format, sequences)) / free);
  }
  rows.push([name, median(none).toFixed(0), median(ratios.half).toFixed(3), median(ratios.all).toFixed(3)]);
}
const { isa, threads } = llm.stats();
console.log(`${sequences} sequences of ${tokens} tokens, cpu (${isa}, ${threads} threads)\n`);
printTable(["form", "none: tokens/s", "half of them", "all of them"], rows);
