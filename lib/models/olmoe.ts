/**
 * OLMoE: Llama with experts in place of the feed-forward part, and an RMSNorm over all query heads together and over
 * all key heads together before their rotation; queries, keys and values are clamped where the config says so. The
 * weights of the chosen experts are those of the softmax over all.
 *
 * Config: OlmoeConfig of transformers. Paper: "OLMoE: Open Mixture-of-Experts Language Models" (arXiv 2409.02060), section 2.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { readSilu } from "./activations.js";
import { checkFields, type FieldTable } from "./configFields.js";
import { boundedInt, maxExperts } from "./limits.js";
import type { ModelDefinition } from "./model.js";
import {
  readTransformerConfig,
  transformer,
  transformerFields,
  transformerIrrelevant,
} from "./transformer.js";
import { projections, sparseMlp } from "./transformerMoe.js";

export const olmoeFields: FieldTable = {
  modelTypes: ["olmoe"],
  used: [
    ...[...transformerFields, "intermediate_size", "hidden_act", "attention_bias", "clip_qkv"],
    ...["num_experts", "num_local_experts", "num_experts_per_tok", "norm_topk_prob"],
  ],
  irrelevant: [...transformerIrrelevant, "output_router_logits", "router_aux_loss_coef"],
  refused: {},
};

export function olmoe(reader: ConfigReader): ModelDefinition {
  checkFields(reader, olmoeFields);
  const config = readTransformerConfig(reader, { normEps: 1e-5, ropeTheta: 10_000 });
  readSilu(reader);
  const numExperts = boundedInt(reader, ["num_experts", "num_local_experts"], maxExperts);
  const mlp = "model.layers.{layer}.mlp";
  return transformer(
    {
      ...config,
      attentionBias: reader.bool("attention_bias", false) ? "all" : "none",
      qkNorm: "allHeads",
      clip: reader.nullablePositiveNumber("clip_qkv", undefined),
    },
    sparseMlp({
      ...{ hiddenSize: config.hiddenSize, width: reader.positiveInt("intermediate_size"), numExperts },
      choice: {
        ...{ topK: boundedInt(reader, "num_experts_per_tok", numExperts), scores: "softmax" },
        renormalize: reader.bool("norm_topk_prob", false),
      },
      names: { router: `${mlp}.gate.weight`, experts: projections(`${mlp}.experts.{expert}`) },
    }),
  );
}
