/**
 * Checkpoints with random weights for benches and examples: a Hugging Face folder with config.json and model.safetensors,
 * without a tokenizer. Written once, then reused.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { byteLength, type FloatDType } from "../../lib/device/dtype.js";
import type { TransformerShape } from "./families/tensors.js";
import { configOf, modelOf, modelShapes, type ModelShape, type ModelShapeName } from "./modelShapes.js";
import { elements, RandomValues } from "./randomValues.js";

/** Where benches put files; git ignores it. */
export const outputFolder = fileURLToPath(new URL("../output", import.meta.url));

export interface RandomCheckpointOptions extends Partial<TransformerShape> {
  /** How the weights are stored. Default "bf16". */
  readonly dtype?: FloatDType;
  /** Default 1. */
  readonly seed?: number;
}

/**
 * A checkpoint of a preset shape, under `outputFolder`.
 *
 *     await LLM.load(randomCheckpoint("qwen3-0.6b", { numKvHeads: 1 }));
 *
 * @param options dtype, seed, and fields of the shape that differ from the preset
 * @returns the folder
 * @throws RangeError for a field that the preset does not have
 */
export function randomCheckpoint(name: ModelShapeName, options: RandomCheckpointOptions = {}): string {
  const { dtype = "bf16", seed = 1, ...overrides } = options;
  const foreign = Object.keys(overrides).find((field) => !(field in modelShapes[name]));
  if (foreign !== undefined) throw new RangeError(`${name}: there is no ${foreign} in its shape`);
  const changes = Object.entries(overrides).map(([field, value]) => `-${field}-${value}`);
  const folder = join(outputFolder, "checkpoints", `${name}-${dtype}-${seed}${changes.join("")}`);
  writeCheckpoint(folder, { ...modelShapes[name], ...overrides }, { dtype, seed });
  return folder;
}

/** Writes a checkpoint unless the folder holds it already. config.json comes last: without it the folder is unfinished. */
export function writeCheckpoint(
  folder: string,
  shape: ModelShape,
  { dtype, seed }: { readonly dtype: FloatDType; readonly seed: number },
): void {
  const configFile = join(folder, "config.json");
  const config = `${JSON.stringify(configOf(shape, dtype), null, 2)}\n`;
  if (existsSync(configFile) && readFileSync(configFile, "utf8") === config) return;
  mkdirSync(folder, { recursive: true });
  rmSync(configFile, { force: true });
  writeSafetensors(join(folder, "model.safetensors"), shape, dtype, seed);
  writeFileSync(configFile, config);
}

function writeSafetensors(path: string, shape: ModelShape, dtype: FloatDType, seed: number): void {
  const { tensors } = modelOf(shape);
  const header: Record<string, unknown> = {};
  let offset = 0;
  for (const tensor of tensors) {
    const end = offset + byteLength(dtype, elements(tensor.shape));
    header[tensor.name] = { dtype: dtype.toUpperCase(), shape: tensor.shape, data_offsets: [offset, end] };
    offset = end;
  }
  const json = JSON.stringify(header);
  const padded = Buffer.from(json.padEnd(Math.ceil(json.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));

  const values = new RandomValues(seed);
  writeChunks(path, function* () {
    yield length;
    yield padded;
    for (const tensor of tensors) yield* values.chunks(tensor, dtype);
  });
}

/** Writes a file from pieces that need not stay valid. */
export function writeChunks(path: string, chunks: () => Iterable<Uint8Array>): void {
  const file = openSync(path, "w");
  try {
    for (const chunk of chunks()) {
      for (let done = 0; done < chunk.length;) done += writeSync(file, chunk, done);
    }
  } finally {
    closeSync(file);
  }
}
