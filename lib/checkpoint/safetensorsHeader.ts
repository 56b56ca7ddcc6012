/**
 * Parses and verifies the header of one safetensors file. Pure: bytes in, entries out; opening files is safetensors.ts.
 * The file is untrusted data, so every rule of the format is checked here and nowhere else.
 *
 * Layout: u64 little-endian header length N, N bytes of JSON, then the tensor data without holes or trailing bytes.
 * Format: https://github.com/huggingface/safetensors#format
 */
import { CheckpointError } from "../errors.js";
import { describeError, isObject, show, type JsonObject } from "./json.js";

/**
 * Dtypes that warploop knows; `blocks:NAME` of GGUF, whose shape is that of the numbers in the blocks; or `unsupported:NAME` for any other dtype
 * of the file (an error only once it is used).
 */
export type CheckpointDtype =
  ("f32" | "f16" | "bf16" | "fp8e4m3" | "i8" | "i32" | "u8") | `blocks:${string}` | `unsupported:${string}`;

/** Where one tensor lies. Data is row-major, little-endian, and contiguous. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: CheckpointDtype;
  readonly shape: readonly number[];
  /** Path of the file that holds the data. */
  readonly file: string;
  /** Of the first data byte, counted from the start of the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** Bytes of the length field in front of the JSON. */
export const lengthFieldBytes = 8;

/** The limit that the reference implementation puts on the JSON. */
export const maxHeaderBytes = 100_000_000;

const knownDtypes: Readonly<Record<string, CheckpointDtype>> = {
  F32: "f32",
  F16: "f16",
  BF16: "bf16",
  F8_E4M3: "fp8e4m3",
  I8: "i8",
  I32: "i32",
  U8: "u8",
};

/** Bits per element of every dtype that the format defines. A name from its future is not checked for size. */
const dtypeBits: ReadonlyMap<string, number> = new Map([
  ["F4", 4],
  ["F6_E2M3", 6],
  ["F6_E3M2", 6],
  ["BOOL", 8],
  ["U8", 8],
  ["I8", 8],
  ["F8_E4M3", 8],
  ["F8_E5M2", 8],
  ["F8_E8M0", 8],
  ["I16", 16],
  ["U16", 16],
  ["F16", 16],
  ["BF16", 16],
  ["I32", 32],
  ["U32", 32],
  ["F32", 32],
  ["I64", 64],
  ["U64", 64],
  ["F64", 64],
  ["C64", 64],
]);

/**
 * Reads the length field and checks it against the file.
 *
 * @param prefix at least the first 8 bytes of the file, fewer if the file is shorter
 * @param fileSize in bytes
 * @returns length of the JSON in bytes
 * @throws CheckpointError ERR_CHECKPOINT_FORMAT
 */
export function parseHeaderLength(prefix: Uint8Array, fileSize: number, file: string): number {
  if (fileSize === 0) throw formatError(file, "the file is empty");
  if (fileSize < lengthFieldBytes || prefix.length < lengthFieldBytes) {
    throw formatError(file, `truncated: expected at least ${lengthFieldBytes} bytes, got ${fileSize}`);
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes)) {
    throw formatError(file, `header length: expected at most ${maxHeaderBytes} bytes, got ${length}`);
  }
  if (length > BigInt(fileSize - lengthFieldBytes)) {
    throw formatError(file, `header length: ${length} bytes exceed the file of ${fileSize} bytes`);
  }
  return Number(length);
}

/**
 * Parses the JSON of a header whose length was checked by {@link parseHeaderLength}.
 *
 * @param json the bytes after the length field, exactly as many as it says
 * @param fileSize in bytes
 * @returns the tensors in the order of their data
 * @throws CheckpointError ERR_CHECKPOINT_FORMAT; `tensor` is set where one is at fault
 */
export function parseHeader(json: Uint8Array, fileSize: number, file: string): TensorEntry[] {
  const header = parseJson(json, file);
  const dataStart = lengthFieldBytes + json.length;
  const entries: TensorEntry[] = [];
  for (const [name, value] of Object.entries(header)) {
    if (name === "__metadata__") checkMetadata(value, file);
    else entries.push(parseEntry(name, value, { file, dataStart, fileSize }));
  }
  entries.sort((a, b) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength);
  checkContiguous(entries, { file, dataStart, fileSize });
  return entries;
}

interface FileExtent {
  readonly file: string;
  /** Absolute offset of the first data byte. */
  readonly dataStart: number;
  readonly fileSize: number;
}

