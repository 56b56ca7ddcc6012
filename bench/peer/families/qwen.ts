import { qwenModel, qwenRopeTheta, type QwenShape } from "../../support/families/qwen.js";
import { layerNames, normEps } from "../../support/families/tensors.js";
import {
  attentionBiases,
  attentionNames,
  finder,
  type GgufModel,
  mlpNames,
  renamed,
  same,
  transformerMetadata,
} from "./sources.js";

export function qwenGguf(shape: QwenShape): GgufModel {
  const find = finder(qwenModel(shape).tensors);
  const isQwen3 = shape.family === "qwen3";
  const layers = layerNames(shape).flatMap((layer, index) => {
    const block = `blk.${index}`;
    return [
      ...renamed(find, [layer, block], {
        attn_norm: "input_layernorm",
        ...attentionNames,
        ...(isQwen3 && { attn_q_norm: "self_attn.q_norm", attn_k_norm: "self_attn.k_norm" }),
        ffn_norm: "post_attention_layernorm",
        ...mlpNames,
      }),
      ...(isQwen3 ? [] : attentionBiases(find, layer, block)),
    ];
  });
  return {
    architecture: shape.family,
    metadata: transformerMetadata(shape, { normEps, theta: qwenRopeTheta }),
    tensors: [
      same("token_embd.weight", find("model.embed_tokens.weight")),
      same("output_norm.weight", find("model.norm.weight")),
      ...layers,
    ],
  };
}
