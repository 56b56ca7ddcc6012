/**
 * Turns what a user calls a model into something on disk: an existing folder or GGUF file, or a Hugging Face id that is fetched into
 * the standard cache (hubSnapshot.ts, loaded only when an id is given), of a repository of GGUF files the one of a quantisation.
 */
import { stat } from "node:fs/promises";
import { homedir } from "node:os";
import { resolve } from "node:path";
import { describe } from "../arguments.js";
import { ArgumentRangeError, ArgumentTypeError, CheckpointError } from "../errors.js";
import type { ResolveModelOptions } from "./hubOptions.js";
import { fileHint } from "./otherFormats.js";

export type { DownloadProgress, ResolveModelOptions } from "./hubOptions.js";

const hubHosts = ["huggingface.co", "www.huggingface.co", "hf.co"];
// The hub allows neither ".." nor "--" in names; both would be ambiguous as cache folders.
const idPattern = /^(?!.*(?:\.\.|--))[A-Za-z0-9_][\w.-]*\/[A-Za-z0-9_][\w.-]*$/;
/** A quantisation, or the name of a file in its folder. */
const ggufPattern = /^(?!.*\.\.)\w[\w.+-]*(?:\/\w[\w.+-]*)*$/;
const revisionPattern = /^(?!.*(?:\.\.|\/\.))[A-Za-z0-9_][\w.+-]*(?:\/[\w.+-]+)*$/;

/**
 * Finds or fetches a model.
 *
 * @param pathOrId an existing folder or GGUF file ("~/" is the user's), or "org/name", "org/name@revision" or the address of a page on the
 * Hugging Face hub; "org/name:Q4_K_M" is the GGUF file of that quantisation, or of that name, in a repository
 * @returns path of a folder with config.json and safetensors weights, or of a GGUF file; what exists itself, unchecked
 * @throws CheckpointError ERR_CHECKPOINT_MISSING if it is neither a folder nor an id; HubError ERR_HUB_OFFLINE,
 * ERR_HUB_NOT_FOUND, ERR_HUB_UNAUTHORIZED, ERR_HUB_NETWORK or ERR_HUB_CACHE; ArgumentTypeError, ArgumentRangeError; the reason of
 * `signal` if it aborts
 */
export async function resolveModel(pathOrId: string, options: ResolveModelOptions = {}): Promise<string> {
  if (typeof pathOrId !== "string" || pathOrId === "") {
    throw new ArgumentTypeError(`pathOrId: expected a folder or a hub id, got ${describe(pathOrId)}`);
  }
  return resolvePlace(pathOrId.replace(/^~(?=\/|$)/, homedir), options);
}

async function resolvePlace(pathOrId: string, options: ResolveModelOptions): Promise<string> {
  const { signal, revision } = options;
  signal?.throwIfAborted();
  const kind = await kindOfPath(pathOrId);
  if (kind === "folder" || (kind === "file" && /\.gguf$/i.test(pathOrId))) {
    if (revision !== undefined) {
      throw new ArgumentTypeError(`revision: only for hub ids, but ${pathOrId} is a ${kind}`);
    }
    await options.beforeWeights?.(pathOrId);
    return pathOrId;
  }
  const { id, revisionOfId, gguf } = parseId(pathOrId);
  const noFolder = `there is no folder ${resolve(pathOrId)}`;
  if (kind === "file" || !isHubId(id)) {
    const got = kind === "file" ? `it is a file${fileHint(pathOrId)}` : noFolder;
    throw new CheckpointError(
      "ERR_CHECKPOINT_MISSING",
      `${pathOrId}: expected a folder or a hub id such as "org/name": ${got}`,
      { file: pathOrId },
    );
  }
  if (gguf !== undefined && !ggufPattern.test(gguf)) {
    throw new ArgumentRangeError(
      `${pathOrId}: expected a quantisation such as Q4_K_M, or the name of a GGUF file, behind ":", got ${JSON.stringify(gguf)}`,
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
  return fetchSnapshot({ ...options, id, revision: wanted, noFolder, ...(gguf !== undefined && { gguf }) });
}

export interface HubId {
  readonly id: string;
  readonly revisionOfId: string | undefined;
  /** Behind ":". */
  readonly gguf: string | undefined;
}

/**
 * "org/name", "org/name@revision", both with ":Q4_K_M" behind it or not, also behind "hf:" or with a slash at the end, or the address of a
 * page of the hub: of a model, of its branch, of one of its files, of which a GGUF file is meant itself.
 */
export function parseId(text: string): HubId {
  const page = hubPage(text);
  if (page) {
    const [org = "", ofName = "", kind = "", revision, ...path] = page;
    const [name = "", gguf] = parted(ofName, ":");
    const isPinned = ["tree", "blob", "resolve"].includes(kind) && revision !== undefined;
    const id = `${org}/${name.replace(/\.git$/, "")}`;
    const file = isPinned && /\.gguf$/i.test(path.at(-1) ?? "") ? path.join("/") : undefined;
    return { id, revisionOfId: isPinned ? revision.replaceAll(/%2f/gi, "/") : undefined, gguf: gguf ?? file };
  }
  const [name, gguf] = parted(text.replace(/^hf:(\/\/)?/, "").replace(/\/+$/, ""), ":");
  const [id, revisionOfId] = parted(name, "@");
  return { id, revisionOfId, gguf };
}

/** Whether a text is "org/name". */
export function isHubId(text: string): boolean {
  return idPattern.test(text);
}

/** What is before and behind the first of a mark. */
function parted(text: string, mark: string): readonly [before: string, behind: string | undefined] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** The parts of the path of a page of the hub, or of HF_ENDPOINT, with or without "https://"; undefined for other text. */
function hubPage(text: string): string[] | undefined {
  const address = /^https?:\/\//i.test(text) ? text : `https://${text}`;
  if (!URL.canParse(address)) return undefined;
  const { host, pathname } = new URL(address);
  const endpoint = process.env["HF_ENDPOINT"] ?? "";
  const own = URL.canParse(endpoint) ? [new URL(endpoint).host] : [];
  if (![...hubHosts, ...own].includes(host)) return undefined;
  return pathname.split("/").filter((part) => part !== "");
}

async function kindOfPath(path: string): Promise<"folder" | "file" | "nothing"> {
  try {
    return (await stat(path)).isDirectory() ? "folder" : "file";
  } catch {
    return "nothing";
  }
}
