/**
 * OLMo 2: Llama with its norms behind attention and feed-forward instead of in front, and an RMSNorm over all query heads together and
 * over all key heads together before their rotation.
 *
 * Config: Olmo2Config of transformers. Paper: "2 OLMo 2 Furious" (arXiv 2501.00656), section 3.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { checkFields, type FieldTable } from "./configFields.js";
import type { ModelDefinition } from "./model.js";
import {
  readTransformerConfig,
  transformer,
  type TransformerDefaults,
  transformerFields,
  transformerIrrelevant,
} from "./transformer.js";
import type { TransformerConfig } from "./transformerConfig.js";
import { denseMlpFields, readDenseMlp } from "./transformerMlp.js";

export const olmo2Fields: FieldTable = {
  modelTypes: ["olmo2"],
  used: [...transformerFields, ...denseMlpFields, "attention_bias"],
  irrelevant: transformerIrrelevant,
  refused: {},
};

export function olmo2(reader: ConfigReader): ModelDefinition {
  checkFields(reader, olmo2Fields);
  return transformer(readOlmo2Config(reader), readDenseMlp(reader));
}

export function readOlmo2Config(
  reader: ConfigReader,
  defaults: Pick<TransformerDefaults, "ropeByLayerType"> = {},
): TransformerConfig {
  return {
    ...readTransformerConfig(reader, { normEps: 1e-5, ropeTheta: 10_000, ...defaults }),
    attentionBias: reader.bool("attention_bias", false) ? "all" : "none",
    qkNorm: "allHeads",
    norms: { attentionPostNorm: "post_attention_layernorm", mlpPostNorm: "post_feedforward_layernorm" },
  };
}
