/** warploop's side of the comparison. Arguments: folder or GGUF file, load options as JSON. */
import { LLM, type LLMOptions } from "../../lib/index.js";
import { type Engine, serve } from "./side.js";

const [path, options] = process.argv.slice(2);

await serve(async (): Promise<Engine> => {
  const llm = await LLM.load(path!, {
    ...(JSON.parse(options!) as LLMOptions),
    ...{ device: "cpu", prefixCache: false }, // the peer computes every prompt, too
  });
  async function* generate(prompt: number[], count: number): AsyncGenerator<number> {
    const greedy = { maxTokens: count, temperature: 0, ignoreEos: true };
    for await (const { tokenIds } of llm.generate(prompt, greedy)) yield* tokenIds;
  }
  const { vocabSize, weights } = llm.shape;
  const sum = (of: "parameters" | "bytes"): number => weights.reduce((total, each) => total + each[of], 0);
  return {
    vocabSize,
    weights: { parameters: sum("parameters"), bytes: sum("bytes") },
    prepare: () => Promise.resolve(generate),
  };
});
