/** What is in the cache of the hub, and how it goes. Python programs share that cache: what they have fetched is listed, too. */
import { lstat, readdir, readFile, readlink, rm, rmdir, stat } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { getHFHubCachePath } from "@huggingface/hub";
import { checkBoolean, describe, readOptions } from "../arguments.js";
import { ArgumentRangeError, ArgumentTypeError, HubError } from "../errors.js";
import { type HubId, isHubId, parseId } from "./hub.js";
import { cachedGguf, cachedSnapshot, isCommit, RepoCache } from "./hubCache.js";
import { chooseGguf, ggufModels } from "./hubGguf.js";
import { isNotFound } from "./json.js";

/** A model in the cache; of a repository of GGUF files each quantisation is one. */
export interface CachedModel {
  /** What `LLM.load` takes: "org/name", "org/name@revision" if that is not main, "org/name:Q4_K_M" */
  readonly name: string;
  readonly commit: string;
  /** Of the folder or GGUF file; undefined: it is not all there. */
  readonly path: string | undefined;
  /** What is missing, such as "it lacks model.safetensors"; undefined: nothing. */
  readonly missing: string | undefined;
  readonly bytes: number;
  /** When the last of it came. */
  readonly modified: Date;
}

export interface CachedModels {
  readonly folder: string;
  /** The latest first. */
  readonly models: readonly CachedModel[];
  /** Of all of them, what they share counted once, with what has come of downloads that were broken off. */
  readonly bytes: number;
}

/** @throws errors of the file system, but for a cache that is not there */
export async function listCachedModels(): Promise<CachedModels> {
  const folder = getHFHubCachePath();
  const names = (await entriesOf(folder)).filter((name) => name.startsWith("models--"));
  const models: CachedModel[] = [];
  let bytes = 0;
  for (const name of names) {
    const id = name.split("--").slice(1).join("/");
    if (!isHubId(id)) continue;
    const repo = await readRepo(id);
    models.push(...(await Promise.all(repo.snapshots.map((one) => modelsOf(repo, one)))).flat());
    bytes += repo.bytes;
  }
  return { folder, models: models.sort((a, b) => Number(b.modified) - Number(a.modified)), bytes };
}

export interface RemovedModel {
  /** Of the repository in the cache. */
  readonly folder: string;
  /** That are free now. */
  readonly bytes: number;
}

/**
 * Removes a model from the cache: "org/name" with all that there is of it, "org/name@revision", or of either a GGUF file with ":Q4_K_M". What
 * another revision has, too, stays, and so does what links lead to outside of the repository.
 *
 * @param options.dryRun only says what would go
 * @throws HubError ERR_HUB_NOT_FOUND if it is not there; ArgumentTypeError, ArgumentRangeError for what is no id
 */
export async function removeCachedModel(
  id: string,
  options: { readonly dryRun?: boolean | undefined } = {},
): Promise<RemovedModel> {
  const given = readOptions("removeCachedModel", options, ["dryRun"]);
  const dryRun = checkBoolean("dryRun", given.dryRun, false);
  if (typeof id !== "string") throw new ArgumentTypeError(`id: expected a hub id, got ${describe(id)}`);
  const wanted = parseId(id);
  if (!isHubId(wanted.id))
    throw new ArgumentRangeError(`id: expected a hub id such as "org/name", got ${describe(id)}`);
  const repo = await readRepo(wanted.id);
  const { folder, snapshots } = repo;
  const isWhole = wanted.revisionOfId === undefined && wanted.gguf === undefined;
  const files = isWhole ? snapshots.flatMap((one) => one.files) : chosenFiles(repo, wanted);
  if (!isWhole ? files.length === 0 : repo.bytes === 0 && snapshots.length === 0)
    throw new HubError("ERR_HUB_NOT_FOUND", `${id} is not in the cache: there is no such thing in ${folder}`);
  const going = new Set(files);
  const isAll = isWhole || snapshots.every((one) => one.files.every((file) => going.has(file)));
  const kept = new Set(snapshots.flatMap((one) => one.files.filter((file) => !going.has(file))).map(keyOf));
  const owned = files.filter((file) => isIn(folder, file.blob) && !kept.has(keyOf(file)));
  const freed = new Map(owned.map((file) => [keyOf(file), file]));
  const bytes = isAll ? repo.bytes : [...freed.values()].reduce((sum, file) => sum + file.bytes, 0);
  if (!dryRun) {
    if (isAll) await rm(folder, { recursive: true, force: true });
    else await removeFiles(repo, files, [...freed.values()]);
  }
  return { folder, bytes };
}

interface SnapshotFile {
  /** In the repository. */
  readonly name: string;
  readonly path: string;
  /** What holds the content; where somebody has made links of his own, outside of the repository. */
  readonly blob: string;
  readonly bytes: number;
  readonly modified: Date;
}

