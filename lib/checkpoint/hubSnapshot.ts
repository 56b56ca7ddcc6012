/**
 * Fetches the files of one hub repository that warploop needs into the Hugging Face cache, or finds them there.
 * Requests about the repository go through @huggingface/hub; file contents through hubDownload.ts.
 *
 * Environment: what hubConnection.ts and hubCache.ts read.
 */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { listFiles, modelInfo, type ListFileEntry } from "@huggingface/hub";
import { HubError } from "../errors.js";
import type { ResolveModelOptions } from "./hubOptions.js";
import { boundedFetch } from "./hubBounds.js";
import { cachedGguf, cachedSnapshot, isCommit, RepoCache } from "./hubCache.js";
import { endpoint, type Hub, hubFetch, isOffline } from "./hubConnection.js";
import { downloadBlob, type BlobDownload } from "./hubDownload.js";
import { toCacheError, toHubError } from "./hubErrors.js";
import { hubFiles } from "./hubFiles.js";
import { chooseGguf, ggufModels, labelsOf, watchHead } from "./hubGguf.js";
import { isFile } from "./json.js";
import { otherFormatHint } from "./otherFormats.js";
import { indexFileName, readShardIndex, shardFiles, singleFileName } from "./safetensors.js";
import type { TensorFiles } from "./tensorFiles.js";

/** A checked id and revision. */
export interface SnapshotRequest extends ResolveModelOptions {
  readonly id: string;
  readonly revision: string;
  /** Says that the id is no folder here either; ends the message when the hub does not have it. */
  readonly noFolder: string;
  /** The quantisation of the GGUF file that is wanted, or its name: nothing else is fetched. */
  readonly gguf?: string;
}

/** Further templates of a checkpoint: the only folder that is looked into. */
const templateFolder = "additional_chat_templates";
/** Folders in which GGUF files are looked for: publishers have one for each quantisation of a large model. */
const maxFolders = 64;
/** Everything besides the weights. */
const smallFilePattern =
  /^(?:config|generation_config|tokenizer[\w.-]*|special_tokens_map|added_tokens|(?:adapter|hf_quant|quant|quantize)_config)\.json$|^chat_template\.(?:jinja|json)$|^additional_chat_templates\/[\w.-]+\.jinja$/;

/**
 * Fetches what is not cached yet and returns the snapshot folder, or its GGUF file. Online, the hub is asked what the revision is and which
 * files it has; if it does not answer, a complete cached snapshot of the revision is taken as with HF_HUB_OFFLINE.
 *
 * @throws as {@link resolveModel}
 */
export async function fetchSnapshot(request: SnapshotRequest): Promise<string> {
  try {
    return await fetchOrFind(request);
  } catch (error) {
    throw toCacheError(error, `${request.id}@${request.revision}`);
  }
}

async function fetchOrFind(request: SnapshotRequest): Promise<string> {
  const { id, revision, signal } = request;
  const what = `${id}@${revision}`;
  const cache = new RepoCache(id);
  if (isOffline()) return checked(await cachedPath(cache, request), request);
  const authorized = hubFetch(request);
  const hub: Hub = { endpoint: endpoint(), fetch: authorized, api: boundedFetch(authorized, what) };
  let commit: string;
  let files: ReadonlyMap<string, ListFileEntry>;
  try {
    commit = await resolveCommit(hub, request);
    files = await listNeededFiles(hub, request, commit);
  } catch (error) {
    const reason = toHubError(error, what, signal);
    if (!(reason instanceof HubError)) throw reason;
    const hubError = new HubError(reason.code, `${reason.message}; ${request.noFolder}`, { cause: error });
    if (hubError.code !== "ERR_HUB_NETWORK") throw hubError;
    const path = await cachedPath(cache, request).catch(() => {
      throw hubError;
    });
    return checked(path, request);
  }
  const snapshot = new SnapshotDownload(hub, cache, request, commit, files);
  const path = await snapshot.run();
  if (request.onlyHeaders) return path;
  // Last, so that offline use never finds a revision whose files are still on their way.
  await cache.writeRef(revision, commit);
  return path;
}

async function checked(
  path: string,
  { beforeWeights }: SnapshotRequest,
  files?: TensorFiles,
): Promise<string> {
  await beforeWeights?.(path, files);
  return path;
}

