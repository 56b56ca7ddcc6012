/** Loads a model for a command: with a bar, until Ctrl-C. */
import { LLM, type LLMOptions } from "../lib/index.js";
import { loadBar } from "./terminal.js";

export interface LoadedModel {
  readonly llm: LLM;
  readonly loadMs: number;
}

export async function loadLlm(model: string, options: Omit<LLMOptions, "onProgress">): Promise<LoadedModel> {
  const bar = loadBar();
  const start = performance.now();
  try {
    const llm = await LLM.load(model, { ...options, onProgress: bar.onProgress });
    return { llm, loadMs: performance.now() - start };
  } finally {
    bar.stop();
  }
}
