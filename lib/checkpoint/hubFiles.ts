/** The files of a hub repository, read where they are: headers of weights that nobody downloads. */
import { relative } from "node:path";
import { CheckpointError, HubError } from "../errors.js";
import { hubStatusError, toHubError } from "./hubErrors.js";
import { isFile } from "./json.js";
import { localFiles, type TensorFile, type TensorFiles } from "./tensorFiles.js";

export interface HubFilesOptions {
  /** Where the repository's files would be. */
  readonly folder: string;
  /** Bytes of each file, by its name in the repository. */
  readonly sizes: ReadonlyMap<string, number>;
  readonly urlOf: (name: string) => string;
  /** "org/name@main", named in errors. */
  readonly what: string;
  readonly fetch: typeof fetch;
  readonly signal: AbortSignal | undefined;
}

/** Files of the folder that are there are read there. */
export function hubFiles(options: HubFilesOptions): TensorFiles {
  const nameOf = (path: string): string => relative(options.folder, path).replaceAll("\\", "/");
  return {
    has: (path) => Promise.resolve(options.sizes.has(nameOf(path))),
    async open(path) {
      if (await isFile(path)) return localFiles.open(path);
      const name = nameOf(path);
      const size = options.sizes.get(name);
      if (size !== undefined) return new HubFile(options, name, size);
      const message = `${options.what}: the repository has no ${name}`;
      throw new CheckpointError("ERR_CHECKPOINT_MISSING", message, { file: path });
    },
  };
}

/** What is asked for at least: headers are read piece by piece. */
const leastBytes = 1 << 18;

/** Reads ranges, and keeps the last one. */
class HubFile implements TensorFile {
  readonly #options: HubFilesOptions;
  readonly #name: string;
  readonly #size: number;
  #kept: { readonly start: number; readonly bytes: Uint8Array } = { start: 0, bytes: new Uint8Array() };

  constructor(options: HubFilesOptions, name: string, size: number) {
    this.#options = options;
    this.#name = name;
    this.#size = size;
  }

  stat(): Promise<{ readonly size: number }> {
    return Promise.resolve({ size: this.#size });
  }

  async read(
    into: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }> {
    const wanted = Math.min(length, this.#size - position);
    if (wanted <= 0) return { bytesRead: 0 };
    if (position < this.#kept.start || position + wanted > this.#kept.start + this.#kept.bytes.length) {
      const end = Math.min(this.#size, position + Math.max(wanted, leastBytes));
      this.#kept = { start: position, bytes: await this.#fetchRange(position, end) };
    }
    const from = position - this.#kept.start;
    into.set(this.#kept.bytes.subarray(from, from + wanted), offset);
    return { bytesRead: wanted };
  }

  close(): Promise<void> {
    this.#kept = { start: 0, bytes: new Uint8Array() };
    return Promise.resolve();
  }

  /** @param end behind the last byte @throws HubError; the reason of the signal */
  async #fetchRange(start: number, end: number): Promise<Uint8Array> {
    const { urlOf, fetch, signal } = this.#options;
    const what = `${this.#options.what}: ${this.#name}`;
    const headers = { Range: `bytes=${start}-${end - 1}`, "Accept-Encoding": "identity" };
    try {
      const response = await fetch(urlOf(this.#name), { headers });
      if (!response.ok) throw hubStatusError(response.status, what);
      // A server that knows no ranges sends all of it, from the start on.
      const skipped = response.status === 206 ? 0 : start;
      const bytes = await firstBytes(response, skipped + end - start);
      if (bytes.length === skipped + end - start) return bytes.subarray(skipped);
      throw new HubError("ERR_HUB_NETWORK", `${what}: the connection ended after ${bytes.length} bytes`);
    } catch (error) {
      throw toHubError(error, what, signal);
    }
  }
}

/** No more than so many, whatever the server sends. */
async function firstBytes(response: Response, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  let length = 0;
  if (response.body === null) return bytes.subarray(0, 0);
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    const some = chunk.subarray(0, count - length);
    bytes.set(some, length);
    length += some.length;
    if (length === count) break; // ends the connection
  }
  return bytes.subarray(0, length);
}