async function cachedPath(cache: RepoCache, request: SnapshotRequest): Promise<string> {
  const { id, revision, noFolder, gguf } = request;
  const commit = await cache.readRef(revision);
  let reason = "it was never downloaded";
  if (commit !== undefined) {
    const folder = cache.snapshotFolder(commit);
    const found = gguf === undefined ? await cachedSnapshot(folder) : await cachedGguf(folder, gguf);
    if ("path" in found) return found.path;
    reason = found.reason;
  }
  const message = `${id}@${revision}: HF_HUB_OFFLINE is set and the cache ${cache.folder} cannot serve it: ${reason}; ${noFolder}`;
  throw new HubError("ERR_HUB_OFFLINE", message);
}

async function resolveCommit(hub: Hub, { id, revision }: SnapshotRequest): Promise<string> {
  if (isCommit(revision)) return revision;
  const { sha } = await modelInfo({
    name: id,
    revision,
    hubUrl: hub.endpoint,
    fetch: hub.api,
    additionalFields: ["sha"],
  });
  if (typeof sha !== "string" || !isCommit(sha)) throw malformedAnswer(id, "the commit");
  return sha;
}

/** The files at the root of the repository, and in the folder of templates; or in all folders, where a GGUF file may be. */
async function listNeededFiles(
  hub: Hub,
  { id, gguf }: SnapshotRequest,
  commit: string,
): Promise<Map<string, ListFileEntry>> {
  const files = new Map<string, ListFileEntry>();
  const repository = { repo: id, revision: commit, hubUrl: hub.endpoint, fetch: hub.api };
  const folders: string[] = [];
  for await (const { type, path, ...entry } of listFiles(repository)) {
    if (type === "file") files.set(path, { type, path, ...entry });
    const isWanted = gguf === undefined ? path === templateFolder : folders.length < maxFolders;
    if (type === "directory" && isWanted) folders.push(path);
  }
  for (const path of folders) {
    for await (const entry of listFiles({ ...repository, path })) {
      if (entry.type === "file") files.set(entry.path, entry);
    }
  }
  return files;
}

class SnapshotDownload {
  readonly #hub: Hub;
  readonly #cache: RepoCache;
  readonly #request: SnapshotRequest;
  readonly #commit: string;
  readonly #files: ReadonlyMap<string, ListFileEntry>;

  constructor(
    hub: Hub,
    cache: RepoCache,
    request: SnapshotRequest,
    commit: string,
    files: ReadonlyMap<string, ListFileEntry>,
  ) {
    this.#hub = hub;
    this.#cache = cache;
    this.#request = request;
    this.#commit = commit;
    this.#files = files;
  }

  /**
   * Small files first, the weights last and only if the caller agrees: a snapshot with all its weights has everything, and
   * nothing large is fetched for a model that cannot run. Of a GGUF file, which is all in one, its beginning says most of that, and
   * the caller what is left when it is there.
   */
  async run(): Promise<string> {
    return this.#request.gguf === undefined ? this.#fetchFolder() : this.#fetchGguf(this.#request.gguf);
  }

