/**
 * Granite 3, dense: Llama with factors on embeddings, scores, what each part adds to the residual stream, and logits (muP).
 *
 * Config: GraniteConfig of transformers. Papers: "Granite 3.0 Language Models" (IBM, 2024), section 3; the factors are those of Yang
 * et al., "Tensor Programs V" (arXiv 2203.03466).
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
import type { Factors } from "./transformerConfig.js";
import { denseMlpFields, readDenseMlp } from "./transformerMlp.js";

/** What `readGraniteFactors` reads. */
export const graniteFactorFields: readonly string[] = [
  ...["embedding_multiplier", "attention_multiplier", "residual_multiplier", "logits_scaling"],
];

export const graniteFields: FieldTable = {
  modelTypes: ["granite"],
  used: [...[...transformerFields, ...denseMlpFields, "attention_bias", "mlp_bias"], ...graniteFactorFields],
  irrelevant: transformerIrrelevant,
  refused: {},
};

export function granite(reader: ConfigReader): ModelDefinition {
  checkFields(reader, graniteFields);
  const config = readTransformerConfig(reader);
  const attentionBias = reader.bool("attention_bias", false) ? "all" : "none";
  const mlp = readDenseMlp(reader, { bias: reader.bool("mlp_bias", false) });
  return transformer({ ...config, factors: readGraniteFactors(reader), attentionBias }, mlp);
}

/** Those of Granite's classes with experts as well. */
export function readGraniteFactors(reader: ConfigReader): Factors {
  return {
    embedding: reader.number("embedding_multiplier", 1),
    scores: reader.number("attention_multiplier", 1), // itself, in place of 1 / sqrt(head_dim)
    residual: reader.number("residual_multiplier", 1),
    logits: 1 / reader.positiveNumber("logits_scaling", 1),
  };
}
