/**
 * node-llama-cpp's side of the comparison. Arguments: its package folder, GGUF file, threads, context length, vocabulary.
 * The package is optional, so what is used of it is declared here.
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Generate, Workload } from "../support/generationTiming.js";
import { type Engine, serve } from "./side.js";

interface Sequence {
  clearHistory(): Promise<void>;
  evaluate(tokens: number[], options: { temperature: number; yieldEogToken: boolean }): AsyncIterable<number>;
}

interface Context {
  getSequence(): Sequence;
}

interface ContextOptions {
  readonly contextSize: number;
  readonly sequences: number;
  readonly batchSize: number;
  readonly threads: number;
  readonly flashAttention: "auto";
}

interface Package {
  getLlama(options: { gpu: false; build: "never"; maxThreads: number; logLevel: "error" }): Promise<{
    loadModel(options: { modelPath: string; gpuLayers: number }): Promise<{
      createContext(options: ContextOptions): Promise<Context>;
    }>;
  }>;
}

const [packageFolder, modelPath, threads, contextSize, vocabSize] = process.argv.slice(2);

await serve(async (): Promise<Engine> => {
  const entry = pathToFileURL(join(packageFolder!, "dist", "index.js")).href;
  const { getLlama } = (await import(entry)) as Package;
  const llama = await getLlama({
    gpu: false,
    build: "never",
    maxThreads: Number(threads),
    logLevel: "error",
  });
  const model = await llama.loadModel({ modelPath: modelPath!, gpuLayers: 0 });
  const contexts = new Map<number, Sequence[]>(); // by number of sequences

  const open = async ({ sequences, promptTokens }: Workload): Promise<Sequence[]> => {
    const context = await model.createContext({
      contextSize: Number(contextSize),
      sequences,
      batchSize: Math.max(512, promptTokens),
      threads: Number(threads),
      flashAttention: "auto",
    });
    return Array.from({ length: sequences }, () => context.getSequence());
  };

  const prepare = async (workload: Workload): Promise<Generate> => {
    const sequences = contexts.get(workload.sequences) ?? (await open(workload));
    contexts.set(workload.sequences, sequences);
    return (prompt, count, index) => take(sequences[index]!, prompt, count);
  };
  return { vocabSize: Number(vocabSize), prepare };
});

async function* take(sequence: Sequence, prompt: number[], count: number): AsyncGenerator<number> {
  await sequence.clearHistory();
  let left = count;
  for await (const token of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    yield token;
    if (--left === 0) break;
  }
}
