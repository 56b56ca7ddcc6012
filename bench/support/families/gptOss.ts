import {
  attentionMatrices,
  bias,
  embedding,
  layerNames,
  matrix,
  normWeight,
  type RandomModel,
  transformerConfig,
  type TransformerShape,
} from "./tensors.js";

/** Layers have a window and all keys in turns; mlpWidth is that of an expert. */
export interface GptOssShape extends TransformerShape {
  readonly family: "gptOss";
  readonly window: number;
  readonly numExperts: number;
  readonly topK: number;
}

export const gptOssRope = { theta: 150_000, factor: 32, original: 4096, betaFast: 32, betaSlow: 1 };
export const gptOssNormEps = 1e-5;

export function gptOssModel(shape: GptOssShape): RandomModel {
  const { vocabSize, numLayers, hiddenSize: D, numHeads, numKvHeads, headDim } = shape;
  const { numExperts: E, mlpWidth: F } = shape;
  return {
    tied: false,
    config: {
      architectures: ["GptOssForCausalLM"],
      model_type: "gpt_oss",
      ...transformerConfig(shape),
      rms_norm_eps: gptOssNormEps,
      num_local_experts: E,
      num_experts_per_tok: shape.topK,
      sliding_window: shape.window,
      layer_types: Array.from({ length: numLayers }, (_, layer) =>
        layer % 2 === 0 ? "sliding_attention" : "full_attention",
      ),
      initial_context_length: gptOssRope.original,
      rope_theta: gptOssRope.theta,
      rope_scaling: {
        rope_type: "yarn",
        factor: gptOssRope.factor,
        beta_fast: gptOssRope.betaFast,
        beta_slow: gptOssRope.betaSlow,
        truncate: true, // as the peer always does
        original_max_position_embeddings: gptOssRope.original,
      },
      hidden_act: "silu",
      swiglu_limit: 7,
      attention_bias: true,
    },
    tensors: [
      embedding("model.embed_tokens.weight", vocabSize, D),
      ...layerNames(shape).flatMap((layer) => [
        normWeight(`${layer}.input_layernorm.weight`, D),
        ...attentionMatrices(layer, shape),
        bias(`${layer}.self_attn.q_proj.bias`, numHeads * headDim),
        bias(`${layer}.self_attn.k_proj.bias`, numKvHeads * headDim),
        bias(`${layer}.self_attn.v_proj.bias`, numKvHeads * headDim),
        bias(`${layer}.self_attn.o_proj.bias`, D),
        { name: `${layer}.self_attn.sinks`, shape: [numHeads], mean: 0, std: 1 },
        normWeight(`${layer}.post_attention_layernorm.weight`, D),
        matrix(`${layer}.mlp.router.weight`, [E, D], D),
        bias(`${layer}.mlp.router.bias`, E),
        matrix(`${layer}.mlp.experts.gate_up_proj`, [E, D, 2 * F], D),
        bias(`${layer}.mlp.experts.gate_up_proj_bias`, E, 2 * F),
        matrix(`${layer}.mlp.experts.down_proj`, [E, F, D], F),
        bias(`${layer}.mlp.experts.down_proj_bias`, E, D),
      ]),
      normWeight("model.norm.weight", D),
      matrix("lm_head.weight", [vocabSize, D], D),
    ],
  };
}