  async #fetchGguf(wanted: string): Promise<string> {
    const { id, revision } = this.#request;
    const model = chooseGguf(this.#files.keys(), wanted);
    if (typeof model === "string") throw new HubError("ERR_HUB_NOT_FOUND", `${id}@${revision}: ${model}`);
    const path = join(this.#cache.snapshotFolder(this.#commit), model.files[0]!);
    if (this.#request.onlyHeaders) return checked(path, this.#request, this.#remoteFiles());
    for (const name of model.files) await this.#ensure(name);
    return checked(path, this.#request);
  }

  async #fetchFolder(): Promise<string> {
    const hasConfig = this.#files.has("config.json");
    // An adapter has none; the caller says what it is.
    if (!hasConfig && !this.#files.has("adapter_config.json")) throw this.#lacks("config.json");
    const small = [...this.#files.keys()].filter((name) => smallFilePattern.test(name)).sort();
    for (const name of small) await this.#ensure(name);
    const folder = this.#cache.snapshotFolder(this.#commit);
    const { beforeWeights, onlyHeaders } = this.#request;
    await beforeWeights?.(folder, onlyHeaders ? this.#remoteFiles() : undefined);
    if (!hasConfig) throw this.#lacks("config.json");
    if (this.#files.has(singleFileName)) {
      if (!onlyHeaders) await this.#ensure(singleFileName);
      return folder;
    }
    if (!this.#files.has(indexFileName)) throw this.#lacks("weights in safetensors format");
    await this.#ensure(indexFileName);
    if (onlyHeaders) return folder;
    const index = await readShardIndex(join(folder, indexFileName));
    // One after another: the hub fills a line with one connection, and an abort leaves one partial file.
    for (const name of shardFiles(index!)) await this.#ensure(name);
    return folder;
  }

  async #ensure(name: string): Promise<void> {
    const entry = this.#files.get(name);
    if (entry === undefined) throw this.#lacks(name);
    if (await isFile(join(this.#cache.snapshotFolder(this.#commit), name))) return;
    const { etag, digest } = this.#identify(entry);
    const blobPath = this.#cache.blobPath(etag);
    if (!(await isFile(blobPath))) {
      await mkdir(dirname(blobPath), { recursive: true });
      await downloadBlob({
        url: this.#urlOf(name),
        what: `${this.#request.id}@${this.#request.revision}: ${name}`,
        blobPath,
        sizeBytes: sizeOf(entry),
        digest,
        onLoaded: (loaded) =>
          this.#request.onProgress?.({
            phase: "download",
            file: name,
            loaded,
            total: sizeOf(entry),
          }),
        onHead: this.#watch(entry),
        signal: this.#request.signal,
        fetch: this.#hub.fetch,
      });
    }
    await this.#cache.linkFile(this.#commit, name, etag);
  }

  #urlOf(name: string): string {
    const path = name.split("/").map(encodeURIComponent).join("/");
    return `${this.#hub.endpoint}/${this.#request.id}/resolve/${this.#commit}/${path}`;
  }

  #remoteFiles(): TensorFiles {
    const { id, revision, signal } = this.#request;
    return hubFiles({
      folder: this.#cache.snapshotFolder(this.#commit),
      sizes: new Map([...this.#files].map(([name, entry]) => [name, sizeOf(entry)])),
      urlOf: (name) => this.#urlOf(name),
      ...{ what: `${id}@${revision}`, fetch: this.#hub.fetch, signal },
    });
  }

  #watch(entry: ListFileEntry): BlobDownload["onHead"] {
    const { id, checkGguf } = this.#request;
    if (!checkGguf || !/\.gguf$/i.test(entry.path)) return undefined;
    return watchHead(checkGguf, sizeOf(entry), `${id}: ${entry.path}`);
  }

  /** The name of the blob, chosen as Python does, and what its content must hash to. */
  #identify(entry: ListFileEntry): { readonly etag: string; readonly digest: BlobDownload["digest"] } {
    const etag = entry.lfs?.oid ?? entry.xetHash ?? entry.oid ?? "";
    const size = sizeOf(entry);
    if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(etag) || !Number.isSafeInteger(size) || size < 0) {
      throw malformedAnswer(this.#request.id, entry.path);
    }
    if (entry.lfs !== undefined) return { etag, digest: { kind: "sha256", hex: etag } };
    // A xet hash is a tree over chunks that only its own protocol defines.
    return { etag, digest: entry.xetHash === undefined ? { kind: "gitSha1", hex: etag } : undefined };
  }

  #lacks(thing: string): HubError {
    const { id, revision } = this.#request;
    const models = ggufModels(this.#files.keys());
    const hint =
      models.length > 0
        ? `; it has GGUF files: give what is behind their names, such as "${id}:${models[0]!.label}"; there are ${labelsOf(models)}`
        : otherFormatHint([...this.#files.keys()]);
    return new HubError("ERR_HUB_NOT_FOUND", `${id}@${revision}: the repository has no ${thing}${hint}`);
  }
}

function sizeOf({ lfs, size }: ListFileEntry): number {
  return lfs?.size ?? size;
}

function malformedAnswer(id: string, part: string): HubError {
  return new HubError("ERR_HUB_NETWORK", `${id}: the hub gave a malformed answer about ${part}`);
}
