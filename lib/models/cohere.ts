/**
 * Cohere's Command R and Aya: attention and feed-forward read one layer norm, which has no bias, and are added together; pairs of
 * neighbours are rotated, and logits have a factor. Command R7B (Cohere2) has windows in three layers of four, and rotates these alone.
 *
 * Config: CohereConfig, Cohere2Config of transformers. Papers: Dang et al., "Aya Expanse" (arXiv 2412.04261); "Command A" (arXiv
 * 2504.00698), section 2; the parallel layer is that of GPT-J.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { checkFields, type FieldTable } from "./configFields.js";
import { refuse } from "./foreignFields.js";
import type { ModelDefinition } from "./model.js";
import {
  readTransformerConfig,
  transformer,
  transformerFieldsWith,
  transformerIrrelevant,
} from "./transformer.js";
import type { TransformerConfig } from "./transformerConfig.js";
import { denseMlpFields, readDenseMlp } from "./transformerMlp.js";
import { everyLayerBut, readWindows } from "./windows.js";

const fields: readonly string[] = [
  ...[...transformerFieldsWith("layer_norm_eps"), ...denseMlpFields, "attention_bias", "logit_scale"],
];

export const cohereFields: FieldTable = {
  modelTypes: ["cohere"],
  used: fields,
  irrelevant: [...transformerIrrelevant, "model_max_length"],
  refused: {}, // use_qk_norm (Command R+), a layer norm with weights of each head, is refused for every family
};

export const cohere2Fields: FieldTable = {
  modelTypes: ["cohere2"],
  used: [...fields, "sliding_window", "sliding_window_pattern", "layer_types"],
  irrelevant: [...transformerIrrelevant, "layer_switch", "use_embedding_sharing", "use_parallel_embedding"],
  refused: {
    ...refuse("other layers", [true], ["use_gated_activation", "use_parallel_block"]),
    ...refuse("another order of layers", ["local_attn_first"], ["order_of_interleaved_layers"]),
    ...refuse("positions of that kind", ["rope_gptj"], ["position_embedding_type"]),
  },
};

export function cohere(reader: ConfigReader): ModelDefinition {
  checkFields(reader, cohereFields);
  return transformer(readCohereConfig(reader), readDenseMlp(reader));
}

export function cohere2(reader: ConfigReader): ModelDefinition {
  checkFields(reader, cohere2Fields);
  const config = readCohereConfig(reader);
  const pattern = reader.positiveInt("sliding_window_pattern", 4);
  const window = reader.nullablePositiveInt("sliding_window", 4096);
  const windows = readWindows(reader, config.numLayers, window, everyLayerBut(pattern));
  return transformer({ ...config, windows, rotated: windows.map((size) => size > 0) }, readDenseMlp(reader));
}

function readCohereConfig(reader: ConfigReader): TransformerConfig {
  const config = readTransformerConfig(reader, {
    ...{ normEps: 1e-5, normEpsField: "layer_norm_eps", ropeTheta: 10_000, tiedHead: true },
  });
  return {
    ...{ ...config, normKind: "layerWithoutBias", parallel: true, adjacentPairs: true },
    norms: { attentionNorm: "input_layernorm" },
    attentionBias: reader.bool("attention_bias", false) ? "all" : "none",
    factors: { ...config.factors, logits: reader.positiveNumber("logit_scale", 0.0625) },
  };
}
