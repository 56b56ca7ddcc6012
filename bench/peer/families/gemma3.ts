import { gemma3Model, gemma3Rope, type Gemma3Shape } from "../../support/families/gemma3.js";
import { layerNames, normEps } from "../../support/families/tensors.js";
import {
  attentionNames,
  f32,
  finder,
  type GgufModel,
  type GgufSource,
  mlpNames,
  renamed,
  same,
  transformerMetadata,
  u32,
} from "./sources.js";

/** Which layers have a window the peer knows by itself. */
export function gemma3Gguf(shape: Gemma3Shape): GgufModel {
  const find = finder(gemma3Model(shape).tensors);
  const layers = layerNames(shape).flatMap((layer, index) =>
    renamed(find, [layer, `blk.${index}`], {
      attn_norm: "input_layernorm",
      ...attentionNames,
      attn_q_norm: "self_attn.q_norm",
      attn_k_norm: "self_attn.k_norm",
      post_attention_norm: "post_attention_layernorm",
      ffn_norm: "pre_feedforward_layernorm",
      ...mlpNames,
      post_ffw_norm: "post_feedforward_layernorm",
    }),
  );
  return {
    architecture: "gemma3",
    metadata: {
      ...transformerMetadata(shape, { normEps, theta: gemma3Rope.theta }),
      "rope.freq_base_swa": f32(gemma3Rope.windowedTheta),
      "attention.sliding_window": u32(shape.window),
    },
    tensors: [
      same("token_embd.weight", find("model.embed_tokens.weight")),
      ...[same("output_norm.weight", find("model.norm.weight")), ...layers].map(plusOne),
    ],
  };
}

/** The peer multiplies by a norm's weight as it is, Gemma by 1 + w. */
function plusOne(source: GgufSource): GgufSource {
  return source.name.endsWith("norm.weight") ? { ...source, map: (weight) => 1 + weight } : source;
}
