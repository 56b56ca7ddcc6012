/**
 * Mixtral: Mistral with experts in place of the feed-forward part. The router's softmax runs over all experts, and the
 * weights of the chosen ones are renormalised (which equals the paper's softmax over the chosen logits).
 *
 * Config: MixtralConfig of transformers. Paper: Jiang et al., "Mixtral of Experts" (arXiv 2401.04088), section 2.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { readSilu } from "./activations.js";
import { checkFields, type FieldTable } from "./configFields.js";
import { refuse } from "./foreignFields.js";
import { boundedInt, maxExperts } from "./limits.js";
import type { ModelDefinition } from "./model.js";
import {
  readTransformerConfig,
  transformer,
  transformerFields,
  transformerIrrelevant,
} from "./transformer.js";
import { sparseMlp } from "./transformerMoe.js";
import { readWindows } from "./windows.js";

export const mixtralFields: FieldTable = {
  modelTypes: ["mixtral"],
  used: [
    ...[...transformerFields, "intermediate_size", "hidden_act", "sliding_window", "layer_types"],
    ...["num_local_experts", "num_experts", "num_experts_per_tok"],
  ],
  irrelevant: [
    ...transformerIrrelevant,
    ...["output_router_logits", "router_aux_loss_coef", "router_jitter_noise"], // jitter is for training
  ],
  refused: refuse("a switch for its window: sliding_window null is off", [true], ["use_sliding_window"]),
};

export function mixtral(reader: ConfigReader): ModelDefinition {
  checkFields(reader, mixtralFields);
  const config = readTransformerConfig(reader, { normEps: 1e-5, ropeTheta: 1_000_000, numKvHeads: 8 });
  const windows = readWindows(reader, config.numLayers, reader.optionalPositiveInt("sliding_window"));
  readSilu(reader);
  const numExperts = boundedInt(reader, ["num_local_experts", "num_experts"], maxExperts);

  const mlp = "model.layers.{layer}.block_sparse_moe";
  return transformer(
    { ...config, windows },
    sparseMlp({
      hiddenSize: config.hiddenSize,
      width: reader.positiveInt("intermediate_size"),
      numExperts,
      choice: {
        ...{ topK: boundedInt(reader, "num_experts_per_tok", numExperts), scores: "softmax" },
        renormalize: true,
      },
      names: {
        router: `${mlp}.gate.weight`,
        experts: {
          gate: `${mlp}.experts.{expert}.w1.weight`,
          up: `${mlp}.experts.{expert}.w3.weight`,
          down: `${mlp}.experts.{expert}.w2.weight`,
        },
      },
    }),
  );
}
