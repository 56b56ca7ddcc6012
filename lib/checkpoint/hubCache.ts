/**
 * The cache folder of one hub repository, in the layout that Python and JavaScript share:
 *
 *   models--org--name/refs/<revision>             text: a commit
 *   models--org--name/snapshots/<commit>/<file>   link to a blob
 *   models--org--name/blobs/<etag>                content; `<etag>.incomplete` while it downloads
 *
 * Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache. Knows nothing of the network.
 */
import { link, mkdir, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { getHFHubCachePath, getRepoFolderName } from "@huggingface/hub";
import { readBoundedFile } from "./boundedFile.js";
import { chooseGguf } from "./hubGguf.js";
import { isFile, isNotFound } from "./json.js";
import { indexFileName, readShardIndex, shardFiles, singleFileName } from "./safetensors.js";

const commitPattern = /^[0-9a-f]{40}$/;
const maxRefBytes = 1000;

export function isCommit(revision: string): boolean {
  return commitPattern.test(revision);
}

/** Paths and links of one cached repository. Every path stays inside its folder if the names were checked by the caller. */
export class RepoCache {
  readonly folder: string;

  /** @param id checked "org/name" */
  constructor(id: string) {
    // HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME and XDG_CACHE_HOME are honoured by the library.
    this.folder = join(getHFHubCachePath(), getRepoFolderName({ type: "model", name: id }));
  }

  snapshotFolder(commit: string): string {
    return join(this.folder, "snapshots", commit);
  }

  blobPath(etag: string): string {
    return join(this.folder, "blobs", etag);
  }

  /** The commit that a revision meant when it was last fetched. */
  async readRef(revision: string): Promise<string | undefined> {
    if (isCommit(revision)) return revision;
    try {
      const commit = (await readBoundedFile(join(this.folder, "refs", revision), maxRefBytes))
        .toString("utf8")
        .trim();
      return isCommit(commit) ? commit : undefined;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async writeRef(revision: string, commit: string): Promise<void> {
    if (isCommit(revision)) return;
    const path = join(this.folder, "refs", revision);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, commit);
  }

  /** Makes `file` of a snapshot point to a blob that exists. Replaces a dangling link. */
  async linkFile(commit: string, file: string, etag: string): Promise<void> {
    const path = join(this.snapshotFolder(commit), file);
    const blob = this.blobPath(etag);
    await mkdir(dirname(path), { recursive: true });
    await rm(path, { force: true });
    try {
      await symlink(relative(dirname(path), blob), path);
    } catch (error) {
      const code = (error as { code?: unknown }).code;
      if (code === "EEXIST") return; // another process was faster; its link says the same
      if (code !== "EPERM" && code !== "ENOTSUP") throw error;
      await link(blob, path); // Windows without the right to make symbolic links
    }
  }
}

/**
 * What a snapshot lacks to be loaded: config.json and the weights. Tokenizer files are not asked for, because not every
 * repository has them.
 *
 * @returns file names; empty if the snapshot can be loaded
 * @throws CheckpointError ERR_CHECKPOINT_FORMAT if the cached index is malformed
 */
async function missingFiles(folder: string): Promise<string[]> {
  const needed = ["config.json"];
  if (!(await isFile(join(folder, singleFileName)))) {
    const index = await readShardIndex(join(folder, indexFileName));
    needed.push(...(index === undefined ? [singleFileName] : shardFiles(index)));
  }
  const missing: string[] = [];
  for (const name of needed) {
    if (!(await isFile(join(folder, name)))) missing.push(name);
  }
  return missing;
}

/** A path, or why there is none. */
export type Cached = { readonly path: string } | { readonly reason: string };

/** A snapshot that can be loaded. */
export async function cachedSnapshot(folder: string): Promise<Cached> {
  const missing = await missingFiles(folder);
  return missing.length === 0 ? { path: folder } : { reason: `it lacks ${missing.join(", ")}` };
}

/** A GGUF file with all its parts. Those that are there are all that can be chosen from. */
export async function cachedGguf(folder: string, wanted: string): Promise<Cached> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const names = entries.map(({ parentPath, name }) => relative(folder, join(parentPath, name)));
  const model = chooseGguf(names, wanted);
  if (typeof model === "string") return { reason: model };
  for (const name of model.files)
    if (!(await isFile(join(folder, name)))) return { reason: `it lacks ${name}` };
  return { path: join(folder, model.files[0]!) };
}
