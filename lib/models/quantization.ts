/**
 * Quantised checkpoints are refused by their config, before a weight is read: none of the published formats is run.
 */
import { CheckpointError } from "../errors.js";
import type { ConfigReader } from "../weights/configReader.js";
import { isObject, show } from "../weights/json.js";

/** Where exporters say that the weights are quantised: transformers, compressed-tensors, MLX, AutoAWQ. */
export const quantizationFields: readonly string[] = [
  "quantization_config",
  "compression_config",
  "quantization",
  "quant_config",
];

/**
 * @param runs architectures that run, for the message
 * @throws CheckpointError ERR_CHECKPOINT_CONFIG naming the model type, the field and the method
 */
export function refuseQuantization(reader: ConfigReader, runs: readonly string[]): void {
  const field = quantizationFields.find((name) => reader.has(name));
  if (field === undefined) return;
  const value = reader.json[field];
  const method = isObject(value) ? (value["quant_method"] ?? value["quant_algo"] ?? value["format"]) : value;
  throw new CheckpointError(
    "ERR_CHECKPOINT_CONFIG",
    `${reader.file}: ${field}: the weights of this ${show(reader.json["model_type"])} are quantised (method ` +
      `${show(method)}), and quantised weights do not run here. Load the checkpoint that they were made from, in f32, ` +
      `bf16 or f16; these architectures run: ${runs.join(", ")}`,
    { file: reader.file },
  );
}
