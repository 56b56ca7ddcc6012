/**
 * Parses and verifies the header of one GGUF file: metadata and the table of tensors. Pure: bytes in, entries out; opening files is
 * file.ts. The file is untrusted data, so every rule of the format is checked here and nowhere else.
 *
 * Written here because the one parser in the registry, @huggingface/gguf, makes JavaScript values of every list (a vocabulary and its
 * merges take some hundred MB that way), reads nested lists, bounds lists by a number instead of the bytes that are left, knows no
 * duplicates, and does not look whether tensors overlap or lie in the file; it also opens the file by itself.
 *
 * Layout, little-endian: "GGUF", u32 version, u64 tensors, u64 keys; the keys as string, u32 type, value; the tensors as string, u32
 * axes, u64 sizes (the innermost first), u32 type, u64 offset; then the data, at a multiple of the alignment.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */
import { show } from "../checkpoint/json.js";
import type { TensorEntry } from "../checkpoint/tensorFiles.js";
import { CheckpointError } from "../errors.js";
import { Cursor, formatError, TooShort } from "./cursor.js";
import { tensorType } from "./tensorTypes.js";

export { formatError } from "./cursor.js";

/** A list of the metadata, as it stands in the file: lists.ts reads it. */
export interface StoredList {
  /** Of its items: see `valueTypes`. */
  readonly type: number;
  readonly count: number;
  readonly bytes: Uint8Array;
}

export type StoredValue = number | boolean | string | StoredList;

export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, StoredValue>;
  /** In the order of their data, with shapes whose outermost axis comes first. */
  readonly tensors: readonly TensorEntry[];
}

/** Types of metadata values: their numbers, and the bytes of those that have a fixed size. */
export const valueTypes = { string: 8, list: 9 } as const;
export const valueBytes: readonly (number | undefined)[] = [
  ...[1, 1, 2, 2, 4, 4, 4, 1], // u8, i8, u16, i16, u32, i32, f32, bool
  ...[undefined, undefined, 8, 8, 8], // string, list, u64, i64, f64
];
const boolType = 7;

/** Far above real files: their vocabularies and merges take up to 20 MB. */
export const maxHeaderBytes = 100_000_000;
const maxKeys = 65_536;
const maxTensors = 262_144;
const maxNameBytes = 256; // of a tensor; ggml itself takes 64
const maxAxes = 4;
const maxAlignment = 65_536;

/**
 * @param bytes the first ones of the file
 * @param fileSize in bytes
 * @returns undefined if the header is longer than `bytes`
 * @throws CheckpointError ERR_CHECKPOINT_FORMAT; `tensor` is set where one is at fault
 */
export function parseHeader(bytes: Uint8Array, fileSize: number, file: string): GgufHeader | undefined {
  const cursor = new Cursor(bytes, fileSize, file);
  try {
    const { numTensors, numKeys } = parseCounts(cursor);
    const metadata = parseMetadata(cursor, numKeys);
    const infos = parseTable(cursor, numTensors);
    return { metadata, tensors: place(infos, cursor, alignmentOf(metadata, file)) };
  } catch (error) {
    if (error instanceof TooShort) return undefined;
    throw error;
  }
}

function parseCounts(cursor: Cursor): { readonly numTensors: number; readonly numKeys: number } {
  if (cursor.text(4, "latin1") !== "GGUF")
    throw cursor.error("expected a GGUF file: it does not start with GGUF");
  const version = cursor.u32();
  if (version !== 2 && version !== 3) {
    const isSwapped = [2, 3].includes(version >>> 24) && (version & 0xffffff) === 0;
    throw cursor.error(
      isSwapped
        ? "it is of a big-endian machine; convert it again for little-endian ones"
        : `version: expected 2 or 3, got ${version}`,
    );
  }
  const [numTensors, numKeys] = [cursor.u64(), cursor.u64()];
  if (numTensors > maxTensors)
    throw cursor.error(`tensors: expected at most ${maxTensors}, got ${numTensors}`);
  if (numKeys > maxKeys) throw cursor.error(`metadata: expected at most ${maxKeys} keys, got ${numKeys}`);
  return { numTensors, numKeys };
}

function parseMetadata(cursor: Cursor, numKeys: number): Map<string, StoredValue> {
  const metadata = new Map<string, StoredValue>();
  for (let i = 0; i < numKeys; i++) {
    const key = cursor.string(`key ${i}`);
    if (metadata.has(key)) throw cursor.error(`metadata: ${show(key)} stands there twice`);
    metadata.set(key, parseValue(cursor, key));
  }
  return metadata;
}

