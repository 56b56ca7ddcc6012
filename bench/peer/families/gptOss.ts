import { gptOssModel, gptOssNormEps, gptOssRope, type GptOssShape } from "../../support/families/gptOss.js";
import { layerNames } from "../../support/families/tensors.js";
import {
  attentionBiases,
  attentionNames,
  f32,
  type Find,
  finder,
  type GgufModel,
  type GgufSource,
  renamed,
  same,
  transformerMetadata,
  u32,
} from "./sources.js";

/** That every second layer has a window the peer knows by itself. */
export function gptOssGguf(shape: GptOssShape): GgufModel {
  const find = finder(gptOssModel(shape).tensors);
  const layers = layerNames(shape).flatMap((layer, index) => {
    const block = `blk.${index}`;
    return [
      ...renamed(find, [layer, block], {
        attn_norm: "input_layernorm",
        ...attentionNames,
        post_attention_norm: "post_attention_layernorm",
      }),
      ...attentionBiases(find, layer, block),
      same(`${block}.attn_output.bias`, find(`${layer}.self_attn.o_proj.bias`)),
      same(`${block}.attn_sinks.weight`, find(`${layer}.self_attn.sinks`)),
      ...experts(find, [`${layer}.mlp`, block], shape),
    ];
  });
  return {
    architecture: "gpt-oss",
    metadata: {
      ...transformerMetadata(shape, { normEps: gptOssNormEps, theta: gptOssRope.theta }),
      "rope.dimension_count": u32(shape.headDim),
      "rope.scaling.type": { type: "string", value: "yarn" },
      "rope.scaling.factor": f32(gptOssRope.factor),
      "rope.scaling.original_context_length": u32(gptOssRope.original),
      "rope.scaling.yarn_beta_fast": f32(gptOssRope.betaFast),
      "rope.scaling.yarn_beta_slow": f32(gptOssRope.betaSlow),
      "attention.sliding_window": u32(shape.window),
      expert_feed_forward_length: u32(shape.mlpWidth),
      expert_count: u32(shape.numExperts),
      expert_used_count: u32(shape.topK),
    },
    tensors: [
      same("token_embd.weight", find("model.embed_tokens.weight")),
      same("output_norm.weight", find("model.norm.weight")),
      same("output.weight", find("lm_head.weight")),
      ...layers,
    ],
  };
}

/** The checkpoint has [E, in, out] with gate and up in turns; the file [E, out, in], each by itself. */
function experts(
  find: Find,
  [mlp, block]: readonly [string, string],
  { hiddenSize: D, mlpWidth: F, numExperts: E }: GptOssShape,
): GgufSource[] {
  const gateUp = find(`${mlp}.experts.gate_up_proj`);
  const gateUpBias = find(`${mlp}.experts.gate_up_proj_bias`);
  const half = (name: string, side: 0 | 1): GgufSource[] => [
    {
      ...{ name: `${block}.ffn_${name}_exps.weight`, shape: [E, F, D], dtype: "f16", from: [gateUp] },
      order: (index) => {
        const [row, d] = [Math.floor(index / D), index % D];
        const [expert, f] = [Math.floor(row / F), row % F];
        return (expert * D + d) * 2 * F + 2 * f + side;
      },
    },
    {
      ...{ name: `${block}.ffn_${name}_exps.bias`, shape: [E, F], dtype: "f32", from: [gateUpBias] },
      order: (index) => 2 * index + side,
    },
  ];
  return [
    f32Of(`${block}.ffn_gate_inp.weight`, [E, D], find, `${mlp}.router.weight`),
    same(`${block}.ffn_gate_inp.bias`, find(`${mlp}.router.bias`)),
    ...half("gate", 0),
    ...half("up", 1),
    {
      ...{ name: `${block}.ffn_down_exps.weight`, shape: [E, D, F], dtype: "f16" },
      from: [find(`${mlp}.experts.down_proj`)],
      order: (index) => {
        const [row, f] = [Math.floor(index / F), index % F];
        const [expert, d] = [Math.floor(row / D), row % D];
        return (expert * F + f) * D + d;
      },
    },
    f32Of(`${block}.ffn_down_exps.bias`, [E, D], find, `${mlp}.experts.down_proj_bias`),
  ];
}

/** Routers and biases of experts are f32 in the file. */
function f32Of(name: string, shape: readonly number[], find: Find, from: string): GgufSource {
  return { name, shape, dtype: "f32", from: [find(from)] };
}
