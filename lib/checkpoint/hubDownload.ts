/**
 * Downloads one file of a hub repository into a blob of the cache: resumed, verified, with progress, abortable.
 *
 * Why not `downloadFileToCacheDir` of @huggingface/hub 2.17.5: after a break it starts again from zero, it reports no
 * progress, takes no signal, does not verify the content and writes to the console.
 *
 * Two processes may download the same blob at once. Both write the same bytes to the same positions of the same
 * `.incomplete` file and never truncate it, so neither can spoil the other.
 */
import { createHash, type Hash } from "node:crypto";
import { constants } from "node:fs";
import { open, rename, rm, type FileHandle } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { CheckpointError, HubError } from "../errors.js";
import { hubStatusError, toHubError } from "./hubErrors.js";
import { isFile, isNotFound } from "./json.js";

export interface BlobDownload {
  readonly url: string;
  /** Name of the file in errors. */
  readonly what: string;
  /** Where the finished content goes. The parent folder exists. */
  readonly blobPath: string;
  readonly sizeBytes: number;
  /** Digest of the content in hex; undefined if the hub does not tell one that can be computed. */
  readonly digest: { readonly kind: "sha256" | "gitSha1"; readonly hex: string } | undefined;
  /** Called with the bytes on disk; never decreases, ends with sizeBytes. */
  readonly onLoaded: (loadedBytes: number) => void;
  /** Called with the file and how many bytes from its start are there, digest unverified. A CheckpointError ends the download for good. */
  readonly onHead?: ((part: FileHandle, loadedBytes: number) => Promise<void>) | undefined;
  readonly signal: AbortSignal | undefined;
  readonly fetch: typeof fetch;
}

/** Attempts in a row that may fail without a single new byte. */
const maxFutileAttempts = 4;
const firstRetryDelayMs = 200;

/**
 * Downloads a blob, continuing `<blobPath>.incomplete` if there is one. Breaks of the connection are retried.
 *
 * @throws HubError ERR_HUB_NOT_FOUND, ERR_HUB_UNAUTHORIZED, ERR_HUB_NETWORK; the reason of the signal;
 * system errors of the disk as they are
 */
export async function downloadBlob(download: BlobDownload): Promise<void> {
  const { blobPath, signal, what } = download;
  const partPath = `${blobPath}.incomplete`;
  const report = progressReporter(download);
  let hasRestarted = false;
  let bestBytes = 0;
  let futileAttempts = 0;
  for (;;) {
    const attempt = await runAttempt(download, partPath, report).catch(async (error: unknown) => {
      if (error instanceof CheckpointError) await rm(partPath, { force: true }); // nobody will continue it
      throw error;
    });
    if (attempt.outcome === "complete") return publish(partPath, blobPath);
    if (attempt.outcome === "corrupt") {
      await rm(partPath, { force: true });
      if (hasRestarted) {
        throw new HubError("ERR_HUB_NETWORK", `${what}: the content does not match its digest`);
      }
      hasRestarted = true;
      continue;
    }
    futileAttempts = attempt.loadedBytes > bestBytes ? 1 : futileAttempts + 1;
    bestBytes = Math.max(bestBytes, attempt.loadedBytes);
    if (futileAttempts >= maxFutileAttempts) throw attempt.error;
    await delay(firstRetryDelayMs * 2 ** (futileAttempts - 1), undefined, { signal }).catch(() => {
      throw signal?.reason;
    });
  }
}

type Attempt =
  | { readonly outcome: "complete" }
  | { readonly outcome: "corrupt" }
  | { readonly outcome: "broken"; readonly loadedBytes: number; readonly error: HubError };

type Report = (loadedBytes: number) => void;

async function runAttempt(download: BlobDownload, partPath: string, report: Report): Promise<Attempt> {
  // Opened without truncation: an earlier attempt or another process may have filled a part.
  const part = await open(partPath, constants.O_RDWR | constants.O_CREAT, 0o644);
  const transfer = new Transfer(download, part);
  try {
    const { size } = await part.stat();
    if (size > download.sizeBytes) return { outcome: "corrupt" };
    await transfer.adopt(size);
    await transfer.run(report);
    return { outcome: transfer.isIntact() ? "complete" : "corrupt" };
  } catch (error) {
    if (!(error instanceof HubError) || error.code !== "ERR_HUB_NETWORK") throw error;
    return { outcome: "broken", loadedBytes: transfer.loadedBytes, error };
  } finally {
    await part.close();
  }
}

/** One connection that appends to a partial file. Invariant: bytes [0, loadedBytes) are on disk and in the hash. */
class Transfer {
  #loadedBytes = 0;
  #hash: Hash | undefined;
  readonly #download: BlobDownload;
  readonly #part: FileHandle;

  constructor(download: BlobDownload, part: FileHandle) {
    this.#download = download;
    this.#part = part;
    this.#hash = createDigest(download);
  }

