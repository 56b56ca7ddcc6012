/**
 * Opens a GGUF file, or all files of one that is split. Only headers are read; tensor data stays on disk. The rules of one file are in
 * header.ts; what the metadata mean is elsewhere.
 */
import { basename, dirname, join } from "node:path";
import { contentBytes, nameContent } from "../checkpoint/fileContent.js";
import {
  addTensors,
  Checkpoint,
  localFiles,
  readFully,
  type TensorEntry,
  type TensorFile,
  type TensorFiles,
} from "../checkpoint/tensorFiles.js";
import { CheckpointError } from "../errors.js";
import { formatError, type GgufHeader, maxHeaderBytes, parseHeader } from "./header.js";
import { Metadata } from "./metadata.js";

export interface GgufFile {
  readonly metadata: Metadata;
  /** Of all parts. The caller closes it. */
  readonly checkpoint: Checkpoint;
}

/** Bytes that are read first: the headers of small vocabularies. */
const firstBytes = 1 << 20;

/** Parts that are opened; the largest published models have 30. */
const maxParts = 1024;

/**
 * @param path of the file, or of the first part
 * @param files where they are
 * @throws CheckpointError ERR_CHECKPOINT_MISSING, ERR_CHECKPOINT_FORMAT
 */
export async function openGguf(path: string, files: TensorFiles = localFiles): Promise<GgufFile> {
  const handles = new Map<string, TensorFile>();
  const tensors = new Map<string, TensorEntry>();
  const open = async (file: string): Promise<Metadata> => {
    const handle = await files.open(file);
    handles.set(file, handle);
    const header = await readHeader(handle, file);
    addTensors(tensors, header.tensors);
    return new Metadata(file, header.metadata);
  };
  try {
    const metadata = await open(path);
    const names = partNames(path, metadata);
    for (const [i, name] of names.entries()) {
      if (i > 0) checkPart(await open(join(dirname(path), name)), i, names.length);
    }
    const total = metadata.integer("split.tensors.count");
    if (names.length > 1 && total !== undefined && total !== tensors.size)
      metadata.fail("split.tensors.count", `${tensors.size}, the tensors of its ${names.length} parts`);
    return { metadata, checkpoint: new Checkpoint(path, tensors, handles) };
  } catch (error) {
    await Promise.all([...handles.values()].map((handle) => handle.close()));
    throw error;
  }
}

async function readHeader(handle: TensorFile, file: string): Promise<GgufHeader> {
  const { size } = await handle.stat();
  for (let length = firstBytes; ; length *= 2) {
    const bytes = new Uint8Array(Math.min(length, size, maxHeaderBytes));
    await readFully(handle, bytes, { file, position: 0 });
    const header = parsed(bytes, size, file);
    if (header) return header;
    if (bytes.length === maxHeaderBytes)
      throw formatError(file, `the header has more than ${maxHeaderBytes} bytes`);
  }
}

/** What is no GGUF at all is named. */
function parsed(bytes: Uint8Array, size: number, file: string): GgufHeader | undefined {
  try {
    return parseHeader(bytes, size, file);
  } catch (cause) {
    const start = Buffer.from(bytes.subarray(0, contentBytes)).toString("latin1");
    const content = start.startsWith("GGUF") ? undefined : nameContent(start);
    if (content === undefined) throw cause;
    throw formatError(file, `expected a GGUF file, got ${content}`, cause);
  }
}

/** The names of all parts of a file: its own, unless it is split. */
function partNames(path: string, metadata: Metadata): string[] {
  const count = metadata.integer("split.count") ?? 0;
  const name = basename(path);
  if (count <= 1) return [name];
  if (count > maxParts) metadata.fail("split.count", `at most ${maxParts} parts`);
  const digits = (value: number): string => String(value).padStart(5, "0");
  const end = `-of-${digits(count)}.gguf`;
  const named = /^(.*)-(\d{5})-of-\d{5}\.gguf$/i.exec(name);
  const stem = named?.[1] ?? "name";
  if (metadata.integer("split.no") !== 0)
    metadata.fail("split.no", `0, the first of ${count} parts; load ${stem}-00001${end}`);
  if (!named || !name.endsWith(`-00001${end}`)) {
    const message = `${path}: it is the first of ${count} parts, which are found by their names: expected one that ends in -00001${end}`;
    throw new CheckpointError("ERR_CHECKPOINT_MISSING", message, { file: path });
  }
  return Array.from({ length: count }, (_, i) => `${stem}-${digits(i + 1)}${end}`);
}

/** Parts count from 0, their names from 1. */
function checkPart(metadata: Metadata, index: number, count: number): void {
  if (metadata.integer("split.no") !== index) metadata.fail("split.no", `${index}`);
  if (metadata.integer("split.count") !== count)
    metadata.fail("split.count", `${count} as in the first part`);
}
