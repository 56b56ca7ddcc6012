/**
 * gpt-oss: a mixture of experts whose matrices have biases and whose SwiGLU is clamped, windows in every other layer,
 * and a sink in each head: one more score, which takes its share of the softmax and has no value. The softmax of the
 * router runs over the chosen experts, which is that over all with the weights of the chosen ones renormalised.
 *
 * Config: GptOssConfig of transformers. Paper: "gpt-oss-120b & gpt-oss-20b Model Card" (arXiv 2508.10925), section 2.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import { readSilu } from "./activations.js";
import { checkFields, type FieldTable } from "./configFields.js";
import { boundedInt, maxExperts } from "./limits.js";
import type { ModelDefinition } from "./model.js";
import {
  readTransformerConfig,
  transformer,
  type TransformerDefaults,
  transformerFields,
  transformerIrrelevant,
} from "./transformer.js";
import { sparseMlp } from "./transformerMoe.js";
import { readWindows } from "./windows.js";

export const gptOssFields: FieldTable = {
  modelTypes: ["gpt_oss"],
  used: [
    ...[...transformerFields, "intermediate_size", "hidden_act", "attention_bias", "swiglu_limit"],
    ...["num_local_experts", "num_experts", "num_experts_per_tok", "experts_per_token"],
    ...["sliding_window", "layer_types"],
  ],
  // The first is what original_max_position_embeddings says of the rotation.
  irrelevant: [
    ...transformerIrrelevant,
    ...["initial_context_length", "output_router_logits", "router_aux_loss_coef"],
  ],
  refused: {},
};

/** GptOssConfig. */
const ofClass = {
  ...{ vocabSize: 201_088, hiddenSize: 2880, numLayers: 36, numHeads: 64, numKvHeads: 8, headDim: 64 },
  ...{ normEps: 1e-5, ropeTheta: 150_000, maxPositions: 131_072 },
  ropeScaling: {
    ...{ rope_type: "yarn", factor: 32, beta_fast: 32, beta_slow: 1, truncate: false },
    original_max_position_embeddings: 4096,
  },
} as const satisfies TransformerDefaults;
const widthOfClass = 2880;
const expertsOfClass = { count: 128, perToken: 4 };

/** Of the gate in its sigmoid; no config has it. */
const alpha = 1.702;

export function gptOss(reader: ConfigReader): ModelDefinition {
  checkFields(reader, gptOssFields);
  const config = readTransformerConfig(reader, ofClass);
  readSilu(reader);
  const window = reader.nullablePositiveInt("sliding_window", 128);
  const { count, perToken } = expertsOfClass;
  const numExperts = boundedInt(reader, ["num_local_experts", "num_experts"], maxExperts, count);
  const topK = boundedInt(reader, ["num_experts_per_tok", "experts_per_token"], numExperts, perToken);
  const [router, experts] = ["router", "experts"].map((name) => `model.layers.{layer}.mlp.${name}`);
  return transformer(
    {
      ...{ ...config, sinks: true },
      attentionBias: reader.bool("attention_bias", true) ? "all" : "none",
      windows: readWindows(reader, config.numLayers, window, (layer) => layer % 2 === 0),
    },
    sparseMlp({
      hiddenSize: config.hiddenSize,
      width: reader.positiveInt("intermediate_size", widthOfClass),
      numExperts,
      choice: { topK, scores: "softmax", renormalize: true },
      clamp: { limit: reader.positiveNumber("swiglu_limit", 7), alpha },
      names: {
        ...{ router: `${router}.weight`, routerBias: `${router}.bias` },
        experts: {
          ...{ gateUp: `${experts}.gate_up_proj`, down: `${experts}.down_proj`, isTransposed: true },
          biases: { gateUp: `${experts}.gate_up_proj_bias`, down: `${experts}.down_proj_bias` },
        },
      },
    }),
  );
}
