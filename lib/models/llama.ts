/**
 * Llama: RMSNorm, rotary positions (with Llama 3's scaling), grouped-query attention, SwiGLU.
 *
 * Config: LlamaConfig of transformers. Papers: Touvron et al., "Llama 2" (arXiv 2307.09288); "The Llama 3 Herd of Models"
 * (arXiv 2407.21783).
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
import { readWindows } from "./windows.js";

export const llamaFields: FieldTable = {
  modelTypes: ["llama"],
  used: [...transformerFields, ...denseMlpFields, "attention_bias", "mlp_bias", "layer_types"],
  irrelevant: [...transformerIrrelevant, "pretraining_tp", "is_llama_config"],
  refused: {},
};

export function llama(reader: ConfigReader): ModelDefinition {
  checkFields(reader, llamaFields);
  const config = readTransformerConfig(reader);
  const attentionBias = reader.bool("attention_bias", false) ? "all" : "none";
  const windows = readWindows(reader, config.numLayers, undefined);
  const mlp = readDenseMlp(reader, { bias: reader.bool("mlp_bias", false) });
  return transformer({ ...config, attentionBias, windows }, mlp);
}
