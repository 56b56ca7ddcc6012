/** The folder that is written: under another name until all of it is there, and with what a checkpoint has beside its weights. */
import { copyFile, mkdir, readdir, rm, rmdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { describeError, isNotFound, isSystemError, type JsonObject } from "../checkpoint/json.js";
import { indexFileName, singleFileName } from "../checkpoint/safetensors.js";
import { ArgumentRangeError } from "../errors.js";

export interface ClaimedFolder {
  readonly final: string;
  /** Where files are written until then. */
  readonly partial: string;
}

/** @throws ArgumentRangeError for a folder that has something in it, or a partial one that another run may be writing */
export async function claimFolder(to: string): Promise<ClaimedFolder> {
  const final = path.resolve(to);
  const partial = `${final}.partial`;
  const entries = await readdir(final).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw new ArgumentRangeError(`to: expected a new folder, got ${final}: ${describeError(error)}`);
  });
  if (entries && entries.length > 0)
    throw new ArgumentRangeError(
      `to: expected a new or an empty folder, got ${final} with ${entries.length} files`,
    );
  if (entries) await rmdir(final);
  await mkdir(path.dirname(final), { recursive: true });
  try {
    await mkdir(partial);
  } catch (error) {
    const isThere = isSystemError(error) && error.code === "EEXIST";
    const why = isThere
      ? "it is there already; remove it if no other run writes to it"
      : describeError(error);
    throw new ArgumentRangeError(`to: cannot make ${partial}: ${why}`);
  }
  return { final, partial };
}

export async function releaseFolder(partial: string): Promise<void> {
  await rm(partial, { recursive: true, force: true });
}

export async function writeConfig(config: JsonObject, folder: string, quantization: object): Promise<void> {
  const json = { ...config, quantization_config: quantization };
  await writeFile(path.join(folder, "config.json"), `${JSON.stringify(json, undefined, 2)}\n`);
}

/** Weights in any format, and what has been written. */
const isWeights = (name: string): boolean =>
  /\.(safetensors|bin|pt|pth|gguf|h5|msgpack|onnx|index\.json|partial|part)$/.test(name) ||
  ["config.json", singleFileName, indexFileName].includes(name) ||
  name.startsWith(".");

/** Tokenizer, templates, defaults of generation, licence: the files beside the weights. */
export async function copyOthers(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    // The cache of the hub has links to its files.
    if (isWeights(entry.name) || !(entry.isFile() || entry.isSymbolicLink())) continue;
    await copyFile(path.join(from, entry.name), path.join(to, entry.name));
  }
}