function parseValue(cursor: Cursor, key: string): StoredValue {
  const type = cursor.u32();
  if (type === valueTypes.list) return parseList(cursor, key);
  if (type === valueTypes.string) return cursor.string(show(key));
  if (valueBytes[type] === undefined) throw cursor.error(`${show(key)}: no type of values is ${type}`);
  const value = cursor.number(type);
  if (type !== boolType) return value;
  if (value > 1) throw cursor.error(`${show(key)}: expected true or false (1 or 0), got ${value}`);
  return value === 1;
}

/** Walks over the items, but makes nothing of them. */
function parseList(cursor: Cursor, key: string): StoredList {
  const [type, count] = [cursor.u32(), cursor.u64()];
  if (type === valueTypes.list) throw cursor.error(`${show(key)}: a list of lists`);
  const itemBytes = valueBytes[type];
  if (itemBytes === undefined && type !== valueTypes.string)
    throw cursor.error(`${show(key)}: no type of items is ${type}`);
  const least = count * (itemBytes ?? 8); // a string has its length
  if (least > cursor.left)
    throw cursor.error(`${show(key)}: ${count} items, but ${cursor.left} bytes are left`);
  const start = cursor.at;
  if (itemBytes === undefined) for (let i = 0; i < count; i++) cursor.skip(cursor.u64(), show(key));
  else cursor.skip(least, show(key));
  return { type, count, bytes: cursor.since(start) };
}

interface TensorInfo {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: number;
  /** From the start of the data. */
  readonly offset: number;
}

function parseTable(cursor: Cursor, numTensors: number): TensorInfo[] {
  const infos: TensorInfo[] = [];
  const names = new Set<string>();
  for (let i = 0; i < numTensors; i++) {
    const name = cursor.string(`name of tensor ${i}`, maxNameBytes);
    if (names.has(name)) throw tensorError(cursor.file, name, "it stands there twice");
    names.add(name);
    const numAxes = cursor.u32();
    if (numAxes < 1 || numAxes > maxAxes)
      throw tensorError(cursor.file, name, `expected 1 to ${maxAxes} axes, got ${numAxes}`);
    const shape = Array.from({ length: numAxes }, () => cursor.u64()).reverse();
    infos.push({ name, shape, type: cursor.u32(), offset: cursor.u64() });
  }
  return infos;
}

function alignmentOf(metadata: ReadonlyMap<string, StoredValue>, file: string): number {
  const alignment = metadata.get("general.alignment") ?? 32;
  const isPower = typeof alignment === "number" && alignment >= 1 && Number.isInteger(Math.log2(alignment));
  if (isPower && alignment <= maxAlignment) return alignment;
  const got = typeof alignment === "object" ? "a list" : show(alignment);
  throw formatError(file, `general.alignment: expected a power of two up to ${maxAlignment}, got ${got}`);
}

/** As ggml writes it: each at the next multiple of the alignment behind the one before. */
function place(
  infos: readonly TensorInfo[],
  { file, at, fileSize }: Cursor,
  alignment: number,
): TensorEntry[] {
  const aligned = (value: number): number => Math.ceil(value / alignment) * alignment;
  const dataStart = aligned(at);
  let expected = 0;
  return infos.map((info) => {
    const { name, shape, offset } = info;
    const { dtype, byteLength } = dataOf(info, file);
    if (offset !== expected)
      throw tensorError(
        file,
        name,
        `offset: expected ${expected}, behind the tensor before it, got ${offset}`,
      );
    const byteOffset = dataStart + offset;
    if (byteOffset + byteLength > fileSize) {
      const end = `its data end at ${byteOffset + byteLength}, the file at ${fileSize}`;
      throw tensorError(file, name, `truncated: ${end}`);
    }
    expected = aligned(offset + byteLength);
    return { name, dtype, shape, file, byteOffset, byteLength };
  });
}

function dataOf({ name, shape, type }: TensorInfo, file: string): Pick<TensorEntry, "dtype" | "byteLength"> {
  const known = tensorType(type);
  if (known === undefined) throw tensorError(file, name, `no type of tensors that is known here is ${type}`);
  const innermost = shape.at(-1)!;
  const elements = shape.reduce((product, size) => product * size, 1);
  if (!(elements >= 1 && Number.isSafeInteger(elements * known.bytes)))
    throw tensorError(
      file,
      name,
      `shape: expected sizes from 1 on that can be in a file, got ${show(shape)}`,
    );
  if (innermost % known.block !== 0) {
    const blocks = `rows of whole blocks of ${known.block} (${known.name})`;
    throw tensorError(file, name, `shape: expected ${blocks}, got ${show(shape)}`);
  }
  const dtype = known.dtype ?? (`unsupported:${known.name}` as const);
  return { dtype, byteLength: (elements / known.block) * known.bytes };
}

function tensorError(file: string, tensor: string, problem: string): CheckpointError {
  const message = `${file}: tensor ${show(tensor)}: ${problem}`;
  return new CheckpointError("ERR_CHECKPOINT_FORMAT", message, { file, tensor });
}
