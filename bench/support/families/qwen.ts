import {
  attentionMatrices,
  bias,
  embedding,
  gatedMatrices,
  layerNames,
  normWeight,
  type RandomModel,
  transformerConfig,
  type TransformerShape,
} from "./tensors.js";

/** Qwen3 has norms of queries and keys, Qwen2 biases of q, k and v. */
export interface QwenShape extends TransformerShape {
  readonly family: "qwen2" | "qwen3";
}

export const qwenRopeTheta = 1e6;

export function qwenModel(shape: QwenShape): RandomModel {
  const { family, vocabSize, hiddenSize: D, numHeads, numKvHeads, headDim, mlpWidth } = shape;
  const isQwen3 = family === "qwen3";
  return {
    tied: true,
    config: {
      architectures: [isQwen3 ? "Qwen3ForCausalLM" : "Qwen2ForCausalLM"],
      model_type: family,
      ...transformerConfig(shape),
      hidden_act: "silu",
      rope_theta: qwenRopeTheta,
      ...(isQwen3 ? { attention_bias: false } : { use_sliding_window: false }),
    },
    tensors: [
      embedding("model.embed_tokens.weight", vocabSize, D),
      ...layerNames(shape).flatMap((layer) => [
        normWeight(`${layer}.input_layernorm.weight`, D),
        ...attentionMatrices(layer, shape),
        ...(isQwen3
          ? [
              normWeight(`${layer}.self_attn.q_norm.weight`, headDim),
              normWeight(`${layer}.self_attn.k_norm.weight`, headDim),
            ]
          : [
              bias(`${layer}.self_attn.q_proj.bias`, numHeads * headDim),
              bias(`${layer}.self_attn.k_proj.bias`, numKvHeads * headDim),
              bias(`${layer}.self_attn.v_proj.bias`, numKvHeads * headDim),
            ]),
        normWeight(`${layer}.post_attention_layernorm.weight`, D),
        ...gatedMatrices(`${layer}.mlp`, D, mlpWidth),
      ]),
      normWeight("model.norm.weight", D),
    ],
  };
}
