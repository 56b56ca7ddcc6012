/** From what `LLM.load` is given to a folder or file, and what it says of the model. */
import { resolveModel } from "../checkpoint/hub.js";
import { checkHead } from "../gguf/head.js";
import type { ResolvedOptions } from "./engineOptions.js";
import { describeModel, type ModelDescription } from "./loadModel.js";
import { createProgressBar } from "./terminal.js";

/** What a model is, and where. */
interface Fetched {
  readonly path: string;
  readonly description: ModelDescription;
}

/**
 * A folder or GGUF file as it is, a hub id through the cache; a download shows a bar on a terminal unless the caller listens. The model is
 * described before a weight is fetched, so that one that cannot run costs nothing.
 *
 * @param onlyHeaders the weights of a hub id that are not in the cache stay where they are: `description.source` reads them there
 */
export async function fetchModel(
  pathOrId: string,
  options: Pick<ResolvedOptions, "revision" | "onProgress" | "signal" | "contextLength">,
  onlyHeaders = false,
): Promise<Fetched> {
  const { revision, onProgress, signal, contextLength } = options;
  const bar = createProgressBar();
  let description: ModelDescription | undefined;
  try {
    const path = await resolveModel(pathOrId, {
      ...(revision !== undefined && { revision }),
      ...(signal && { signal }),
      onProgress: onProgress ?? bar.onProgress,
      checkGguf: checkHead,
      onlyHeaders,
      beforeWeights: async (small, files) => {
        description = await describeModel(small, contextLength, files);
      },
    });
    return { path, description: description! };
  } finally {
    bar.stop();
  }
}
