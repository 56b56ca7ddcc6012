/**
 * `mamba2`. The file has -exp(A_log) for A, a second axis of one for what there is of each head, and taps without the axis between.
 *
 * Source: conversion of llama.cpp (`Mamba2Model`).
 */
import type { Architecture, Origin } from "./architecture.js";
import { transformerFields } from "./transformerFields.js";

const [state, heads, inner] = ["ssm.state_size", "ssm.time_step_rank", "ssm.inner_size"];
const quotient = (keys: readonly [string, string]): Origin => ({
  keys,
  of: ({ own }) => Number(own(keys[0])) / Number(own(keys[1])),
});
const withOne = (shape: readonly number[]) => [...shape, 1];

export const mamba2: Architecture = {
  ...{ name: "mamba2", model: "Mamba2ForCausalLM", modelType: "mamba2" },
  fields: {
    vocab_size: transformerFields["vocab_size"]!,
    hidden_size: { key: "embedding_length" },
    num_hidden_layers: { key: "block_count" },
    num_heads: { key: heads },
    head_dim: quotient([inner, heads]),
    state_size: { key: state },
    n_groups: { key: "ssm.group_count" },
    expand: quotient([inner, "embedding_length"]),
    conv_kernel: { key: "ssm.conv_kernel" },
    use_conv_bias: { keys: [], of: ({ has }) => has("blk.0.ssm_conv1d.bias") },
    use_bias: { keys: [], of: ({ has }) => has("blk.0.ssm_in.bias") },
    hidden_act: { always: "silu" },
    layer_norm_epsilon: { key: "attention.layer_norm_rms_epsilon" },
    time_step_limit: { none: "no published model has one" },
    tie_word_embeddings: { keys: [], of: ({ has }) => !has("output.weight") },
  },
  irrelevant: ["context_length", "feed_forward_length", "attention.head_count"],
  modules: {
    "backbone.embeddings": "token_embd",
    "backbone.norm_f": "output_norm",
    lm_head: "output",
    norm: "attn_norm",
    "mixer.in_proj": "ssm_in",
    "mixer.conv1d": {
      name: "ssm_conv1d",
      fileShape: (shape) => (shape.length === 3 ? [shape[0]!, shape[2]!] : shape),
    },
    "mixer.A_log": { name: "ssm_a", suffix: "", fileShape: withOne, mapped: true },
    "mixer.D": { name: "ssm_d", suffix: "", fileShape: withOne },
    "mixer.dt_bias": { name: "ssm_dt", suffix: ".bias" },
    "mixer.norm": {
      name: "ssm_norm",
      fileShape: ([size], { own }) => [
        Number(own("ssm.group_count")),
        size! / Number(own("ssm.group_count")),
      ],
    },
    "mixer.out_proj": "ssm_out",
  },
};
