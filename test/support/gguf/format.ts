/**
 * Writes GGUF files, version 3, for tests and for the benches, whose peer reads them: tensors of any type as bytes, scalar and list
 * metadata.
 *
 * Format: header, metadata, tensor table, padding, tensor data. Little endian; every tensor starts at a multiple of 32
 * bytes. Source: the GGUF specification in the ggml repository (docs/gguf.md).
 */

/** Types of metadata values, with the numbers of the format. */
const valueTypes = { u8: 0, u16: 2, u32: 4, i32: 5, f32: 6, bool: 7, string: 8, u64: 10, f64: 12 } as const;
const listType = 9;
/** Elements and bytes of a block beside the numbers of the types. */
export const tensorTypes = {
  f32: [0, 1, 4],
  f16: [1, 1, 2],
  bf16: [30, 1, 2],
  q4_0: [2, 32, 18],
  q4_1: [3, 32, 20],
  q5_0: [6, 32, 22],
  q5_1: [7, 32, 24],
  q8_0: [8, 32, 34],
  q2_k: [10, 256, 84],
  q4_k: [12, 256, 144],
  q5_k: [13, 256, 176],
  q6_k: [14, 256, 210],
  mxfp4_gguf: [39, 32, 17],
} as const;
const alignment = 32;
const version = 3;

export type GgufValue =
  | { readonly type: "u8" | "u16" | "u32" | "i32" | "u64" | "f32" | "f64"; readonly value: number }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "i32s" | "f32s"; readonly value: readonly number[] }
  | { readonly type: "bools"; readonly value: readonly boolean[] };

export type GgufMetadata = Readonly<Record<string, GgufValue>>;

export interface GgufTensor {
  readonly name: string;
  /** Outermost first, as everywhere in this repository; the file has it the other way round. */
  readonly shape: readonly number[];
  readonly dtype: keyof typeof tensorTypes;
  /** The bytes, row-major. A piece is used before the next one is asked for. */
  readonly data: () => Iterable<Uint8Array>;
}

/** The bytes of a file, in pieces. */
export function* ggufChunks(metadata: GgufMetadata, tensors: readonly GgufTensor[]): Generator<Uint8Array> {
  const head = encodeHead({ ...metadata, "general.alignment": { type: "u32", value: alignment } }, tensors);
  yield head;
  yield padding(head.length);
  for (const tensor of tensors) {
    yield* tensor.data();
    yield padding(tensorBytes(tensor));
  }
}

/** The same at once. */
export function encodeGguf(metadata: GgufMetadata, tensors: readonly GgufTensor[]): Buffer {
  return Buffer.concat([...ggufChunks(metadata, tensors)]);
}

function encodeHead(metadata: GgufMetadata, tensors: readonly GgufTensor[]): Buffer {
  const entries = Object.entries(metadata);
  let offset = 0;
  const table = tensors.map((tensor) => {
    const { name, shape, dtype } = tensor;
    const sizes = [...shape].reverse().map(u64);
    const row = [text(name), u32(shape.length), ...sizes, u32(tensorTypes[dtype][0]), u64(offset)];
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
    case "u8":
      return Buffer.concat([u32(valueTypes.u8), Buffer.from([value])]);
    case "u16":
      return Buffer.concat([u32(valueTypes.u16), u32(value).subarray(0, 2)]);
    case "u32":
      return Buffer.concat([u32(valueTypes.u32), u32(value)]);
    case "u64":
      return Buffer.concat([u32(valueTypes.u64), u64(value)]);
    case "f64":
      return Buffer.concat([u32(valueTypes.f64), f64(value)]);
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
    case "f32s":
      return list(valueTypes.f32, value.map(f32));
    case "bools":
      return list(
        valueTypes.bool,
        value.map((item) => Buffer.from([Number(item)])),
      );
  }
}

function list(itemType: number, items: readonly Buffer[]): Buffer {
  return Buffer.concat([u32(listType), u32(itemType), u64(items.length), ...items]);
}

function tensorBytes({ dtype, shape }: GgufTensor): number {
  const [, block, bytes] = tensorTypes[dtype];
  return (shape.reduce((product, size) => product * size, 1) / block) * bytes;
}

/** Zeros that fill `length` bytes up to a multiple of the alignment. */
function padding(length: number): Buffer {
  return Buffer.alloc((alignment - (length % alignment)) % alignment);
}

const u32 = (value: number) => bytesOf(4, (bytes) => bytes.writeUInt32LE(value));
const i32 = (value: number) => bytesOf(4, (bytes) => bytes.writeInt32LE(value));
const f32 = (value: number) => bytesOf(4, (bytes) => bytes.writeFloatLE(value));
const f64 = (value: number) => bytesOf(8, (bytes) => bytes.writeDoubleLE(value));
const u64 = (value: number) => bytesOf(8, (bytes) => bytes.writeBigUInt64LE(BigInt(value)));

function bytesOf(length: number, write: (bytes: Buffer) => void): Buffer {
  const bytes = Buffer.alloc(length);
  write(bytes);
  return bytes;
}

/** Length in bytes, then UTF-8. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}
