import type { RandomTensor } from "../randomValues.js";
import {
  attentionMatrices,
  embedding,
  gatedMatrices,
  layerNames,
  type RandomModel,
  transformerConfig,
  type TransformerShape,
} from "./tensors.js";

/** Every sixth layer sees all keys, the others a window. */
export interface Gemma3Shape extends TransformerShape {
  readonly family: "gemma3";
  readonly window: number;
}

export const gemma3Rope = { theta: 1e6, windowedTheta: 1e4 };

export function gemma3Model(shape: Gemma3Shape): RandomModel {
  const { vocabSize, hiddenSize: D, headDim, mlpWidth } = shape;
  return {
    tied: true,
    config: {
      architectures: ["Gemma3ForCausalLM"],
      model_type: "gemma3_text",
      ...transformerConfig(shape),
      query_pre_attn_scalar: headDim,
      sliding_window: shape.window,
      sliding_window_pattern: 6,
      rope_theta: gemma3Rope.theta,
      rope_local_base_freq: gemma3Rope.windowedTheta,
      hidden_activation: "gelu_pytorch_tanh",
    },
    tensors: [
      embedding("model.embed_tokens.weight", vocabSize, D),
      ...layerNames(shape).flatMap((layer) => [
        gemmaNorm(`${layer}.input_layernorm.weight`, D),
        ...attentionMatrices(layer, shape),
        gemmaNorm(`${layer}.self_attn.q_norm.weight`, headDim),
        gemmaNorm(`${layer}.self_attn.k_norm.weight`, headDim),
        gemmaNorm(`${layer}.post_attention_layernorm.weight`, D),
        gemmaNorm(`${layer}.pre_feedforward_layernorm.weight`, D),
        ...gatedMatrices(`${layer}.mlp`, D, mlpWidth),
        gemmaNorm(`${layer}.post_feedforward_layernorm.weight`, D),
      ]),
      gemmaNorm("model.norm.weight", D),
    ],
  };
}

/** The factor is 1 + w. */
function gemmaNorm(name: string, size: number): RandomTensor {
  return { name, shape: [size], mean: 0, std: 0.1 };
}