interface Snapshot {
  readonly commit: string;
  readonly folder: string;
  /** Branches and tags that mean it. */
  readonly refs: readonly string[];
  readonly files: readonly SnapshotFile[];
}

interface Repo {
  readonly id: string;
  readonly folder: string;
  readonly snapshots: readonly Snapshot[];
  readonly bytes: number;
}

const keyOf = ({ blob }: SnapshotFile): string => blob;
const isIn = (folder: string, path: string): boolean => path.startsWith(folder + sep);

async function readRepo(id: string): Promise<Repo> {
  const { folder } = new RepoCache(id);
  const refs = new Map<string, string[]>();
  for (const name of await filesUnder(join(folder, "refs"))) {
    const commit = (await readFile(join(folder, "refs", name), "utf8").catch(() => "")).trim();
    refs.set(commit, [...(refs.get(commit) ?? []), name]);
  }
  const commits = (await entriesOf(join(folder, "snapshots"))).filter(isCommit);
  const snapshots = await Promise.all(
    commits.map(async (commit): Promise<Snapshot> => {
      const of = join(folder, "snapshots", commit);
      const files = await Promise.all((await filesUnder(of)).map((name) => readFileOf(of, name)));
      return {
        ...{ commit, folder: of, refs: refs.get(commit) ?? [] },
        files: files.filter((file) => file !== undefined),
      };
    }),
  );
  const blobs = (await entriesOf(join(folder, "blobs"))).map((name) => join(folder, "blobs", name));
  const linked = snapshots.flatMap(({ files }) => files.map(keyOf)).filter((path) => isIn(folder, path));
  const all = new Set([...blobs, ...linked]);
  const sizes = await Promise.all([...all].map((path) => stat(path).catch(() => ({ size: 0 }))));
  return { id, folder, snapshots, bytes: sizes.reduce((sum, { size }) => sum + size, 0) };
}

/** Undefined: a link to nothing. */
async function readFileOf(folder: string, name: string): Promise<SnapshotFile | undefined> {
  const path = join(folder, name);
  try {
    const isLink = (await lstat(path)).isSymbolicLink();
    const blob = isLink ? resolve(dirname(path), await readlink(path)) : path;
    const { size: bytes, mtime: modified } = await stat(path);
    return { name, path, blob, bytes, modified };
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function modelsOf({ id }: Repo, { commit, folder, refs, files }: Snapshot): Promise<CachedModel[]> {
  const revision = refs.includes("main") ? "" : `@${refs[0] ?? commit}`;
  const entry = (label: string, of: readonly SnapshotFile[], found: { path?: string; reason?: string }) => ({
    ...{ name: `${id}${revision}${label}`, commit, path: found.path, missing: found.reason },
    bytes: of.reduce((sum, file) => sum + file.bytes, 0),
    modified: new Date(Math.max(0, ...of.map((file) => Number(file.modified)))),
  });
  const ggufs = ggufModels(files.map(({ name }) => name));
  if (ggufs.length === 0) {
    const found = await cachedSnapshot(folder).catch((error: Error) => ({ reason: error.message }));
    return [entry("", files, found)];
  }
  return Promise.all(
    ggufs.map(async (model) => {
      const parts = files.filter(({ name }) => model.files.includes(name));
      return entry(`:${model.label}`, parts, await cachedGguf(folder, model.files[0]!));
    }),
  );
}

function chosenFiles({ snapshots }: Repo, { revisionOfId, gguf }: HubId): SnapshotFile[] {
  const chosen = snapshots.filter(
    ({ commit, refs }) =>
      revisionOfId === undefined || commit === revisionOfId || refs.includes(revisionOfId),
  );
  if (gguf === undefined) return chosen.flatMap(({ files }) => files);
  return chosen.flatMap(({ files }) => {
    const model = chooseGguf(
      files.map(({ name }) => name),
      gguf,
    );
    return typeof model === "string" ? [] : files.filter(({ name }) => model.files.includes(name));
  });
}

async function removeFiles(
  { folder, snapshots }: Repo,
  files: readonly SnapshotFile[],
  freed: readonly SnapshotFile[],
): Promise<void> {
  for (const { path } of files) await rm(path, { force: true });
  for (const { blob } of freed) await rm(blob, { force: true });
  for (const snapshot of snapshots) {
    if (!snapshot.files.every((file) => files.includes(file)) || snapshot.files.length === 0) continue;
    await rm(snapshot.folder, { recursive: true, force: true });
    for (const name of snapshot.refs) await rm(join(folder, "refs", name), { force: true });
  }
  for (const { path } of files) await rmdir(dirname(path)).catch(() => undefined); // that of a quantisation, if it is empty
}

async function entriesOf(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
}

/** Files and links, by their path from the folder. */
async function filesUnder(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => !entry.isDirectory())
      .map(({ parentPath, name }) => relative(folder, join(parentPath, name)).replaceAll(sep, "/"));
  } catch (error) {
    if (isNotFound(error)) return [];
    throw error;
  }
}
