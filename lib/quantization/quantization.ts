/**
 * Whether a checkpoint is quantised, and how: by its config, or by files beside it, before a weight is there. A scheme that is not read
 * here is refused, naming the field.
 */
import { join } from "node:path";
import { ConfigReader } from "../checkpoint/configReader.js";
import { isFile, readJsonObject } from "../checkpoint/json.js";
import { CheckpointError } from "../errors.js";
import { readCompressedTensors } from "./compressedTensors.js";
import { readAwq, readFbgemmFp8, readFp8, readGptq, readMxfp4 } from "./otherMethods.js";
import type { Quantization } from "./scheme.js";

export type { MatrixScheme, Quantization, SchemeFormat } from "./scheme.js";
export { scalesOfActivations } from "./scheme.js";

type Reader = (reader: ConfigReader) => Quantization;

/** By `quant_method`. */
const methods: Readonly<Record<string, Reader>> = {
  "compressed-tensors": readCompressedTensors,
  awq: readAwq,
  gptq: readGptq,
  fp8: readFp8,
  fbgemm_fp8: readFbgemmFp8,
  mxfp4: readMxfp4,
};

/** Names of `quant_method` that are read. */
export const quantizationMethods: readonly string[] = Object.keys(methods);

/** Where exporters say that the weights are quantised, in config.json: transformers, old compressed-tensors, MLX, others. */
export const quantizationFields: readonly string[] = [
  "quantization_config",
  "compression_config",
  "quantization",
  "quant_config",
];

/** Files beside config.json in which exporters say it: AutoGPTQ, AutoAWQ, ModelOpt. Those without a method are not read. */
const quantizationFiles: Readonly<Record<string, string | undefined>> = {
  "quantize_config.json": "gptq",
  "quant_config.json": "awq",
  "hf_quant_config.json": undefined,
};

const maxFileBytes = 1 << 20;

/**
 * @param folder of the checkpoint
 * @returns undefined for a checkpoint that is not quantised
 * @throws CheckpointError ERR_CHECKPOINT_CONFIG naming the field, what runs, and what is there
 */
export async function readQuantization(
  config: ConfigReader,
  folder: string,
): Promise<Quantization | undefined> {
  const field = quantizationFields.find((name) => config.has(name));
  if (field !== undefined) {
    const method = field === "compression_config" ? "compressed-tensors" : undefined;
    return refusing(config.file, () => readMethod(config.object(field), method));
  }
  for (const [name, method] of Object.entries(quantizationFiles)) {
    const file = join(folder, name);
    if (!(await isFile(file))) continue;
    if (method === undefined)
      throw refused(file, `the weights beside this file are quantised, and it is not read`);
    const json = await readJsonObject(file, { maxBytes: maxFileBytes, code: "ERR_CHECKPOINT_CONFIG" });
    return refusing(file, () => readMethod(new ConfigReader(file, json ?? {}), method));
  }
  return undefined;
}

/** @param fallback what is meant without a name */
function readMethod(reader: ConfigReader, fallback?: string): Quantization {
  const method = reader.oneOf("quant_method", quantizationMethods, fallback);
  return methods[method]!(reader);
}

function refusing(file: string, read: () => Quantization): Quantization {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    throw refused(file, error.message.replace(`${file}: `, ""), error);
  }
}

function refused(file: string, what: string, cause?: unknown): CheckpointError {
  return new CheckpointError(
    "ERR_CHECKPOINT_CONFIG",
    `${file}: ${what}: weights that are quantised like that do not run here. Load another export, or the checkpoint that they were made ` +
      "from, in f32, bf16 or f16",
    { file },
    { cause },
  );
}
