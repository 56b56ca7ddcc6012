/** The folder that is written: under another name until all of it is there, and with what a checkpoint has beside its weights. */
import { copyFile, lstat, mkdir, readdir, realpath, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import path from "node:path";
import { describeError, isNotFound, isSystemError, type JsonObject } from "../checkpoint/json.js";
import { indexFileName, singleFileName } from "../checkpoint/safetensors.js";
import { ArgumentRangeError } from "../errors.js";

export interface ClaimedFolder {
  readonly final: string;
  /** Where files are written until then. */
  readonly partial: string;
  /** As an empty folder. */
  readonly wasThere: boolean;
}

/**
 * An empty folder goes, since a rename replaces none on Windows; links to one are followed.
 *
 * @throws ArgumentRangeError for a folder that has something in it, or a partial one that another run may be writing
 */
export async function claimFolder(to: string): Promise<ClaimedFolder> {
  const given = path.resolve(to.replace(/^~(?=\/|$)/, homedir));
  const entries = await readdir(given).catch((error: unknown) => {
    if (isNotFound(error) && !(error as NodeJS.ErrnoException).code!.endsWith("DIR")) return undefined;
    throw unusable(given, error);
  });
  if (entries && entries.length > 0)
    throw new ArgumentRangeError(
      `to: expected a new or an empty folder, got ${given} with ${entries.length} files`,
    );
  const isLink = await lstat(given).then(
    (found) => found.isSymbolicLink(),
    () => false,
  );
  if (isLink && !entries) throw unusable(given, "a link that leads nowhere");
  const final = entries ? await realpath(given) : given;
  const partial = `${final}.partial`;
  try {
    await mkdir(path.dirname(final), { recursive: true });
    await mkdir(partial);
    if (entries) await rmdir(final);
  } catch (error) {
    const isThere = isSystemError(error) && error.code === "EEXIST";
    if (isThere)
      throw unusable(
        given,
        `cannot make ${partial}: it is there already; remove it if no other run writes to it`,
      );
    await rm(partial, { recursive: true, force: true });
    throw unusable(given, error);
  }
  return { final, partial, wasThere: entries !== undefined };
}

function unusable(to: string, why: unknown): ArgumentRangeError {
  const problem = typeof why === "string" ? why : describeError(why);
  return new ArgumentRangeError(`to: expected a new or an empty folder, got ${to}: ${problem}`);
}

/** After a run that failed: as it was. */
export async function releaseFolder({ final, partial, wasThere }: ClaimedFolder): Promise<void> {
  await rm(partial, { recursive: true, force: true });
  if (wasThere) await mkdir(final);
}

export async function writeConfig(config: JsonObject, folder: string, quantization: object): Promise<void> {
  const json = { ...config, quantization_config: quantization };
  await writeFile(path.join(folder, "config.json"), `${jsonWithInfinity(json)}\n`);
}

/** As Python writes and reads it: JSON has no Infinity, and would have null in its place. */
function jsonWithInfinity(value: unknown): string {
  const mark = "\0";
  const isInfinite = (item: unknown) => item === Infinity || item === -Infinity;
  const marked = (_: string, item: unknown) => (isInfinite(item) ? `${mark}${String(item)}` : item);
  return JSON.stringify(value, marked, 2).replace(/"\\u0000(-?Infinity)"/g, "$1");
}

/** Weights in any format, and what has been written. */
const isWeights = (name: string): boolean =>
  /\.(safetensors|bin|pt|pth|gguf|h5|msgpack|onnx|index\.json|partial|part)$/.test(name) ||
  ["config.json", singleFileName, indexFileName].includes(name) ||
  name.startsWith(".");

/** Tokenizer, templates, defaults of generation, licence: the files beside the weights. */
export async function copyOthers(from: string, to: string): Promise<void> {
  for (const name of await readdir(from)) {
    if (isWeights(name)) continue;
    const file = path.join(from, name);
    // The cache of the hub has links to its files; a link may lead nowhere.
    const isCopied = await stat(file).then(
      (found) => found.isFile(),
      () => false,
    );
    if (isCopied) await copyFile(file, path.join(to, name));
  }
}
