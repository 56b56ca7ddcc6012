/**
 * Writes GGUF files, version 3: the format of the peer. Only what a random checkpoint needs: f32 and f16 tensors, scalar
 * and list metadata.
 *
 * Format: header, metadata, tensor table, padding, tensor data. Little endian; every tensor starts at a multiple of 32
 * bytes. Source: the GGUF specification in the ggml repository (docs/gguf.md).
 */
import { byteLength } from "../../lib/device/dtype.js";
import { writeChunks } from "../support/randomCheckpoint.js";
import { elements } from "../support/randomValues.js";

/** Types of metadata values, with the numbers of the format. */
const valueTypes = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8 } as const;
const listType = 9;
const tensorTypes = { f32: 0, f16: 1 } as const;
const alignment = 32;
const version = 3;

export type GgufValue =
  | { readonly type: "u32" | "i32" | "f32"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "i32s"; readonly value: readonly number[] };

export interface GgufTensor {
  readonly name: string;
  /** Outermost first, as everywhere in this repository; the file has it the other way round. */
  readonly shape: readonly number[];
  readonly dtype: keyof typeof tensorTypes;
  /** The bytes, row-major. A piece is used before the next one is asked for. */
  readonly data: () => Iterable<Uint8Array>;
}

export function writeGguf(
  path: string,
  metadata: Readonly<Record<string, GgufValue>>,
  tensors: readonly GgufTensor[],
): void {
  const head = encodeHead({ ...metadata, "general.alignment": { type: "u32", value: alignment } }, tensors);
  writeChunks(path, function* () {
    yield head;
    yield padding(head.length);
    for (const tensor of tensors) {
      yield* tensor.data();
      yield padding(tensorBytes(tensor));
    }
  });
}

function encodeHead(metadata: Readonly<Record<string, GgufValue>>, tensors: readonly GgufTensor[]): Buffer {
  const entries = Object.entries(metadata);
  let offset = 0;
  const table = tensors.map((tensor) => {
    const { name, shape, dtype } = tensor;
    const sizes = [...shape].reverse().map(u64);
    const row = [text(name), u32(shape.length), ...sizes, u32(tensorTypes[dtype]), u64(offset)];
    offset += tensorBytes(tensor) + padding(tensorBytes(tensor)).length;
    return Buffer.concat(row);
  });
  return Buffer.concat([
    Buffer.from("GGUF"),
    u32(version),
    u64(tensors.length),
    u64(entries.length),
    ...entries.map(([key, value]) => Buffer.concat([text(key), encodeValue(value)])),
    ...table,
  ]);
}

function encodeValue({ type, value }: GgufValue): Buffer {
  switch (type) {
    case "u32":
      return Buffer.concat([u32(valueTypes.u32), u32(value)]);
    case "i32":
      return Buffer.concat([u32(valueTypes.i32), i32(value)]);
    case "f32":
      return Buffer.concat([u32(valueTypes.f32), f32(value)]);
    case "bool":
      return Buffer.concat([u32(valueTypes.bool), Buffer.from([Number(value)])]);
    case "string":
      return Buffer.concat([u32(valueTypes.string), text(value)]);
    case "strings":
      return list(valueTypes.string, value.map(text));
    case "i32s":
      return list(valueTypes.i32, value.map(i32));
  }
}

function list(itemType: number, items: readonly Buffer[]): Buffer {
  return Buffer.concat([u32(listType), u32(itemType), u64(items.length), ...items]);
}

function tensorBytes({ dtype, shape }: GgufTensor): number {
  return byteLength(dtype, elements(shape));
}

/** Zeros that fill `length` bytes up to a multiple of the alignment. */
function padding(length: number): Buffer {
  return Buffer.alloc((alignment - (length % alignment)) % alignment);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function i32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

function f32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** Length in bytes, then UTF-8. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}
