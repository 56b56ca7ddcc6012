/**
 * Makes GGUF files of small checkpoints as the converters of llama.cpp do: other names, other layouts, the same values. Written here anew
 * on purpose: it checks lib/gguf. What the families do is families.ts.
 */
import { readFile } from "node:fs/promises";
import { openCheckpoint } from "../../../lib/checkpoint/safetensors.js";
import { type FloatDType, toStorage } from "../dtype.js";
import { encodeSafetensors, type TensorToWrite } from "../safetensors.js";
import { converterOf } from "./families.js";
import { encodeGguf, type GgufMetadata, type GgufTensor } from "./format.js";

export interface Values {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export type Config = Readonly<Record<string, unknown>>;

/** A file that is made: metadata without the tokenizer, and tensors that stay in f32 whatever the matrices are in. */
export interface Converted {
  readonly metadata: GgufMetadata;
  readonly tensors: ReadonlyMap<string, Values>;
}

/**
 * @param folder a checkpoint
 * @param matrices what they are written in: those of two axes and more but routers
 * @param fields instead of those of its config.json
 */
export async function convert(
  folder: string,
  matrices: FloatDType,
  more: GgufMetadata = {},
  fields: Config = {},
): Promise<{ readonly metadata: GgufMetadata; readonly tensors: readonly GgufTensor[] }> {
  const { config: read, tensors } = await readCheckpoint(folder);
  const config = { ...read, ...fields };
  const converted = converterOf(config)(config, tensors);
  return {
    metadata: { ...converted.metadata, ...more },
    tensors: [...converted.tensors].map(([name, { shape, values }]): GgufTensor => {
      const isSmall = shape.length === 1 || /ffn_gate_inp|ssm_|_norm|\.bias$/.test(name);
      const dtype = isSmall && !/ssm_(in|out)/.test(name) ? "f32" : matrices;
      return { name, shape, dtype, data: () => [encode(dtype, values)] };
    }),
  };
}

/** The same at once, as a file. */
export async function convertToFile(
  folder: string,
  matrices: FloatDType,
  more?: GgufMetadata,
  fields?: Config,
): Promise<Buffer> {
  const { metadata, tensors } = await convert(folder, matrices, more, fields);
  return encodeGguf(metadata, tensors);
}

/** The checkpoint with its matrices in another dtype: what a file of that dtype is to be compared with. */
export async function recoded(folder: string, matrices: FloatDType): Promise<Uint8Array> {
  const { tensors, dtypes } = await readCheckpoint(folder);
  const names: Readonly<Record<FloatDType, string>> = { f32: "F32", f16: "F16", bf16: "BF16" };
  const written: Record<string, TensorToWrite> = {};
  for (const [name, { shape, values }] of tensors) {
    const dtype = shape.length === 1 ? dtypes.get(name)! : matrices;
    written[name] = { dtype: names[dtype], shape, data: encode(dtype, values) };
  }
  return encodeSafetensors(written);
}

async function readCheckpoint(folder: string): Promise<{
  readonly config: Config;
  readonly tensors: ReadonlyMap<string, Values>;
  readonly dtypes: ReadonlyMap<string, FloatDType>;
}> {
  const config = JSON.parse(await readFile(`${folder}/config.json`, "utf8")) as Config;
  await using checkpoint = await openCheckpoint(folder);
  const tensors = new Map<string, Values>();
  const dtypes = new Map<string, FloatDType>();
  for (const entry of checkpoint.tensors.values()) {
    const bytes = new Uint8Array(entry.byteLength);
    await checkpoint.read(entry, bytes);
    const dtype = entry.dtype as FloatDType;
    tensors.set(entry.name, { shape: entry.shape, values: decode(dtype, bytes) });
    dtypes.set(entry.name, dtype);
  }
  return { config, tensors, dtypes };
}

/** The goldens are in bf16 and f32. */
function decode(dtype: FloatDType, bytes: Uint8Array): Float32Array {
  if (dtype === "f32") return new Float32Array(bytes.buffer);
  if (dtype !== "bf16") throw new Error(`a golden in ${dtype}`);
  return new Float32Array(Uint32Array.from(new Uint16Array(bytes.buffer), (bits) => bits * 0x10000).buffer);
}

function encode(dtype: FloatDType, values: Float32Array): Uint8Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const stored =
    dtype === "f32"
      ? values
      : dtype === "bf16"
        ? Uint16Array.from(words, (word) => word >>> 16) // what is in bf16 was so
        : toStorage("f16", Float64Array.from(values));
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}
