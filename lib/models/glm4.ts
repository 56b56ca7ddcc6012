/**
 * GLM-4 (0414), dense: Llama with norms in front of attention and feed-forward and behind both, and with half of each head rotated, in
 * pairs of neighbours.
 *
 * Config: Glm4Config of transformers. Paper: "ChatGLM: A Family of Large Language Models from GLM-130B to GLM-4 All Tools"
 * (arXiv 2406.12793); the norms behind are of the release of April 2025.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { readActivation } from "./activations.js";
import { checkFields, type FieldTable } from "./configFields.js";
import type { ModelDefinition } from "./model.js";
import {
  readTransformerConfig,
  transformer,
  transformerFields,
  transformerIrrelevant,
} from "./transformer.js";
import { denseMlp } from "./transformerMlp.js";

export const glm4Fields: FieldTable = {
  modelTypes: ["glm4"],
  used: [...transformerFields, "intermediate_size", "hidden_act", "attention_bias"],
  irrelevant: transformerIrrelevant,
  refused: {},
};

export function glm4(reader: ConfigReader): ModelDefinition {
  checkFields(reader, glm4Fields);
  const config = readTransformerConfig(reader, {
    ...{ normEps: 1.5625e-7, ropeTheta: 10_000, rotaryShare: 0.5, headDim: 128, numKvHeads: 2 },
  });
  const mlp = denseMlp({
    hiddenSize: config.hiddenSize,
    width: reader.positiveInt("intermediate_size"),
    activation: readActivation(reader),
    bias: false,
    fused: true,
  });
  return transformer(
    {
      ...config,
      adjacentPairs: true,
      attentionBias: reader.bool("attention_bias", true) ? "qkv" : "none",
      norms: {
        attentionNorm: "input_layernorm",
        attentionPostNorm: "post_self_attn_layernorm",
        mlpNorm: "post_attention_layernorm",
        mlpPostNorm: "post_mlp_layernorm",
      },
    },
    mlp,
  );
}
