/**
 * Quantised checkpoints are refused by their config, before a weight is read: none of the published formats is run.
 */
import { join } from "node:path";
import type { ConfigReader } from "../checkpoint/configReader.js";
import { isFile, isObject, show } from "../checkpoint/json.js";
import { CheckpointError } from "../errors.js";

/** Where exporters say that the weights are quantised: transformers, compressed-tensors, MLX, AutoAWQ. */
export const quantizationFields: readonly string[] = [
  "quantization_config",
  "compression_config",
  "quantization",
  "quant_config",
];

/** Files beside config.json in which exporters say it: ModelOpt, AutoGPTQ, AutoAWQ. */
const quantizationFiles = ["hf_quant_config.json", "quantize_config.json", "quant_config.json"];

/** gpt-oss as it is published. */
const missingOfMxfp4 =
  "its experts are *_blocks and *_scales of 4 bits, a weight format that is missing here; exports of the model with experts in " +
  "bf16, gate_up_proj and down_proj, run";

/**
 * @param runs architectures that run, for the message
 * @throws CheckpointError ERR_CHECKPOINT_CONFIG naming the model type, the field and the method
 */
export function refuseQuantization(reader: ConfigReader, runs: readonly string[]): void {
  const field = quantizationFields.find((name) => reader.has(name));
  if (field === undefined) return;
  const value = reader.json[field];
  const method = isObject(value) ? (value["quant_method"] ?? value["quant_algo"] ?? value["format"]) : value;
  const what = `the weights of this model of type ${show(reader.json["model_type"])} are quantised`;
  const missing = method === "mxfp4" ? `; ${missingOfMxfp4}` : "";
  throw quantizedError(reader.file, `${field}: ${what} (method ${show(method)}${missing})`, runs);
}

/**
 * @param folder of the checkpoint
 * @throws CheckpointError ERR_CHECKPOINT_CONFIG naming the file
 */
export async function refuseQuantizationFiles(folder: string, runs: readonly string[]): Promise<void> {
  for (const name of quantizationFiles) {
    const file = join(folder, name);
    if (await isFile(file)) throw quantizedError(file, "the weights beside this file are quantised", runs);
  }
}

function quantizedError(file: string, what: string, runs: readonly string[]): CheckpointError {
  return new CheckpointError(
    "ERR_CHECKPOINT_CONFIG",
    `${file}: ${what}, and quantised weights do not run here. Load the checkpoint that they were made from, in f32, bf16 ` +
      `or f16; these architectures run: ${runs.join(", ")}`,
    { file },
  );
}
