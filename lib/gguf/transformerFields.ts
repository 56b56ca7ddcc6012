/**
 * Where Llama's relatives have the fields of their config.json, and the names of their tensors: what the architectures' tables have in
 * common.
 *
 * Source: conversion of llama.cpp (`TextModel.set_gguf_parameters`), and gguf-py's constants.py.
 */
import { type GgufContents, type Origin, uniform } from "./architecture.js";
import { ropeScaling, ropeScalingKeys } from "./ropeScaling.js";

/** A key that may be missing: then the field is left out, or has a value of the architecture. */
export const optional = (key: string, absent: unknown = undefined): Origin => ({
  keys: [key],
  of: ({ own }) => uniform(own(key)) ?? absent,
});

export const headDim = ({ own, metadata, architecture }: GgufContents): unknown => {
  const [width, heads] = [own("embedding_length"), uniform(own("attention.head_count"))];
  const keys = own("attention.key_length") ?? Number(width) / Number(heads);
  const values = own("attention.value_length") ?? keys;
  if (values !== keys) metadata.fail(`${architecture}.attention.value_length`, `${keys}, the width of a key`);
  return keys;
};

/** The share of a head that is rotated. */
const rotaryShare = (contents: GgufContents): unknown => {
  const width = headDim(contents);
  return Number(contents.own("rope.dimension_count") ?? width) / Number(width);
};

const vocabSize: Origin = {
  keys: ["vocab_size"],
  of: ({ tensors }) => tensors.get("token_embd.weight")?.shape[0],
};

/** What `readTransformerConfig` of lib/models/transformer.ts reads. */
export const transformerFields: Readonly<Record<string, Origin>> = {
  vocab_size: vocabSize, // that of the tensor: the key may be missing
  hidden_size: { key: "embedding_length" },
  num_hidden_layers: { key: "block_count" },
  num_attention_heads: {
    keys: ["attention.head_count"],
    of: ({ own }) => uniform(own("attention.head_count")),
  },
  num_key_value_heads: {
    keys: ["attention.head_count_kv"],
    of: ({ own }) => uniform(own("attention.head_count_kv") ?? own("attention.head_count")),
  },
  head_dim: { keys: ["attention.key_length", "attention.value_length"], of: headDim },
  rms_norm_eps: { key: "attention.layer_norm_rms_epsilon" },
  tie_word_embeddings: { keys: [], of: ({ has }) => !has("output.weight") },
  rope_theta: optional("rope.freq_base", 10_000),
  partial_rotary_factor: { keys: ["rope.dimension_count"], of: rotaryShare },
  max_position_embeddings: { key: "context_length" },
  rope_scaling: { keys: ropeScalingKeys, prefix: "rope.scaling", of: ropeScaling },
  original_max_position_embeddings: { none: "rope_scaling has it" },
  rope_parameters: { none: "rope_scaling has it" },
};

export const windowPattern = "attention.sliding_window_pattern";

/** `layer_types`: for each layer whether it has a window; left out where that is a number, or nothing. */
export const windowedLayers: Origin = {
  keys: [windowPattern],
  of: ({ own }) => {
    const layers = own(windowPattern);
    const typeOf = (isWindowed: unknown) => (isWindowed === 0 ? "full_attention" : "sliding_attention");
    return Array.isArray(layers) ? layers.map(typeOf) : undefined;
  },
};

/** `sliding_window_pattern`, where it is a number. */
export const numericPattern: Origin = {
  keys: [windowPattern],
  of: ({ own }) => (Array.isArray(own(windowPattern)) ? undefined : own(windowPattern)),
};

/** Of families whose checkpoints may have biases: the file has them or not. */
export const biasFields: Readonly<Record<string, Origin>> = {
  attention_bias: { keys: [], of: ({ has }) => has("blk.0.attn_q.bias") },
  mlp_bias: { keys: [], of: ({ has }) => has("blk.0.ffn_gate.bias") },
};

export const denseMlpFields: Readonly<Record<string, Origin>> = {
  intermediate_size: { keys: ["feed_forward_length"], of: ({ own }) => uniform(own("feed_forward_length")) },
  hidden_act: { always: "silu" },
};

/** Keys of Llama's relatives that say nothing more. */
export const transformerIrrelevant: readonly string[] = ["rope.scaling.finetuned"];

export const outerModules = {
  "model.embed_tokens": "token_embd",
  "model.norm": "output_norm",
  lm_head: "output",
};

export const attentionModules = {
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
};

export const normModules = { input_layernorm: "attn_norm", post_attention_layernorm: "ffn_norm" };

export const headNormModules = { "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm" };

export const denseMlpModules = {
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
};

export const llamaModules = { ...outerModules, ...normModules, ...attentionModules, ...denseMlpModules };

/** Experts by the names of their projections in a checkpoint. */
export function expertModules(module: string, [gate, up, down] = ["gate_proj", "up_proj", "down_proj"]) {
  const stacked = (name: string) => ({ name, stacked: true }) as const;
  return {
    [`${module}.{expert}.${gate}`]: stacked("ffn_gate_exps"),
    [`${module}.{expert}.${up}`]: stacked("ffn_up_exps"),
    [`${module}.{expert}.${down}`]: stacked("ffn_down_exps"),
  };
}
