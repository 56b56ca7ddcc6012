/**
 * Qwen3, dense: Llama with an RMSNorm on every query and key head before its rotation.
 *
 * Config: Qwen3Config of transformers. Paper: "Qwen3 Technical Report" (arXiv 2505.09388), section 2.
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

export const qwen3Fields: FieldTable = {
  modelTypes: ["qwen3"],
  used: [...transformerFields, ...denseMlpFields, "attention_bias", ...qwenWindowFields],
  irrelevant: transformerIrrelevant,
  refused: {},
};

export function qwen3(reader: ConfigReader): ModelDefinition {
  checkFields(reader, qwen3Fields);
  const config = readTransformerConfig(reader, {
    ...{ normEps: 1e-6, ropeTheta: 10_000, headDim: 128, numKvHeads: 32 },
  });
  const attentionBias = reader.bool("attention_bias", false) ? "all" : "none";
  const windows = readQwenWindows(reader, config.numLayers);
  return transformer({ ...config, qkNorm: "eachHead", attentionBias, windows }, readDenseMlp(reader));
}
