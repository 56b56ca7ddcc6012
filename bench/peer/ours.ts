/** warploop's side of the comparison. Arguments: checkpoint folder, threads, context length, most sequences. */
import { LLM } from "../../lib/index.js";
import { type Engine, serve } from "./side.js";

const [folder, threads, contextLength, maxSequences] = process.argv.slice(2);

await serve(async (): Promise<Engine> => {
  const llm = await LLM.load(folder!, {
    threads: Number(threads),
    contextLength: Number(contextLength),
    maxSequences: Number(maxSequences),
    prefixCache: false, // the peer computes every prompt, too
  });
  async function* generate(prompt: number[], count: number): AsyncGenerator<number> {
    const options = { maxTokens: count, temperature: 0, ignoreEos: true };
    for await (const { tokenIds } of llm.generate(prompt, options)) yield* tokenIds;
  }
  return { vocabSize: llm.shape.vocabSize, prepare: () => Promise.resolve(generate) };
});
