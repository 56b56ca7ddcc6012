import { deepseek2Model, deepseek2RopeTheta, type Deepseek2Shape } from "../../support/families/deepseek2.js";
import { layerNames, normEps } from "../../support/families/tensors.js";
import {
  f32,
  type Find,
  finder,
  type GgufModel,
  type GgufSource,
  mlpNames,
  renamed,
  same,
  u32,
} from "./sources.js";

export function deepseek2Gguf(shape: Deepseek2Shape): GgufModel {
  const find = finder(deepseek2Model(shape).tensors);
  const layers = layerNames(shape).flatMap((layer, index) => {
    const block = `blk.${index}`;
    return [
      ...renamed(find, [layer, block], {
        attn_norm: "input_layernorm",
        attn_q: "self_attn.q_proj",
        attn_kv_a_mqa: "self_attn.kv_a_proj_with_mqa",
        attn_kv_a_norm: "self_attn.kv_a_layernorm",
        attn_output: "self_attn.o_proj",
        ffn_norm: "post_attention_layernorm",
        ...(index === 0 && mlpNames),
      }),
      ...upProjections(find, [layer, block], shape),
      ...(index === 0 ? [] : experts(find, [`${layer}.mlp`, block], shape)),
    ];
  });
  return {
    architecture: "deepseek2",
    metadata: metadataOf(shape),
    tensors: [
      same("token_embd.weight", find("model.embed_tokens.weight")),
      same("output_norm.weight", find("model.norm.weight")),
      same("output.weight", find("lm_head.weight")),
      ...layers,
    ],
  };
}

/** kv_b of the checkpoint is [H, Dn + Dv, R]; the file has the part of the keys as [H, R, Dn] and that of the values as [H, Dv, R]. */
function upProjections(
  find: Find,
  [layer, block]: readonly [string, string],
  { numHeads: H, nopeDim, valueDim, latentRank: R }: Deepseek2Shape,
): GgufSource[] {
  const from = [find(`${layer}.self_attn.kv_b_proj.weight`)];
  const perHead = nopeDim + valueDim;
  return [
    {
      ...{ name: `${block}.attn_k_b.weight`, shape: [H, R, nopeDim], dtype: "f16", from },
      order: (index) => {
        const [row, n] = [Math.floor(index / nopeDim), index % nopeDim];
        const [head, r] = [Math.floor(row / R), row % R];
        return (head * perHead + n) * R + r;
      },
    },
    {
      ...{ name: `${block}.attn_v_b.weight`, shape: [H, valueDim, R], dtype: "f16", from },
      order: (index) => {
        const [row, r] = [Math.floor(index / R), index % R];
        const [head, v] = [Math.floor(row / valueDim), row % valueDim];
        return (head * perHead + nopeDim + v) * R + r;
      },
    },
  ];
}

function experts(
  find: Find,
  [mlp, block]: readonly [string, string],
  { hiddenSize: D, expertWidth: F, numExperts }: Deepseek2Shape,
): GgufSource[] {
  const stacked = (part: "gate" | "up" | "down"): GgufSource => ({
    ...{ name: `${block}.ffn_${part}_exps.weight`, dtype: "f16" },
    shape: part === "down" ? [numExperts, D, F] : [numExperts, F, D],
    from: Array.from({ length: numExperts }, (_, expert) =>
      find(`${mlp}.experts.${expert}.${part}_proj.weight`),
    ),
  });
  const shared = (part: "gate" | "up" | "down"): GgufSource =>
    same(`${block}.ffn_${part}_shexp.weight`, find(`${mlp}.shared_experts.${part}_proj.weight`));
  const parts = ["gate", "up", "down"] as const;
  return [
    {
      ...{ name: `${block}.ffn_gate_inp.weight`, shape: [numExperts, D], dtype: "f32" },
      from: [find(`${mlp}.gate.weight`)],
    },
    ...parts.map(stacked),
    ...parts.map(shared),
  ];
}

/** As the peer wants it of absorbed attention: one key head of R + Dr, whose first R columns are the values. */
function metadataOf(shape: Deepseek2Shape): GgufModel["metadata"] {
  const { nopeDim, ropeDim, valueDim, latentRank } = shape;
  return {
    feed_forward_length: u32(shape.mlpWidth),
    "attention.head_count": u32(shape.numHeads),
    "attention.head_count_kv": u32(1),
    "attention.key_length": u32(latentRank + ropeDim),
    "attention.value_length": u32(latentRank),
    "attention.key_length_mla": u32(nopeDim + ropeDim),
    "attention.value_length_mla": u32(valueDim),
    "attention.kv_lora_rank": u32(latentRank),
    "attention.layer_norm_rms_epsilon": f32(normEps),
    "rope.freq_base": f32(deepseek2RopeTheta),
    "rope.dimension_count": u32(ropeDim),
    leading_dense_block_count: u32(1),
    expert_count: u32(shape.numExperts),
    expert_used_count: u32(shape.topK),
    expert_shared_count: u32(shape.numShared),
    expert_feed_forward_length: u32(shape.expertWidth),
    expert_weights_scale: f32(1),
    expert_weights_norm: { type: "bool", value: false },
    expert_gating_func: u32(1), // softmax
  };
}
