/**
 * Families with layer norms: `command-r`, `cohere2`, `starcoder2`, `stablelm` and `gpt2`.
 *
 * Source: conversion of llama.cpp (`CommandR2Model`, `Cohere2Model`, `StarCoder2Model`, `StableLMModel`, `GPT2Model`).
 */
import type { Architecture, Origin } from "./architecture.js";
import {
  attentionModules,
  denseMlpFields,
  llamaModules,
  normModules,
  numericPattern,
  outerModules,
  transformerFields,
  transformerIrrelevant,
  windowedLayers,
} from "./transformerFields.js";

const { rms_norm_eps: _rms, ...withoutEps } = transformerFields;
const epsilon: Origin = { key: "attention.layer_norm_epsilon" };
const hasBiases: Origin = { keys: [], of: ({ has }) => has("blk.0.attn_q.bias") };

const { post_attention_layernorm: _behind, ...oneNorm } = llamaModules;
const cohereFields: Readonly<Record<string, Origin>> = {
  ...{ ...withoutEps, ...denseMlpFields, layer_norm_eps: epsilon, attention_bias: hasBiases },
  logit_scale: { key: "logit_scale" },
};

const cohere: Architecture = {
  ...{ name: "command-r", model: "CohereForCausalLM", modelType: "cohere", fields: cohereFields },
  ...{ irrelevant: transformerIrrelevant, modules: oneNorm },
};

const cohere2: Architecture = {
  ...{ ...cohere, name: "cohere2", model: "Cohere2ForCausalLM", modelType: "cohere2" },
  fields: {
    ...cohereFields,
    sliding_window: { key: "attention.sliding_window" },
    sliding_window_pattern: numericPattern,
    layer_types: windowedLayers,
  },
};

const plainModules = { "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down" };

const starcoder2: Architecture = {
  ...{ name: "starcoder2", model: "Starcoder2ForCausalLM", modelType: "starcoder2" },
  fields: {
    ...{ ...withoutEps, ...denseMlpFields, norm_epsilon: epsilon, use_bias: hasBiases },
    hidden_act: { always: "gelu_pytorch_tanh" },
    sliding_window: { always: 4096 }, // of all published models
  },
  irrelevant: [...transformerIrrelevant, "attention.sliding_window"],
  modules: { ...outerModules, ...normModules, ...attentionModules, ...plainModules },
};

const stablelm: Architecture = {
  ...{ name: "stablelm", model: "StableLmForCausalLM", modelType: "stablelm" },
  fields: {
    ...{ ...withoutEps, ...denseMlpFields, layer_norm_eps: epsilon, use_qkv_bias: hasBiases },
    use_parallel_residual: { keys: [], of: ({ has }) => !has("blk.0.ffn_norm.weight") },
  },
  irrelevant: [...transformerIrrelevant, "use_parallel_residual"], // true also in files of models that are not
  modules: llamaModules,
};

const gpt2: Architecture = {
  ...{ name: "gpt2", model: "GPT2LMHeadModel", modelType: "gpt2" },
  fields: {
    vocab_size: transformerFields["vocab_size"]!,
    n_embd: { key: "embedding_length" },
    hidden_size: { none: "n_embd has it" },
    n_layer: { key: "block_count" },
    num_hidden_layers: { none: "n_layer has it" },
    n_head: { key: "attention.head_count" },
    num_attention_heads: { none: "n_head has it" },
    n_inner: { key: "feed_forward_length" },
    n_positions: { key: "context_length" },
    max_position_embeddings: { none: "n_positions has it" },
    n_ctx: { none: "n_positions has it" },
    activation_function: { always: "gelu_new" },
    layer_norm_epsilon: epsilon,
    scale_attn_weights: { always: true },
    scale_attn_by_inverse_layer_idx: { always: false },
    tie_word_embeddings: transformerFields["tie_word_embeddings"]!,
  },
  irrelevant: [],
  modules: {
    "transformer.wte": "token_embd",
    "transformer.wpe": "position_embd",
    "transformer.ln_f": "output_norm",
    lm_head: "output",
    ...{ ln_1: "attn_norm", ln_2: "ffn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output" },
    ...plainModules,
  },
};

export const layerNormed: readonly Architecture[] = [cohere, cohere2, starcoder2, stablelm, gpt2];
