/**
 * The random checkpoints of support/randomCheckpoint.ts in the peer's format: other names, and in floats the same values. In blocks they have
 * other values of the same size.
 */
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { FloatDType } from "../../lib/device/dtype.js";
import { ggufChunks, type GgufTensor, type GgufValue } from "../../test/support/gguf/format.js";
import { modelShapes, type ModelShape, type ModelShapeName } from "../support/modelShapes.js";
import { outputFolder, writeChunks } from "../support/randomCheckpoint.js";
import { elements, RandomValues } from "../support/randomValues.js";
import { deepseek2Gguf } from "./families/deepseek2.js";
import { gemma3Gguf } from "./families/gemma3.js";
import { gptOssGguf } from "./families/gptOss.js";
import { mamba2Gguf } from "./families/mamba2.js";
import { qwenGguf } from "./families/qwen.js";
import { type GgufModel, type GgufSource, u32 } from "./families/sources.js";
import { type FileFormatName, fileFormats, matrixType } from "./fileFormats.js";
import { isBlockType, RandomBlocks } from "./randomBlocks.js";

/**
 * Writes the file unless it is there.
 * @returns its path
 */
export function randomGguf(name: ModelShapeName, format: FileFormatName, seed = 1): string {
  const folder = join(outputFolder, "checkpoints");
  const path = join(folder, `${name}-${format}-${seed}.gguf`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  writeGguf(`${path}.unfinished`, modelShapes[name], format, seed);
  renameSync(`${path}.unfinished`, path);
  return path;
}

/** Writes a file of any shape. */
export function writeGguf(path: string, shape: ModelShape, format: FileFormatName, seed: number): void {
  const [values, blocks] = [new RandomValues(seed), new RandomBlocks(seed)];
  const model = ggufModel(shape);
  const isTied = !model.tensors.some(({ name }) => name === "output.weight");
  const tensors = model.tensors.map((source): GgufTensor => {
    const dtype = matrixType(source, fileFormats[format], isTied);
    const { name, shape: sizes } = source;
    const data = isBlockType(dtype)
      ? () => blocks.chunks({ ...source.from[0]!, name }, sizes, dtype)
      : () => encode(values, source, dtype);
    return { name, shape: sizes, dtype, data };
  });
  const metadata = { ...metadataOf(shape, model, format), ...tokenizerMetadata(shape.vocabSize) };
  writeChunks(path, () => ggufChunks(metadata, tensors));
}

function ggufModel(shape: ModelShape): GgufModel {
  switch (shape.family) {
    case "qwen2":
    case "qwen3":
      return qwenGguf(shape);
    case "gemma3":
      return gemma3Gguf(shape);
    case "gptOss":
      return gptOssGguf(shape);
    case "deepseek2":
      return deepseek2Gguf(shape);
    case "mamba2":
      return mamba2Gguf(shape);
    case "gpt2":
      throw new RangeError("there is no GGUF of random GPT-2 weights");
  }
}

function* encode(
  values: RandomValues,
  { shape, from, order, map }: GgufSource,
  dtype: FloatDType,
): Generator<Uint8Array> {
  const pieces = function* (): Generator<Uint8Array> {
    for (const tensor of from) yield* values.chunks(tensor, dtype);
  };
  if (!order && !map) {
    yield* pieces();
    return;
  }
  // A piece is valid until the next one is asked for.
  const bytes = Buffer.concat([...copies(pieces())]);
  const View = dtype === "f32" ? Float32Array : Uint16Array;
  const source = new View(bytes.buffer, bytes.byteOffset, bytes.byteLength / View.BYTES_PER_ELEMENT);
  const result = new View(elements(shape));
  for (let i = 0; i < result.length; i++) {
    const value = source[order ? order(i) : i]!;
    result[i] = map ? map(value) : value;
  }
  yield new Uint8Array(result.buffer);
}

function* copies(pieces: Iterable<Uint8Array>): Generator<Uint8Array> {
  for (const piece of pieces) yield piece.slice();
}

function metadataOf(
  shape: ModelShape,
  { architecture, metadata }: GgufModel,
  format: FileFormatName,
): Record<string, GgufValue> {
  const own = Object.entries(metadata).map(([key, value]) => [`${architecture}.${key}`, value] as const);
  return {
    "general.architecture": { type: "string", value: architecture },
    "general.name": { type: "string", value: `random ${shape.family}, ${format}` },
    "general.file_type": u32(fileFormats[format].fileType),
    ...(isBlockType(fileFormats[format].matrices) && { "general.quantization_version": u32(2) }),
    [`${architecture}.vocab_size`]: u32(shape.vocabSize),
    [`${architecture}.block_count`]: u32(shape.numLayers),
    [`${architecture}.context_length`]: u32(shape.maxPositions),
    [`${architecture}.embedding_length`]: u32(shape.hiddenSize),
    ...Object.fromEntries(own),
  };
}

/** The peer does not load a model without a tokenizer: one that spells every byte, and has names for the other ids. */
function tokenizerMetadata(vocabSize: number): Record<string, GgufValue> {
  const end = vocabSize - 1;
  const bytes = byteTokens();
  const pair = bytes[0x61]! + bytes[0x62]!; // a merge rule must be there, and make a token that is
  const named = Array.from(
    { length: vocabSize - bytes.length - 1 },
    (_, i) => `<id ${bytes.length + 1 + i}>`,
  );
  const [normal, control] = [1, 3];
  return {
    "tokenizer.ggml.model": { type: "string", value: "gpt2" },
    "tokenizer.ggml.pre": { type: "string", value: "qwen2" },
    "tokenizer.ggml.tokens": { type: "strings", value: [...bytes, pair, ...named] },
    "tokenizer.ggml.token_type": {
      type: "i32s",
      value: Array.from({ length: vocabSize }, (_, id) => (id === end ? control : normal)),
    },
    "tokenizer.ggml.merges": { type: "strings", value: [`${bytes[0x61]} ${bytes[0x62]}`] },
    "tokenizer.ggml.bos_token_id": { type: "u32", value: end },
    "tokenizer.ggml.eos_token_id": { type: "u32", value: end },
    "tokenizer.ggml.add_bos_token": { type: "bool", value: false },
  };
}

/** GPT-2's spelling of the 256 bytes: printable Latin-1 stands for itself, the rest for characters from U+0100 on. */
function byteTokens(): string[] {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : next++));
}
