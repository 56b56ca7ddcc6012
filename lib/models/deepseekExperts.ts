/**
 * The feed-forward part of DeepSeek V2 and V3, which GLM-4.5 and others took over: dense in the first layers, then experts, from some of
 * their groups, beside shared ones. V3 has sigmoid scores, and a bias that chooses and does not weigh.
 *
 * Papers: "DeepSeek-V2" (arXiv 2405.04434), section 2.2; "DeepSeek-V3 Technical Report" (arXiv 2412.19437), section 2.1.2.
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

/** How experts are chosen, which no field says. */
export interface ExpertRouter extends Pick<MoeChoice, "scores" | "groupBest"> {
  /** A checkpoint has `e_score_correction_bias`. */
  readonly hasBias?: boolean;
  /** False: all experts can be chosen, whatever the groups are. Default true. */
  readonly hasGroups?: boolean;
}

export const deepseekV3Router: ExpertRouter = { scores: "sigmoid", hasBias: true };

export interface ExpertOptions {
  readonly router: ExpertRouter;
  // What the class of a config has where config.json has nothing.
  readonly firstDense: number;
  /** Undefined: 1. */
  readonly shared?: number;
  /** Undefined, of groups: the fields have to be there. */
  readonly groups?: number;
  readonly topGroups?: number;
  readonly scale: number;
  /** Undefined: true. */
  readonly renormalize?: boolean;
}

export function readDeepseekExperts(
  reader: ConfigReader,
  { hiddenSize, numLayers }: Pick<TransformerConfig, "hiddenSize" | "numLayers">,
  options: ExpertOptions,
): TransformerMlp {
  readSilu(reader);
  const firstSparse = reader.nonNegativeInt("first_k_dense_replace", options.firstDense);
  const numExperts = boundedInt(reader, "n_routed_experts", maxExperts);
  const numShared = reader.nonNegativeInt("n_shared_experts", options.shared ?? 1);
  const width = reader.positiveInt("moe_intermediate_size");
  const choice = readChoice(reader, numExperts, options);
  const mlp = "model.layers.{layer}.mlp";
  return mixedMlp(numLayers, (layer) => layer >= firstSparse, {
    sparse: (onlyLayers) =>
      sparseMlp({
        ...{ hiddenSize, width, numExperts, choice, onlyLayers },
        names: {
          router: `${mlp}.gate.weight`,
          ...(options.router.hasBias && { correctionBias: `${mlp}.gate.e_score_correction_bias` }),
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

function readChoice(reader: ConfigReader, numExperts: number, options: ExpertOptions): MoeChoice {
  const { scores, groupBest, hasGroups = true } = options.router;
  const { groups, topGroups } = hasGroups
    ? readGroups(reader, numExperts, options)
    : { groups: 1, topGroups: 1 };
  const renormalize = reader.bool("norm_topk_prob", options.renormalize ?? true);
  return {
    topK: boundedInt(reader, "num_experts_per_tok", (numExperts / groups) * topGroups),
    ...{ scores, groups, topGroups, renormalize, ...(groupBest && { groupBest }) },
    scale: reader.number("routed_scaling_factor", options.scale),
  };
}

function readGroups(
  reader: ConfigReader,
  numExperts: number,
  options: ExpertOptions,
): { readonly groups: number; readonly topGroups: number } {
  const groups = reader.positiveInt("n_group", options.groups);
  if (numExperts % groups !== 0) reader.fail("n_group", `a divisor of n_routed_experts (${numExperts})`);
  const topGroups = reader.positiveInt("topk_group", options.topGroups);
  if (topGroups > groups) reader.fail("topk_group", `at most n_group (${groups})`);
  return { groups, topGroups };
}
