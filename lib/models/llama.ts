/**
 * Llama and Mistral: RMSNorm, rotary positions (with Llama 3's scaling), grouped-query attention, SwiGLU.
 * Mistral is Llama with a sliding window.
 *
 * Config: LlamaConfig, MistralConfig of transformers. Papers: Touvron et al., "Llama 2" (arXiv 2307.09288); "The Llama 3
 * Herd of Models" (arXiv 2407.21783); Jiang et al., "Mistral 7B" (arXiv 2310.06825).
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { checkFields, type FieldTable } from "./configFields.js";
import { refuse } from "./foreignFields.js";
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

export const mistralFields: FieldTable = {
  modelTypes: ["mistral"],
  used: [...transformerFields, ...denseMlpFields, "sliding_window", "layer_types"],
  irrelevant: transformerIrrelevant,
  refused: refuse("a switch for its window: sliding_window null is off", [true], ["use_sliding_window"]),
};

export function mistral(reader: ConfigReader): ModelDefinition {
  checkFields(reader, mistralFields);
  const config = readTransformerConfig(reader, { normEps: 1e-6, ropeTheta: 10_000, numKvHeads: 8 });
  const window = reader.nullablePositiveInt("sliding_window", 4096);
  const windows = readWindows(reader, config.numLayers, window);
  return transformer({ ...config, windows }, readDenseMlp(reader));
}
