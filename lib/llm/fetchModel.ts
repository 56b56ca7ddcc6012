/** From what `LLM.load` is given to a folder, and what its small files say of the model. */
import { resolveModel } from "../checkpoint/hub.js";
import type { ResolvedOptions } from "./engineOptions.js";
import { describeModel, type ModelDescription } from "./loadModel.js";
import { createProgressBar } from "./terminal.js";

/**
 * A folder as it is, a hub id through the cache; a download shows a bar on a terminal unless the caller listens. The model is
 * described before a weight is fetched, so that one that cannot run costs nothing.
 */
export async function fetchModel(
  pathOrId: string,
  options: ResolvedOptions,
): Promise<{ readonly folder: string; readonly description: ModelDescription }> {
  const { revision, onProgress, signal, contextLength } = options;
  const bar = createProgressBar();
  let description: ModelDescription | undefined;
  try {
    const folder = await resolveModel(pathOrId, {
      ...(revision !== undefined && { revision }),
      ...(signal && { signal }),
      onProgress: onProgress ?? bar.onProgress,
      beforeWeights: async (small) => {
        description = await describeModel(small, contextLength);
      },
    });
    return { folder, description: description! };
  } finally {
    bar.stop();
  }
}
