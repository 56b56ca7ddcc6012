/**
 * DeepSeek's rows of test/models/variants.test.ts and features.test.ts.
 */
import type { Variant } from "./variant.js";

const sizes = { qk_nope_head_dim: 32, qk_rope_head_dim: 16, v_head_dim: 16, kv_lora_rank: 48 };
const experts = {
  ...{ n_routed_experts: 8, num_experts_per_tok: 2, moe_intermediate_size: 12, n_shared_experts: 2 },
  first_k_dense_replace: 1,
};
const tiny = { ...sizes, ...experts, num_hidden_layers: 3 };

/** Of the larger V2: queries have latents, and a token goes to experts of two groups, those with the best ones. */
export const limitedV2 = {
  ...{ ...tiny, q_lora_rank: 20, num_experts_per_tok: 3, topk_method: "group_limited_greedy" },
  ...{ n_group: 4, topk_group: 2, routed_scaling_factor: 16 },
};
/** Of V3 and R1. */
export const tinyV3 = { ...tiny, q_lora_rank: 20, n_group: 4, topk_group: 2, routed_scaling_factor: 2.5 };

const yarn = {
  ...{ type: "yarn", factor: 4, original_max_position_embeddings: 16, mscale: 1, mscale_all_dim: 1 },
  ...{ beta_fast: 32, beta_slow: 1 },
};
/** Of yarn with mscale_all_dim 1, on the products of queries and keys. */
const magnitude = 0.1 * Math.log(4) + 1;

export const deepseekVariants: readonly Variant[] = [
  {
    name: "DeepSeek V2-Lite: queries without latents, greedy choice",
    architecture: "DeepseekV2ForCausalLM",
    fields: { ...tiny, q_lora_rank: null, topk_method: "greedy", n_group: 1, topk_group: 1 },
  },
  {
    name: "DeepSeek V2 with experts of the best groups",
    architecture: "DeepseekV2ForCausalLM",
    fields: limitedV2,
  },
  {
    name: "DeepSeek V2 greedy, whatever its groups are, renormalised, with yarn",
    architecture: "DeepseekV2ForCausalLM",
    fields: {
      ...{ ...limitedV2, topk_method: "greedy", norm_topk_prob: true, routed_scaling_factor: 1 },
      rope_scaling: yarn,
    },
    factors: { scores: 48 ** -0.5 * magnitude ** 2 },
  },
  { name: "DeepSeek V3", architecture: "DeepseekV3ForCausalLM", fields: tinyV3 },
  {
    name: "Moonlight: DeepSeek V3, queries without latents, one group",
    architecture: "DeepseekV3ForCausalLM",
    fields: { ...tinyV3, q_lora_rank: null, n_group: 1, topk_group: 1 },
  },
  {
    name: "DeepSeek V3 whose rotated pairs are half of the part apart",
    architecture: "DeepseekV3ForCausalLM",
    fields: { ...tinyV3, rope_interleave: false },
  },
  {
    name: "DeepSeek V3, half of the part apart, queries without latents, yarn, a tied head",
    architecture: "DeepseekV3ForCausalLM",
    fields: {
      ...{ ...tinyV3, rope_interleave: false, q_lora_rank: null, rope_scaling: yarn },
      tie_word_embeddings: true,
    },
    factors: { scores: 48 ** -0.5 * magnitude ** 2 },
  },
  {
    name: "DeepSeek V3 with wide values, in bf16",
    architecture: "DeepseekV3ForCausalLM",
    fields: { ...tinyV3, v_head_dim: 64, first_k_dense_replace: 3 },
    dtypeOf: (name) => (name.includes("e_score") ? "f32" : "bf16"),
    dtype: "bf16",
  },
];
