/**
 * Granite 3 with experts: Granite with experts in place of the feed-forward part, all of a layer in one tensor. The softmax runs over the
 * chosen experts, which is the softmax over all with the weights of the chosen ones renormalised.
 *
 * Config: GraniteMoeConfig of transformers. Paper: "Granite 3.0 Language Models" (IBM, 2024), section 3.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { readSilu } from "./activations.js";
import { checkFields, type FieldTable } from "./configFields.js";
import { graniteFactorFields, readGraniteFactors } from "./granite.js";
import { boundedInt, maxExperts } from "./limits.js";
import type { ModelDefinition } from "./model.js";
import {
  readTransformerConfig,
  transformer,
  transformerFields,
  transformerIrrelevant,
} from "./transformer.js";
import { sparseMlp } from "./transformerMoe.js";

export const graniteMoeFields: FieldTable = {
  modelTypes: ["granitemoe"],
  used: [
    ...[...transformerFields, ...graniteFactorFields, "intermediate_size", "hidden_act", "attention_bias"],
    ...["num_local_experts", "num_experts", "num_experts_per_tok"],
  ],
  irrelevant: [...transformerIrrelevant, "output_router_logits", "router_aux_loss_coef"],
  refused: {},
};

export function graniteMoe(reader: ConfigReader): ModelDefinition {
  checkFields(reader, graniteMoeFields);
  const config = readTransformerConfig(reader);
  readSilu(reader);
  const numExperts = boundedInt(reader, ["num_local_experts", "num_experts"], maxExperts);
  const topK = boundedInt(reader, "num_experts_per_tok", numExperts);
  const moe = "model.layers.{layer}.block_sparse_moe";
  return transformer(
    {
      ...{ ...config, factors: readGraniteFactors(reader) },
      attentionBias: reader.bool("attention_bias", false) ? "all" : "none",
    },
    sparseMlp({
      ...{ hiddenSize: config.hiddenSize, width: reader.positiveInt("intermediate_size"), numExperts },
      choice: { topK, scores: "softmax", renormalize: true },
      names: {
        router: `${moe}.router.layer.weight`,
        experts: { gateUp: `${moe}.input_linear.weight`, down: `${moe}.output_linear.weight` },
      },
    }),
  );
}
