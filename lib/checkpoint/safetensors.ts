/**
 * Opens a checkpoint folder: `model.safetensors`, or `model.safetensors.index.json` with its shards. Only headers are read.
 * The rules of one file are in safetensorsHeader.ts; which tensors a model needs is weightMap.ts.
 */
import { join } from "node:path";
import { CheckpointError } from "../errors.js";
import { contentBytes, nameContent } from "./fileContent.js";
import { isObject, readJsonObject, show } from "./json.js";
import { folderHint } from "./otherFormats.js";
import { lengthFieldBytes, maxHeaderBytes, parseHeader, parseHeaderLength } from "./safetensorsHeader.js";
import {
  addTensors,
  Checkpoint,
  localFiles,
  readFully,
  type TensorEntry,
  type TensorFile,
  type TensorFiles,
} from "./tensorFiles.js";

export const singleFileName = "model.safetensors";
export const indexFileName = "model.safetensors.index.json";

/**
 * Opens the checkpoint in a folder and verifies all headers. A single file takes precedence over an index, as in
 * transformers.
 *
 * @param folder path of the folder that holds the weights
 * @param files where those are; an index is in the folder in any case
 * @returns the open checkpoint; the caller closes it
 * @throws CheckpointError ERR_CHECKPOINT_MISSING (no weights, or a shard is not there), ERR_CHECKPOINT_FORMAT (malformed
 * file), ERR_CHECKPOINT_TENSOR (the index names a tensor that its shard lacks)
 */
export async function openCheckpoint(folder: string, files: TensorFiles = localFiles): Promise<Checkpoint> {
  const single = join(folder, singleFileName);
  const hasSingle = await files.has(single);
  const index = hasSingle ? undefined : await readShardIndex(join(folder, indexFileName));
  if (!hasSingle && index === undefined) {
    throw new CheckpointError(
      "ERR_CHECKPOINT_MISSING",
      `${folder}: expected ${singleFileName} or ${indexFileName}, found neither${await folderHint(folder)}`,
      { file: single },
    );
  }
  const paths = index === undefined ? [single] : shardFiles(index).map((name) => join(folder, name));
  const tensors = new Map<string, TensorEntry>();
  const handles = new Map<string, TensorFile>();
  try {
    for (const file of paths) {
      const handle = await files.open(file);
      handles.set(file, handle);
      addTensors(tensors, await readHeader(handle, file));
    }
    if (index !== undefined) checkIndex(folder, index, tensors);
    return new Checkpoint(folder, tensors, handles);
  } catch (error) {
    await Promise.all([...handles.values()].map((handle) => handle.close()));
    throw error;
  }
}

/** One file, whatever it is called. The caller closes it. @throws as openCheckpoint, for a file */
export async function openSafetensors(file: string): Promise<Checkpoint> {
  const handle = await localFiles.open(file);
  try {
    const tensors = new Map<string, TensorEntry>();
    addTensors(tensors, await readHeader(handle, file));
    return new Checkpoint(file, tensors, new Map([[file, handle]]));
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Reads the index of a sharded checkpoint.
 *
 * @param file path of a `model.safetensors.index.json`
 * @returns shard file name by tensor name, or undefined if there is no such file. Every shard is a plain file name, so
 * joining it to a folder stays inside the folder.
 * @throws CheckpointError ERR_CHECKPOINT_FORMAT
 */
export async function readShardIndex(file: string): Promise<ReadonlyMap<string, string> | undefined> {
  const json = await readJsonObject(file, { maxBytes: maxHeaderBytes, code: "ERR_CHECKPOINT_FORMAT" });
  if (json === undefined) return undefined;
  const fail = (problem: string, tensor?: string): CheckpointError =>
    new CheckpointError("ERR_CHECKPOINT_FORMAT", `${file}: ${problem}`, { file, tensor });
  if (!isObject(json.weight_map)) throw fail(`weight_map: expected an object, got ${show(json.weight_map)}`);
  const shards = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(json.weight_map)) {
    if (typeof shard !== "string" || !/^[^/\\:\0]+\.safetensors$/.test(shard)) {
      const got = show(shard);
      throw fail(
        `weight_map: tensor ${show(tensor)}: expected the name of a .safetensors file, got ${got}`,
        tensor,
      );
    }
    shards.set(tensor, shard);
  }
  if (shards.size === 0) throw fail("weight_map: expected at least one tensor, got none");
  return shards;
}

/** The shards of an index, each once, in the order of their names. */
export function shardFiles(index: ReadonlyMap<string, string>): string[] {
  return [...new Set(index.values())].sort();
}

async function readHeader(handle: TensorFile, file: string): Promise<TensorEntry[]> {
  const { size } = await handle.stat();
  const start = new Uint8Array(Math.min(contentBytes, size));
  await readFully(handle, start, { file, position: 0 });
  try {
    const json = new Uint8Array(parseHeaderLength(start, size, file));
    await readFully(handle, json, { file, position: lengthFieldBytes });
    return parseHeader(json, size, file);
  } catch (error) {
    const content = nameContent(Buffer.from(start).toString("latin1"));
    if (content === undefined) throw error;
    const message = `${file}: expected a safetensors file, got ${content}`;
    throw new CheckpointError("ERR_CHECKPOINT_FORMAT", message, { file }, { cause: error });
  }
}

function checkIndex(
  folder: string,
  index: ReadonlyMap<string, string>,
  tensors: ReadonlyMap<string, TensorEntry>,
): void {
  for (const [tensor, shard] of index) {
    const file = join(folder, shard);
    if (tensors.get(tensor)?.file === file) continue;
    throw new CheckpointError(
      "ERR_CHECKPOINT_TENSOR",
      `${file}: tensor ${show(tensor)} is not in this file, where ${indexFileName} says it is`,
      { file, tensor },
    );
  }
}
