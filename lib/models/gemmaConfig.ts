/**
 * What Gemma 2 and 3 read alike.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { readActivation } from "./activations.js";
import { readTransformerConfig, transformerFields, transformerIrrelevant } from "./transformer.js";
import type { TransformerDefaults, TransformerMlp } from "./transformer.js";
import type { TransformerConfig } from "./transformerConfig.js";
import { denseMlp } from "./transformerMlp.js";

/** What `readGemmaConfig` and `readGemmaMlp` read, and windows. */
export const gemmaFields: readonly string[] = [
  ...[...transformerFields, "intermediate_size", "hidden_activation", "attention_bias"],
  ...["query_pre_attn_scalar", "attn_logit_softcapping", "final_logit_softcapping"],
  ...["sliding_window", "layer_types"],
];

/** `hidden_act` stands in published configs, and the classes read the other one. */
export const gemmaIrrelevant: readonly string[] = [...transformerIrrelevant, "hidden_act"];

export interface GemmaDefaults extends Omit<TransformerDefaults, "normEps"> {
  readonly scoreCap?: number;
  readonly logitCap?: number;
}

/** Of the feed-forward part. */
export interface GemmaWidths {
  readonly hiddenSize?: number;
  readonly intermediateSize?: number;
}

/** All layers without windows. */
export function readGemmaConfig(reader: ConfigReader, defaults: GemmaDefaults): TransformerConfig {
  const config = readTransformerConfig(reader, {
    ...{ normEps: 1e-6, headDim: 256, numKvHeads: 4, tiedHead: true, ...defaults },
  });
  return {
    ...config,
    normsAddOne: true,
    norms: {
      attentionNorm: "input_layernorm",
      attentionPostNorm: "post_attention_layernorm",
      mlpNorm: "pre_feedforward_layernorm",
      mlpPostNorm: "post_feedforward_layernorm",
    },
    attentionBias: reader.bool("attention_bias", false) ? "all" : "none",
    factors: {
      ...config.factors,
      embedding: roundToBf16(Math.sqrt(config.hiddenSize)),
      scores: reader.positiveNumber("query_pre_attn_scalar", 256) ** -0.5,
    },
    caps: {
      scores: reader.nullablePositiveNumber("attn_logit_softcapping", defaults.scoreCap),
      logits: reader.nullablePositiveNumber("final_logit_softcapping", defaults.logitCap),
    },
  };
}

export function readGemmaMlp(reader: ConfigReader, defaults: GemmaWidths = {}): TransformerMlp {
  return denseMlp({
    hiddenSize: reader.positiveInt("hidden_size", defaults.hiddenSize),
    width: reader.positiveInt("intermediate_size", defaults.intermediateSize),
    activation: readActivation(reader, "hidden_activation", "gelu_pytorch_tanh"),
    bias: false,
  });
}

/**
 * The models were trained with the root of the width in bf16, as their embeddings are, and the reference implementation rounds it to
 * the dtype of the weights: 59.75 for 59.87 of 3584. Here it is that number in every dtype, so that f32 gives the model, too.
 */
function roundToBf16(value: number): number {
  const unit = 2 ** (Math.floor(Math.log2(value)) - 7);
  return Math.round(value / unit) * unit;
}
