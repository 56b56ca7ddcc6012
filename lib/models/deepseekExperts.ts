/**
 * The feed-forward part of DeepSeek V3, which GLM-4.5 and others took over: dense in the first layers, then experts by sigmoid scores with a
 * bias that chooses and does not weigh, from some of their groups, beside shared ones.
 *
 * Paper: "DeepSeek-V3 Technical Report" (arXiv 2412.19437), section 2.1.2.
 */
import type { ConfigReader } from "../checkpoint/configReader.js";
import type { MoeChoice } from "../nn/moe.js";
import { readSilu } from "./activations.js";
import { boundedInt, maxExperts } from "./limits.js";
import type { TransformerMlp } from "./transformer.js";
import type { TransformerConfig } from "./transformerConfig.js";
import { denseMlp } from "./transformerMlp.js";
import { mixedMlp, projections, sparseMlp } from "./transformerMoe.js";

/** What `readDeepseekExperts` reads. */
export const deepseekExpertFields: readonly string[] = [
  ...["intermediate_size", "hidden_act", "first_k_dense_replace", "moe_intermediate_size"],
  ...["n_routed_experts", "num_experts_per_tok", "n_shared_experts", "n_group", "topk_group"],
  ...["norm_topk_prob", "routed_scaling_factor"],
];

/** What the class of a config has where config.json has nothing. */
export interface ExpertDefaults {
  readonly firstDense: number;
  readonly groups: number;
  readonly topGroups: number;
  readonly scale: number;
}

export function readDeepseekExperts(
  reader: ConfigReader,
  { hiddenSize, numLayers }: Pick<TransformerConfig, "hiddenSize" | "numLayers">,
  defaults: ExpertDefaults,
): TransformerMlp {
  readSilu(reader);
  const firstSparse = reader.nonNegativeInt("first_k_dense_replace", defaults.firstDense);
  const numExperts = boundedInt(reader, "n_routed_experts", maxExperts);
  const numShared = reader.nonNegativeInt("n_shared_experts", 1);
  const width = reader.positiveInt("moe_intermediate_size");
  const choice = readChoice(reader, numExperts, defaults);
  const mlp = "model.layers.{layer}.mlp";
  return mixedMlp(numLayers, (layer) => layer >= firstSparse, {
    sparse: (onlyLayers) =>
      sparseMlp({
        ...{ hiddenSize, width, numExperts, choice, onlyLayers },
        names: {
          router: `${mlp}.gate.weight`,
          correctionBias: `${mlp}.gate.e_score_correction_bias`,
          experts: projections(`${mlp}.experts.{expert}`),
        },
        ...(numShared > 0 && {
          shared: { width: numShared * width, names: projections(`${mlp}.shared_experts`) },
        }),
      }),
    dense: (onlyLayers) => {
      const inner = reader.positiveInt("intermediate_size");
      return denseMlp({ hiddenSize, width: inner, activation: "silu", bias: false, onlyLayers });
    },
  });
}

function readChoice(reader: ConfigReader, numExperts: number, defaults: ExpertDefaults): MoeChoice {
  const groups = reader.positiveInt("n_group", defaults.groups);
  if (numExperts % groups !== 0) reader.fail("n_group", `a divisor of n_routed_experts (${numExperts})`);
  const topGroups = reader.positiveInt("topk_group", defaults.topGroups);
  if (topGroups > groups) reader.fail("topk_group", `at most n_group (${groups})`);
  return {
    topK: boundedInt(reader, "num_experts_per_tok", (numExperts / groups) * topGroups),
    ...{ scores: "sigmoid", groups, topGroups },
    renormalize: reader.bool("norm_topk_prob", true),
    scale: reader.number("routed_scaling_factor", defaults.scale),
  };
}
