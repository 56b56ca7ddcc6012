/** From what `LLM.load` is given to a folder or file, and what it says of the model. */
import { resolveModel } from "../checkpoint/hub.js";
import { checkHead } from "../gguf/head.js";
import type { ResolvedOptions } from "./engineOptions.js";
import { describeModel, type ModelDescription } from "./loadModel.js";
import { createProgressBar } from "./terminal.js";

/**
 * A folder or GGUF file as it is, a hub id through the cache; a download shows a bar on a terminal unless the caller listens. The model is
 * described before a weight is fetched, so that one that cannot run costs nothing.
 */
export async function fetchModel(
  pathOrId: string,
  options: ResolvedOptions,
): Promise<{ readonly path: string; readonly description: ModelDescription }> {
  const { revision, onProgress, signal, contextLength } = options;
  const bar = createProgressBar();
  let description: ModelDescription | undefined;
  try {
    const path = await resolveModel(pathOrId, {
      ...(revision !== undefined && { revision }),
      ...(signal && { signal }),
      onProgress: onProgress ?? bar.onProgress,
      checkGguf: checkHead,
      beforeWeights: async (small) => {
        description = await describeModel(small, contextLength);
      },
    });
    return { path, description: description! };
  } finally {
    bar.stop();
  }
}
