import {
  type CommonShape,
  embedding,
  gatedMatrices,
  layerNames,
  matrix,
  normEps,
  normWeight,
  type RandomModel,
} from "./tensors.js";

/** DeepSeek V2 as its Lite has it: no low-rank queries, the first layer dense. */
export interface Deepseek2Shape extends CommonShape {
  readonly family: "deepseek2";
  readonly numHeads: number;
  /** Dn, of a head without rotation */
  readonly nopeDim: number;
  /** Dr, rotated, shared by all heads in the keys */
  readonly ropeDim: number;
  /** Dv */
  readonly valueDim: number;
  /** R */
  readonly latentRank: number;
  /** Of the dense layer. */
  readonly mlpWidth: number;
  readonly expertWidth: number;
  readonly numExperts: number;
  readonly numShared: number;
  readonly topK: number;
}

export const deepseek2RopeTheta = 10_000;

export function deepseek2Model(shape: Deepseek2Shape): RandomModel {
  const { vocabSize, hiddenSize: D, numHeads: H, numExperts, numShared, expertWidth } = shape;
  return {
    tied: false,
    config: configOf(shape),
    tensors: [
      embedding("model.embed_tokens.weight", vocabSize, D),
      ...layerNames(shape).flatMap((layer, index) => [
        normWeight(`${layer}.input_layernorm.weight`, D),
        ...latentAttention(`${layer}.self_attn`, shape),
        matrix(`${layer}.self_attn.o_proj.weight`, [D, H * shape.valueDim], H * shape.valueDim),
        normWeight(`${layer}.post_attention_layernorm.weight`, D),
        ...(index === 0
          ? gatedMatrices(`${layer}.mlp`, D, shape.mlpWidth)
          : [
              matrix(`${layer}.mlp.gate.weight`, [numExperts, D], D),
              ...Array.from({ length: numExperts }, (_, expert) =>
                gatedMatrices(`${layer}.mlp.experts.${expert}`, D, expertWidth),
              ).flat(),
              ...gatedMatrices(`${layer}.mlp.shared_experts`, D, numShared * expertWidth),
            ]),
      ]),
      normWeight("model.norm.weight", D),
      matrix("lm_head.weight", [vocabSize, D], D),
    ],
  };
}

function latentAttention(name: string, shape: Deepseek2Shape) {
  const { hiddenSize: D, numHeads: H, nopeDim, ropeDim, valueDim, latentRank: R } = shape;
  return [
    matrix(`${name}.q_proj.weight`, [H * (nopeDim + ropeDim), D], D),
    matrix(`${name}.kv_a_proj_with_mqa.weight`, [R + ropeDim, D], D),
    normWeight(`${name}.kv_a_layernorm.weight`, R),
    matrix(`${name}.kv_b_proj.weight`, [H * (nopeDim + valueDim), R], R),
  ];
}

function configOf(shape: Deepseek2Shape): Record<string, unknown> {
  return {
    architectures: ["DeepseekV2ForCausalLM"],
    model_type: "deepseek_v2",
    num_hidden_layers: shape.numLayers,
    hidden_size: shape.hiddenSize,
    num_attention_heads: shape.numHeads,
    num_key_value_heads: shape.numHeads,
    q_lora_rank: null,
    kv_lora_rank: shape.latentRank,
    qk_nope_head_dim: shape.nopeDim,
    qk_rope_head_dim: shape.ropeDim,
    v_head_dim: shape.valueDim,
    intermediate_size: shape.mlpWidth,
    moe_intermediate_size: shape.expertWidth,
    n_routed_experts: shape.numExperts,
    n_shared_experts: shape.numShared,
    num_experts_per_tok: shape.topK,
    first_k_dense_replace: 1,
    moe_layer_freq: 1,
    n_group: 1,
    topk_group: 1,
    topk_method: "greedy",
    scoring_func: "softmax",
    norm_topk_prob: false,
    routed_scaling_factor: 1,
    max_position_embeddings: shape.maxPositions,
    rope_theta: deepseek2RopeTheta,
    hidden_act: "silu",
    rms_norm_eps: normEps,
    attention_bias: false,
  };
}
