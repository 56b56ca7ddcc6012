/**
 * Turns what a user calls a model into a folder on disk: an existing folder, or a Hugging Face id that is fetched into
 * the standard cache (hubSnapshot.ts, loaded only when an id is given).
 */
import { stat } from "node:fs/promises";
import { describe } from "../arguments.js";
import { ArgumentRangeError, ArgumentTypeError, CheckpointError } from "../errors.js";

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
   * Called with the folder once all small files are in it, config.json among them, and before a weight is asked for. What it
   * throws ends the call: nothing large is fetched for a model that cannot run.
   */
  readonly beforeWeights?: (folder: string) => Promise<void>;
  /** Access token for private and gated models. Default: HF_TOKEN. */
  readonly token?: string;
}

// The hub allows neither ".." nor "--" in names; both would be ambiguous as cache folders.
const idPattern = /^(?!.*(?:\.\.|--))[A-Za-z0-9_][\w.-]*\/[A-Za-z0-9_][\w.-]*$/;
const revisionPattern = /^(?!.*(?:\.\.|\/\.))[A-Za-z0-9_][\w.+-]*(?:\/[\w.+-]+)*$/;

/**
 * Finds or fetches the folder of a model.
 *
 * @param pathOrId an existing folder, or "org/name" or "org/name@revision" on the Hugging Face hub
 * @returns path of a folder with config.json and safetensors weights; for an existing folder `pathOrId` itself, unchecked
 * @throws CheckpointError ERR_CHECKPOINT_MISSING if it is neither a folder nor an id; HubError ERR_HUB_OFFLINE,
 * ERR_HUB_NOT_FOUND, ERR_HUB_UNAUTHORIZED or ERR_HUB_NETWORK; ArgumentTypeError, ArgumentRangeError; the reason of
 * `signal` if it aborts
 */
export async function resolveModel(pathOrId: string, options: ResolveModelOptions = {}): Promise<string> {
  if (typeof pathOrId !== "string" || pathOrId === "") {
    throw new ArgumentTypeError(`model: expected a folder or a hub id, got ${describe(pathOrId)}`);
  }
  const { signal, revision } = options;
  signal?.throwIfAborted();
  const kind = await kindOfPath(pathOrId);
  if (kind === "folder") {
    if (revision !== undefined) {
      throw new ArgumentTypeError(`revision: only for hub ids, but ${pathOrId} is a folder`);
    }
    await options.beforeWeights?.(pathOrId);
    return pathOrId;
  }
  const at = pathOrId.indexOf("@");
  const id = at < 0 ? pathOrId : pathOrId.slice(0, at);
  const revisionOfId = at < 0 ? undefined : pathOrId.slice(at + 1);
  if (kind === "file" || !idPattern.test(id)) {
    const got = kind === "file" ? "it is a file" : "there is no such folder";
    throw new CheckpointError(
      "ERR_CHECKPOINT_MISSING",
      `${pathOrId}: expected a folder or a hub id such as "org/name": ${got}`,
      { file: pathOrId },
    );
  }
  if (revision !== undefined && revisionOfId !== undefined && revision !== revisionOfId) {
    throw new ArgumentRangeError(`revision: "${revision}" contradicts "${pathOrId}"`);
  }
  const wanted = revision ?? revisionOfId ?? "main";
  if (!revisionPattern.test(wanted)) {
    throw new ArgumentRangeError(`revision: expected a branch, tag or commit, got ${JSON.stringify(wanted)}`);
  }
  const { fetchSnapshot } = await import("./hubSnapshot.js");
  return fetchSnapshot({ ...options, id, revision: wanted });
}

async function kindOfPath(path: string): Promise<"folder" | "file" | "nothing"> {
  try {
    return (await stat(path)).isDirectory() ? "folder" : "file";
  } catch {
    return "nothing";
  }
}
