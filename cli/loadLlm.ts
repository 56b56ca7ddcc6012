/** Loads a model for a command: with a bar, until Ctrl-C. */
import { LLM, type LLMOptions, type LoadProgress } from "../lib/index.js";
import { loadBar } from "./terminal.js";

export interface LoadedModel {
  readonly llm: LLM;
  readonly loadMs: number;
}

export async function loadLlm(model: string, options: Omit<LLMOptions, "onProgress">): Promise<LoadedModel> {
  const start = performance.now();
  const llm = await withBar((onProgress) => LLM.load(model, { ...options, onProgress }));
  return { llm, loadMs: performance.now() - start };
}

/** Shows what a load tells while it goes on. */
export async function withBar<T>(
  load: (onProgress: (progress: LoadProgress) => void) => Promise<T>,
): Promise<T> {
  const bar = loadBar();
  try {
    return await load(bar.onProgress);
  } finally {
    bar.stop();
  }
}
