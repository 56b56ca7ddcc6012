/**
 * `gpt-oss` and `glm4moe`, and what mixtures of experts as DeepSeek has them say in their keys (deepseek.ts).
 *
 * Source: conversion of llama.cpp (`GptOssModel`, `Glm4MoeModel`).
 */
import type { ModelWeightRow } from "../weights/modelWeights.js";
import type { Architecture, GgufContents, Origin } from "./architecture.js";
import { ropeScaling, ropeScalingKeys } from "./ropeScaling.js";
import {
  attentionModules,
  denseMlpFields,
  denseMlpModules,
  expertModules,
  headNormModules,
  optional,
  outerModules,
  transformerFields,
  transformerIrrelevant,
} from "./transformerFields.js";

/** Values of `expert_gating_func`. */
export const gating = { softmax: 1, sigmoid: 2 } as const;

/** Layers of the model itself: `block_count` has also those that predict further tokens. */
export const layersWithoutPrediction: Origin = {
  keys: ["block_count", "nextn_predict_layers"],
  prefix: "block_count",
  of: ({ own }) => {
    const [all, predicting] = [own("block_count"), own("nextn_predict_layers") ?? 0];
    return typeof all === "number" && typeof predicting === "number" ? all - predicting : all;
  },
};

/** Of `readDeepseekExperts` of lib/models/deepseekExperts.ts, but for the groups. */
export const sharedExpertFields: Readonly<Record<string, Origin>> = {
  ...denseMlpFields,
  first_k_dense_replace: optional("leading_dense_block_count", 0),
  moe_intermediate_size: { key: "expert_feed_forward_length" },
  n_routed_experts: { key: "expert_count" },
  num_experts_per_tok: { key: "expert_used_count" },
  n_shared_experts: optional("expert_shared_count", 0),
  routed_scaling_factor: optional("expert_weights_scale", 1),
};

/** Of a feed-forward part that is dense in some layers, and has shared experts in the others. */
export const mixedModules = {
  ...denseMlpModules,
  "mlp.gate": "ffn_gate_inp",
  "mlp.gate.e_score_correction_bias": { name: "exp_probs_b", suffix: ".bias" },
  ...expertModules("mlp.experts"),
  "mlp.shared_experts.gate_proj": "ffn_gate_shexp",
  "mlp.shared_experts.up_proj": "ffn_up_shexp",
  "mlp.shared_experts.down_proj": "ffn_down_shexp",
} as const;

const glm4moe: Architecture = {
  ...{ name: "glm4moe", model: "Glm4MoeForCausalLM", modelType: "glm4_moe" },
  fields: {
    ...{ ...transformerFields, ...sharedExpertFields, num_hidden_layers: layersWithoutPrediction },
    num_nextn_predict_layers: optional("nextn_predict_layers", 0),
    n_group: optional("expert_group_count", 1),
    topk_group: optional("expert_group_used_count", 1),
    norm_topk_prob: optional("expert_weights_norm", true),
    attention_bias: { keys: [], of: ({ has }) => has("blk.0.attn_q.bias") },
    use_qk_norm: { keys: [], of: ({ has }) => has("blk.0.attn_q_norm.weight") },
  },
  irrelevant: transformerIrrelevant,
  only: { expert_gating_func: [gating.sigmoid] },
  modules: {
    ...{ ...outerModules, ...attentionModules, ...headNormModules, ...mixedModules },
    input_layernorm: "attn_norm",
    post_attention_layernorm: "post_attention_norm",
  },
};

/** Published models leave the range of yarn as it is computed, and no key says so. */
function gptOssScaling(contents: GgufContents): unknown {
  const scaling = ropeScaling(contents) as { readonly [name: string]: unknown } | undefined;
  const isPublished = scaling?.["factor"] === 32 && scaling["original_max_position_embeddings"] === 4096;
  return isPublished ? { ...scaling, truncate: false } : scaling;
}

/** Gate and up take turns in a checkpoint's tensor; in the file each has its own, turned. */
const apart =
  (suffix: "weight" | "bias") =>
  ({ rowViews: _views, transpose: _transpose, ...row }: ModelWeightRow): ModelWeightRow => {
    const [numbers, ...inputs] = [...row.shapes[0]!].reverse() as [number, ...number[]];
    const shape = [numbers / 2, ...inputs];
    const from = ["gate", "up"].map((name) => `blk.{layer}.ffn_${name}_exps.${suffix}`);
    return { ...row, from, shapes: [shape, shape] };
  };

const gptOss: Architecture = {
  ...{ name: "gpt-oss", model: "GptOssForCausalLM", modelType: "gpt_oss" },
  fields: {
    ...transformerFields,
    rope_scaling: { keys: ropeScalingKeys, prefix: "rope.scaling", of: gptOssScaling },
    intermediate_size: { key: "expert_feed_forward_length" },
    hidden_act: { always: "silu" },
    swiglu_limit: { always: 7 },
    attention_bias: { keys: [], of: ({ has }) => has("blk.0.attn_q.bias") },
    num_local_experts: { key: "expert_count" },
    num_experts: { none: "num_local_experts has it" },
    num_experts_per_tok: { key: "expert_used_count" },
    experts_per_token: { none: "num_experts_per_tok has it" },
    sliding_window: { key: "attention.sliding_window" },
    layer_types: { none: "every second layer has a window" },
  },
  irrelevant: [...transformerIrrelevant, "feed_forward_length"],
  only: { expert_gating_func: [gating.softmax] },
  modules: {
    ...{ ...outerModules, ...attentionModules },
    input_layernorm: "attn_norm",
    post_attention_layernorm: "post_attention_norm",
    "self_attn.sinks": "attn_sinks",
    "mlp.router": "ffn_gate_inp",
    "mlp.experts.down_proj_bias": { name: "ffn_down_exps", stacked: true, suffix: ".bias" },
  },
  rows: {
    expertsGateUp: apart("weight"),
    expertsGateUpBias: apart("bias"),
    expertsDown({ transpose: _transpose, ...row }) {
      return {
        ...row,
        from: ["blk.{layer}.ffn_down_exps.weight"],
        shapes: row.shapes.map((shape) => [...shape].reverse()),
      };
    },
  },
};

export const mixtures: readonly Architecture[] = [glm4moe, gptOss];
