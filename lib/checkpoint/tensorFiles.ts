/**
 * The tensors of a checkpoint in files that are open: whoever knows a format fills it (safetensors.ts, lib/gguf). Tensor data stays on disk
 * until `read`, or until somebody reads `file` at `byteOffset` by other means.
 */
import { type FileHandle, stat } from "node:fs/promises";
import { ArgumentRangeError, CheckpointError, ClosedError, WarploopError } from "../errors.js";
import { openRegularFile } from "./boundedFile.js";
import { describeError, isNotFound, show } from "./json.js";
import type { TensorEntry } from "./safetensorsHeader.js";

export type { CheckpointDtype, TensorEntry } from "./safetensorsHeader.js";

/** One read call of Node takes at most 2^31 - 1 bytes. */
const maxReadBytes = 2 ** 30;

/** A file that is open: a `FileHandle`, or one that is elsewhere. */
export interface TensorFile {
  /** Reads up to `length` bytes from `position` on to where `offset` is in `into`; none behind the end. */
  read(
    into: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>;
  stat(): Promise<{ readonly size: number }>;
  close(): Promise<void>;
  /** Its descriptor, if it is a file of this machine. */
  readonly fd?: number;
}

/** Where files are. */
export interface TensorFiles {
  has(file: string): Promise<boolean>;
  /** @throws CheckpointError ERR_CHECKPOINT_MISSING */
  open(file: string): Promise<TensorFile>;
}

export const localFiles: TensorFiles = { has: exists, open: openFile };

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw missingError(file, error);
  }
}

/** The tensors of a checkpoint. Holds its files open, so that replacing one does not mix two versions. */
export class Checkpoint {
  /** By name; within a file in the order of the data. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  /** Or the file; named in errors. */
  readonly folder: string;
  readonly #handles: Map<string, TensorFile>;

  /** Takes ownership of the handles, which are keyed by `TensorEntry.file`. */
  constructor(folder: string, tensors: ReadonlyMap<string, TensorEntry>, handles: Map<string, TensorFile>) {
    this.folder = folder;
    this.tensors = tensors;
    this.#handles = handles;
  }

  /** Whether all of its files are here. */
  get isLocal(): boolean {
    return [...this.#handles.values()].every(({ fd }) => fd !== undefined);
  }

  /**
   * Reads raw tensor bytes.
   *
   * @param entry one of `tensors`
   * @param into filled completely
   * @param start first byte to read, counted from the start of the tensor
   * @throws ClosedError after close; ArgumentRangeError if `into` reaches beyond the tensor; CheckpointError
   * ERR_CHECKPOINT_FORMAT if the file has become shorter
   */
  async read(entry: TensorEntry, into: Uint8Array, start = 0): Promise<void> {
    const handle = this.#handles.get(entry.file);
    if (handle === undefined) throw new ClosedError(`checkpoint ${this.folder}`);
    if (!(start >= 0 && start + into.length <= entry.byteLength)) {
      throw new ArgumentRangeError(
        `read: expected bytes within [0, ${entry.byteLength}), got [${start}, ${start + into.length})`,
      );
    }
    await readFully(handle, into, { file: entry.file, position: entry.byteOffset + start });
  }

  /**
   * The descriptor of one of the files, for who reads it by other means. It ends with this checkpoint.
   *
   * @param file `TensorEntry.file`
   * @throws ClosedError
   */
  descriptor(file: string): number {
    const handle = this.#handles.get(file);
    if (handle?.fd === undefined) throw new ClosedError(`checkpoint ${this.folder}`);
    return handle.fd;
  }

  /** Closes the files. Entries stay valid as descriptions. Closing twice is harmless. */
  async close(): Promise<void> {
    const handles = [...this.#handles.values()];
    this.#handles.clear();
    await Promise.all(handles.map((handle) => handle.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** @throws CheckpointError ERR_CHECKPOINT_MISSING */
export async function openFile(file: string): Promise<FileHandle> {
  try {
    return await openRegularFile(file);
  } catch (error) {
    throw missingError(file, error);
  }
}

/** @param position of the first byte in the file @throws CheckpointError ERR_CHECKPOINT_FORMAT if the file ends before */
export async function readFully(
  handle: TensorFile,
  into: Uint8Array,
  { file, position }: { readonly file: string; readonly position: number },
): Promise<void> {
  let done = 0;
  while (done < into.length) {
    const length = Math.min(into.length - done, maxReadBytes);
    const { bytesRead } = await handle.read(into, done, length, position + done).catch((cause: unknown) => {
      throw cause instanceof WarploopError ? cause : missingError(file, cause);
    });
    if (bytesRead === 0) {
      const message = `${file}: truncated: expected ${into.length} bytes at ${position}, got ${done}`;
      throw new CheckpointError("ERR_CHECKPOINT_FORMAT", message, { file });
    }
    done += bytesRead;
  }
}

/** @throws CheckpointError ERR_CHECKPOINT_FORMAT for a name that is there already */
export function addTensors(tensors: Map<string, TensorEntry>, entries: readonly TensorEntry[]): void {
  for (const entry of entries) {
    const other = tensors.get(entry.name);
    if (other !== undefined) {
      throw new CheckpointError(
        "ERR_CHECKPOINT_FORMAT",
        `${entry.file}: tensor ${show(entry.name)} is also in ${other.file}: which of them is meant cannot be known`,
        { file: entry.file, tensor: entry.name },
      );
    }
    tensors.set(entry.name, entry);
  }
}

/** What went wrong when a file was looked for. */
export function missingError(file: string, cause: unknown): CheckpointError {
  const problem = isNotFound(cause) ? "no such file" : describeError(cause);
  return new CheckpointError("ERR_CHECKPOINT_MISSING", `${file}: ${problem}`, { file }, { cause });
}