  get loadedBytes(): number {
    return this.#loadedBytes;
  }

  /** Takes bytes [0, existingBytes) of the file as valid, until the digest says otherwise. */
  async adopt(existingBytes: number): Promise<void> {
    if (existingBytes === 0) return;
    const stream = this.#part.createReadStream({ start: 0, end: existingBytes - 1, autoClose: false });
    for await (const chunk of stream) this.#hash?.update(chunk as Buffer);
    this.#loadedBytes = existingBytes;
  }

  async run(report: Report): Promise<void> {
    const { sizeBytes, what } = this.#download;
    report(this.#loadedBytes);
    await this.#download.onHead?.(this.#part, this.#loadedBytes);
    if (this.#loadedBytes === sizeBytes) return;
    const body = await this.#request();
    try {
      await this.#receive(body, report);
    } catch (error) {
      body.cancel().catch(() => {}); // gives the connection back; the error is what matters
      throw error;
    }
    if (this.#loadedBytes !== sizeBytes) {
      const got = `the connection ended after ${this.#loadedBytes} of ${sizeBytes} bytes`;
      throw new HubError("ERR_HUB_NETWORK", `${what}: ${got}`);
    }
  }

  async #receive(body: ReadableStreamDefaultReader<Uint8Array>, report: Report): Promise<void> {
    // Neither the read behind the last byte nor one that begins after an abort may be waited for: in Node 20 they never
    // settle if the abort came when all bytes had arrived.
    while (this.#loadedBytes < this.#download.sizeBytes) {
      this.#download.signal?.throwIfAborted();
      const chunk = await this.#network(() => body.read());
      if (chunk.done) return;
      await this.#append(chunk.value);
      report(this.#loadedBytes);
      await this.#download.onHead?.(this.#part, this.#loadedBytes);
    }
  }

  isIntact(): boolean {
    return this.#hash === undefined || this.#hash.digest("hex") === this.#download.digest?.hex;
  }

  async #request(): Promise<ReadableStreamDefaultReader<Uint8Array>> {
    const { url, what, sizeBytes } = this.#download;
    // identity: a compressed answer would count other bytes than the range does.
    const headers: Record<string, string> = { "Accept-Encoding": "identity" };
    if (this.#loadedBytes > 0) headers.Range = `bytes=${this.#loadedBytes}-`;
    const response = await this.#network(() => this.#download.fetch(url, { headers }));
    if (!response.ok) {
      await response.body?.cancel();
      throw hubStatusError(response.status, what);
    }
    if (response.status === 206) {
      const expected = `bytes ${this.#loadedBytes}-${sizeBytes - 1}/${sizeBytes}`;
      const got = response.headers.get("Content-Range");
      if (got !== expected) {
        await response.body?.cancel();
        throw new HubError("ERR_HUB_NETWORK", `${what}: Content-Range: expected ${expected}, got ${got}`);
      }
    } else if (this.#loadedBytes > 0) {
      // The server ignores ranges and sends everything; what is on disk is written again.
      this.#loadedBytes = 0;
      this.#hash = createDigest(this.#download);
    }
    if (response.body === null) throw new HubError("ERR_HUB_NETWORK", `${what}: the answer has no body`);
    return response.body.getReader();
  }

  async #append(chunk: Uint8Array): Promise<void> {
    const { sizeBytes, what } = this.#download;
    if (this.#loadedBytes + chunk.length > sizeBytes) {
      throw new HubError(
        "ERR_HUB_NETWORK",
        `${what}: the hub sent more than the ${sizeBytes} bytes it announced`,
      );
    }
    for (let done = 0; done < chunk.length;) {
      done += (await this.#part.write(chunk, done, chunk.length - done, this.#loadedBytes + done))
        .bytesWritten;
    }
    this.#hash?.update(chunk);
    this.#loadedBytes += chunk.length;
  }

  /** Gives failures of the network their type, and only those: the disk has its own errors. */
  async #network<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      throw toHubError(error, this.#download.what, this.#download.signal);
    }
  }
}

function createDigest({ digest, sizeBytes }: BlobDownload): Hash | undefined {
  if (digest === undefined) return undefined;
  if (digest.kind === "sha256") return createHash("sha256");
  return createHash("sha1").update(`blob ${sizeBytes}\0`);
}

/** After a restart nothing is reported until there is more than before. */
function progressReporter({ onLoaded }: BlobDownload): Report {
  let reportedBytes = -1;
  return (loadedBytes) => {
    if (loadedBytes <= reportedBytes) return;
    reportedBytes = loadedBytes;
    onLoaded(loadedBytes);
  };
}

async function publish(partPath: string, blobPath: string): Promise<void> {
  try {
    await rename(partPath, blobPath);
  } catch (error) {
    // Another process finished the same content and renamed it first.
    if (!(isNotFound(error) && (await isFile(blobPath)))) throw error;
  }
}
