/**
 * Qwen2 and Qwen2.5, dense: Llama with biases on queries, keys and values; long configs scale rotations by YaRN. Layers from
 * `max_window_layers` on may have a sliding window.
 *
 * Config: Qwen2Config of transformers. Papers: "Qwen2 Technical Report" (arXiv 2407.10671), section 2.2.1; "Qwen2.5 Technical
 * Report" (arXiv 2412.15115), section 2.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { checkFields, type FieldTable } from "./configFields.js";
import type { ModelDefinition } from "./model.js";
import {
  readTransformerConfig,
  transformer,
  transformerFields,
  transformerIrrelevant,
} from "./transformer.js";
import { denseMlpFields, readDenseMlp } from "./transformerMlp.js";
import { qwenWindowFields, readQwenWindows } from "./windows.js";

export const qwen2Fields: FieldTable = {
  modelTypes: ["qwen2"],
  used: [...transformerFields, ...denseMlpFields, ...qwenWindowFields],
  irrelevant: transformerIrrelevant,
  refused: {},
};

export function qwen2(reader: ConfigReader): ModelDefinition {
  checkFields(reader, qwen2Fields);
  const config = readTransformerConfig(reader, { normEps: 1e-6, ropeTheta: 10_000, numKvHeads: 32 });
  const windows = readQwenWindows(reader, config.numLayers);
  return transformer({ ...config, attentionBias: "qkv", windows }, readDenseMlp(reader));
}
