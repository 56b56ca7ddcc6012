/** What the caller of a download may ask for, and what he is told meanwhile. */

import type { CheckHead } from "./hubGguf.js";
import type { TensorFiles } from "./tensorFiles.js";

/** Progress of one file. `loaded` never decreases and ends at `total`; files that are cached already are not reported. */
export interface DownloadProgress {
  readonly phase: "download";
  readonly file: string;
  /** Bytes of the file that are on disk, those of an earlier, interrupted download included. */
  readonly loaded: number;
  /** Bytes of the whole file. */
  readonly total: number;
}

export interface ResolveModelOptions {
  /** Branch, tag or commit of a hub id. Default "main". */
  readonly revision?: string;
  /** Called often; must not throw. */
  readonly onProgress?: (progress: DownloadProgress) => void;
  /** Aborts a download; what has arrived is kept and continued by the next call. */
  readonly signal?: AbortSignal;
  /**
   * Called with the folder once all small files are in it, config.json among them, and before a weight is asked for; with a GGUF file once
   * it is there. What it throws ends the call: nothing large is fetched for a model in safetensors that cannot run.
   *
   * @param files with `onlyHeaders`: where weights are read that are not here
   */
  readonly beforeWeights?: (folder: string, files?: TensorFiles) => Promise<void>;
  /** Weights stay where they are. The path that is returned leads to none; `files` of `beforeWeights` reads parts of them. */
  readonly onlyHeaders?: boolean;
  /** Looks at the first bytes of a GGUF file as they arrive: see `CheckHead` of hubGguf.ts. */
  readonly checkGguf?: CheckHead;
  /** Access token for private and gated models. Default: HF_TOKEN. */
  readonly token?: string;
}
