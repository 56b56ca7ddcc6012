/** Fetches a model of the hub into the cache, without loading it. */
import { readOptions } from "../arguments.js";
import { type LLMOptions, resolveOptions } from "./engineOptions.js";
import { fetchModel } from "./fetchModel.js";

export const pullOptionNames = ["revision", "onProgress", "signal"] as const;

/** Those of `LLM.load` that a download has. */
export type PullOptions = Pick<LLMOptions, (typeof pullOptionNames)[number]>;

/**
 * Fetches what a load of the model needs and the cache does not have. A download that was broken off goes on where it ended; a model that
 * cannot run is refused before its weights are fetched.
 *
 * @param pathOrId as in `LLM.load`
 * @returns path of the folder or GGUF file; that of one which is no hub id is itself
 * @throws as `LLM.load` before weights are read
 */
export async function pullModel(pathOrId: string, options: PullOptions = {}): Promise<string> {
  const resolved = resolveOptions(readOptions("pullModel", options, pullOptionNames));
  return (await fetchModel(pathOrId, resolved)).path;
}