function parseJson(json: Uint8Array, file: string): JsonObject {
  // The format forbids leading white space; a byte order mark is caught here too.
  if (json[0] !== 0x7b) throw formatError(file, "the header does not start with {");
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(json));
  } catch (cause) {
    throw formatError(file, `the header is not valid JSON: ${describeError(cause)}`, cause);
  }
  if (!isObject(header)) throw formatError(file, "the header is not a JSON object");
  // JSON.parse keeps the last of two equal keys without a word; only counting finds the others.
  if (countKeys(json) !== countParsedKeys(header)) throw formatError(file, "the header has duplicate keys");
  return header;
}

/** Counts the keys of the two outermost levels of valid JSON: a colon outside a string follows exactly one key. */
function countKeys(json: Uint8Array): number {
  let keys = 0;
  let depth = 0;
  let inString = false;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i];
    if (inString) {
      if (byte === 0x5c) i++;
      else if (byte === 0x22) inString = false;
    } else if (byte === 0x22) inString = true;
    else if (byte === 0x7b || byte === 0x5b) depth++;
    else if (byte === 0x7d || byte === 0x5d) depth--;
    else if (byte === 0x3a && depth <= 2) keys++;
  }
  return keys;
}

function countParsedKeys(header: JsonObject): number {
  const values = Object.values(header);
  return values.reduce<number>(
    (sum, value) => sum + (isObject(value) ? Object.keys(value).length : 0),
    values.length,
  );
}

function checkMetadata(value: unknown, file: string): void {
  if (!isObject(value) || Object.values(value).some((text) => typeof text !== "string")) {
    throw formatError(file, "__metadata__: expected an object of strings");
  }
}

function parseEntry(name: string, value: unknown, extent: FileExtent): TensorEntry {
  const fail = (problem: string): CheckpointError => entryError(extent.file, name, problem);
  if (!isObject(value)) throw fail(`expected an object, got ${show(value)}`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || dtype === "") throw fail(`dtype: expected a name, got ${show(dtype)}`);
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    throw fail(`shape: expected non-negative integers, got ${show(shape)}`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw fail(`data_offsets: expected two non-negative integers, got ${show(offsets)}`);
  }
  const [begin, end] = offsets as [number, number];
  const dataBytes = extent.fileSize - extent.dataStart;
  if (begin > end) throw fail(`data_offsets: begin ${begin} lies after end ${end}`);
  if (end > dataBytes) throw fail(`data_offsets: end ${end} lies beyond the ${dataBytes} bytes of data`);
  const expected = expectedBytes(dtype, shape);
  if (expected === "overflow") throw fail(`shape: ${show(shape)} overflows`);
  if (expected !== undefined && expected !== end - begin) {
    throw fail(`data_offsets: expected ${expected} bytes for ${dtype} ${show(shape)}, got ${end - begin}`);
  }
  return {
    name,
    dtype: Object.hasOwn(knownDtypes, dtype) ? knownDtypes[dtype]! : `unsupported:${dtype}`,
    shape,
    file: extent.file,
    byteOffset: extent.dataStart + begin,
    byteLength: end - begin,
  };
}

/** Undefined for a dtype whose element size is not known; a fraction, which equals no length, for part of a byte. */
function expectedBytes(dtype: string, shape: readonly number[]): number | "overflow" | undefined {
  let elements = 1;
  for (const size of shape) {
    elements *= size;
    if (!Number.isSafeInteger(elements)) return "overflow";
  }
  const bits = dtypeBits.get(dtype);
  if (bits === undefined) return undefined;
  return Number.isSafeInteger(elements * bits) ? (elements * bits) / 8 : "overflow";
}

/** Entries sorted by offset must cover the data exactly. */
function checkContiguous(entries: readonly TensorEntry[], { file, dataStart, fileSize }: FileExtent): void {
  let covered = dataStart;
  for (const entry of entries) {
    const { byteOffset, byteLength, name } = entry;
    if (byteOffset < covered) throw entryError(file, name, "data_offsets: overlaps the tensor before it");
    if (byteOffset > covered) {
      throw entryError(file, name, `data_offsets: ${byteOffset - covered} unused bytes before it`);
    }
    covered += byteLength;
  }
  if (covered !== fileSize) throw formatError(file, `${fileSize - covered} bytes follow the last tensor`);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0 && !Object.is(value, -0);
}

function formatError(file: string, problem: string, cause?: unknown): CheckpointError {
  const options = cause === undefined ? undefined : { cause };
  return new CheckpointError("ERR_CHECKPOINT_FORMAT", `${file}: ${problem}`, { file }, options);
}

function entryError(file: string, name: string, problem: string): CheckpointError {
  const message = `${file}: tensor ${show(name)}: ${problem}`;
  return new CheckpointError("ERR_CHECKPOINT_FORMAT", message, { file, tensor: name });
}
