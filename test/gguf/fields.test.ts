// Contract: for each architecture, every field of config.json that its family reads has a place that says where a GGUF file gives it
// from: a key, keys and tensors together, that it is always so, or why it is left out. The list is this table; a field that a family
// learns to read must be put into it. And every module of a family's weights has a name in the file.
import { describe, expect, test } from "vitest";
import type { Origin } from "../../lib/gguf/architecture.js";
import { architectures } from "../../lib/gguf/architectures.js";
import { foreignKeys } from "../../lib/gguf/config.js";
import { foreignFields } from "../../lib/models/foreignFields.js";
import { supportedArchitectures } from "../../lib/models/registry.js";
import { families } from "../support/familyTables.js";

function shown(origin: Origin): string {
  if ("key" in origin) return origin.key;
  if ("keys" in origin)
    return origin.keys.length === 0 ? "tensors" : (origin.prefix ?? origin.keys.join(", "));
  return "always" in origin ? `always ${JSON.stringify(origin.always)}` : "-";
}

const transformer = {
  vocab_size: "vocab_size",
  hidden_size: "embedding_length",
  num_hidden_layers: "block_count",
  num_attention_heads: "attention.head_count",
  num_key_value_heads: "attention.head_count_kv",
  head_dim: "attention.key_length, attention.value_length",
  rms_norm_eps: "attention.layer_norm_rms_epsilon",
  tie_word_embeddings: "tensors",
  rope_theta: "rope.freq_base",
  partial_rotary_factor: "rope.dimension_count",
  max_position_embeddings: "context_length",
  rope_scaling: "rope.scaling",
  original_max_position_embeddings: "-",
  rope_parameters: "-",
  intermediate_size: "feed_forward_length",
  hidden_act: 'always "silu"',
};
const qwenWindows = {
  ...{ use_sliding_window: "always false", sliding_window: "-", max_window_layers: "-", layer_types: "-" },
};

const biases = { attention_bias: "tensors", mlp_bias: "tensors" };
const { hidden_act: _silu, ...gemma } = {
  ...{ ...transformer, hidden_activation: 'always "gelu_pytorch_tanh"', attention_bias: "always false" },
  ...{ query_pre_attn_scalar: "tensors", final_logit_softcapping: "final_logit_softcapping" },
  sliding_window: "attention.sliding_window",
};

const { hidden_act, intermediate_size, ...withoutMlp } = transformer;
const mixture = {
  ...{ hidden_act, intermediate_size, first_k_dense_replace: "leading_dense_block_count" },
  ...{ moe_intermediate_size: "expert_feed_forward_length", n_routed_experts: "expert_count" },
  ...{ num_experts_per_tok: "expert_used_count", n_shared_experts: "expert_shared_count" },
  ...{ routed_scaling_factor: "expert_weights_scale", norm_topk_prob: "expert_weights_norm" },
  ...{ n_group: "expert_group_count", topk_group: "expert_group_used_count" },
};
const { head_dim: _headDim, ...withoutHeadDim } = withoutMlp;
const deepseek = {
  ...{ ...withoutHeadDim, ...mixture, partial_rotary_factor: "-" },
  num_key_value_heads: "attention.head_count, attention.head_count_kv",
  ...{ q_lora_rank: "attention.q_lora_rank", kv_lora_rank: "attention.kv_lora_rank" },
  qk_rope_head_dim: "rope.dimension_count",
  qk_nope_head_dim: "attention.key_length_mla, attention.key_length, rope.dimension_count",
  v_head_dim: "attention.value_length_mla, attention.value_length",
};
const { rms_norm_eps: _rms, ...withoutEps } = transformer;
const epsilon = "attention.layer_norm_epsilon";
const pattern = "attention.sliding_window_pattern";
const cohere = {
  ...{ ...withoutEps, layer_norm_eps: epsilon, attention_bias: "tensors", logit_scale: "logit_scale" },
};
const { max_window_layers: _layers, ...noWindows } = qwenWindows;
const prediction = { num_nextn_predict_layers: "nextn_predict_layers" };

const expected: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  LlamaForCausalLM: { ...transformer, attention_bias: "tensors", mlp_bias: "tensors", layer_types: "-" },
  MixtralForCausalLM: {
    ...{ ...transformer, num_local_experts: "expert_count", num_experts: "-" },
    ...{ num_experts_per_tok: "expert_used_count", sliding_window: "-", layer_types: "-" },
  },
  GraniteForCausalLM: {
    ...{ ...transformer, ...biases, attention_multiplier: "attention.scale" },
    ...{ embedding_multiplier: "embedding_scale", residual_multiplier: "residual_scale" },
    logits_scaling: "logit_scale",
  },
  SmolLM3ForCausalLM: {
    ...{ ...transformer, ...biases, no_rope_layer_interval: "always 4", no_rope_layers: "-" },
    ...{ use_sliding_window: "always false", sliding_window: "-", layer_types: "-" },
  },
  Olmo2ForCausalLM: { ...transformer, attention_bias: "tensors" },
  CohereForCausalLM: cohere,
  Cohere2ForCausalLM: {
    ...{ ...cohere, sliding_window: "attention.sliding_window" },
    ...{ sliding_window_pattern: pattern, layer_types: pattern },
  },
  Starcoder2ForCausalLM: {
    ...{ ...withoutEps, hidden_act: 'always "gelu_pytorch_tanh"', norm_epsilon: epsilon },
    ...{ use_bias: "tensors", sliding_window: "always 4096" },
  },
  StableLmForCausalLM: {
    ...{ ...withoutEps, layer_norm_eps: epsilon, use_qkv_bias: "tensors", use_parallel_residual: "tensors" },
  },
  Exaone4ForCausalLM: {
    ...{ ...transformer, sliding_window: "attention.sliding_window" },
    ...{ sliding_window_pattern: pattern, layer_types: pattern },
  },
  Qwen2MoeForCausalLM: {
    ...{ ...transformer, ...noWindows, qkv_bias: "tensors" },
    ...{ num_experts: "expert_count", num_local_experts: "-", num_experts_per_tok: "expert_used_count" },
    ...{ moe_intermediate_size: "expert_feed_forward_length", norm_topk_prob: "expert_weights_norm" },
    ...{ decoder_sparse_step: "always 1", mlp_only_layers: "always []" },
    shared_expert_intermediate_size: "expert_shared_feed_forward_length",
  },
  OlmoeForCausalLM: {
    ...{ ...transformer, attention_bias: "tensors", clip_qkv: "attention.clamp_kqv" },
    ...{ num_experts: "expert_count", num_local_experts: "-", num_experts_per_tok: "expert_used_count" },
    norm_topk_prob: "expert_weights_norm",
  },
  GPT2LMHeadModel: {
    ...{ vocab_size: "vocab_size", n_embd: "embedding_length", hidden_size: "-", n_layer: "block_count" },
    ...{ num_hidden_layers: "-", n_head: "attention.head_count", num_attention_heads: "-" },
    ...{ n_inner: "feed_forward_length", n_positions: "context_length", max_position_embeddings: "-" },
    ...{ n_ctx: "-", activation_function: 'always "gelu_new"', layer_norm_epsilon: epsilon },
    ...{ scale_attn_weights: "always true", scale_attn_by_inverse_layer_idx: "always false" },
    tie_word_embeddings: "tensors",
  },
  Olmo3ForCausalLM: {
    ...{ ...transformer, attention_bias: "tensors", sliding_window: "attention.sliding_window" },
    layer_types: "attention.sliding_window_pattern",
  },
  GraniteMoeForCausalLM: {
    ...{ ...transformer, attention_bias: "tensors", attention_multiplier: "attention.scale" },
    ...{ embedding_multiplier: "embedding_scale", residual_multiplier: "residual_scale" },
    ...{ logits_scaling: "logit_scale", num_local_experts: "expert_count", num_experts: "-" },
    num_experts_per_tok: "expert_used_count",
  },
  Glm4ForCausalLM: { ...transformer, attention_bias: "tensors" },
  Phi3ForCausalLM: { ...transformer, sliding_window: "attention.sliding_window" },
  Gemma2ForCausalLM: { ...gemma, attn_logit_softcapping: "attn_logit_softcapping", layer_types: "-" },
  Gemma3ForCausalLM: {
    ...{ ...gemma, attn_logit_softcapping: "-", rope_local_base_freq: "rope.freq_base_swa" },
    sliding_window_pattern: "attention.sliding_window_pattern",
    layer_types: "attention.sliding_window_pattern",
  },
  Glm4MoeForCausalLM: {
    ...{ ...withoutMlp, ...mixture, ...prediction, attention_bias: "tensors", use_qk_norm: "tensors" },
  },
  GptOssForCausalLM: {
    ...{ ...withoutMlp, hidden_act, intermediate_size: "expert_feed_forward_length" },
    ...{ attention_bias: "tensors", swiglu_limit: "always 7", num_local_experts: "expert_count" },
    ...{ num_experts: "-", num_experts_per_tok: "expert_used_count", experts_per_token: "-" },
    ...{ sliding_window: "attention.sliding_window", layer_types: "-" },
  },
  DeepseekV2ForCausalLM: { ...deepseek, topk_method: "expert_group_count" },
  DeepseekV32ForCausalLM: {
    ...{ ...deepseek, ...prediction, rope_interleave: "always true" },
    ...{ index_n_heads: "attention.indexer.head_count", index_head_dim: "attention.indexer.key_length" },
    index_topk: "attention.indexer.top_k",
  },
  DeepseekV3ForCausalLM: { ...deepseek, ...prediction, rope_interleave: "always true" },
  Mamba2ForCausalLM: {
    ...{ vocab_size: "vocab_size", hidden_size: "embedding_length", num_hidden_layers: "block_count" },
    ...{ num_heads: "ssm.time_step_rank", head_dim: "ssm.inner_size, ssm.time_step_rank" },
    ...{ state_size: "ssm.state_size", n_groups: "ssm.group_count", conv_kernel: "ssm.conv_kernel" },
    ...{ expand: "ssm.inner_size, embedding_length", use_conv_bias: "tensors", use_bias: "tensors" },
    ...{ hidden_act, layer_norm_epsilon: "attention.layer_norm_rms_epsilon", time_step_limit: "-" },
    tie_word_embeddings: "tensors",
  },
  Qwen2ForCausalLM: { ...transformer, ...qwenWindows },
  Qwen3ForCausalLM: { ...transformer, ...qwenWindows, attention_bias: "tensors" },
  Qwen3MoeForCausalLM: {
    ...{ ...transformer, ...qwenWindows, attention_bias: "tensors" },
    ...{ num_experts: "expert_count", num_local_experts: "-", num_experts_per_tok: "expert_used_count" },
    ...{ moe_intermediate_size: "expert_feed_forward_length", norm_topk_prob: "always true" },
    ...{ decoder_sparse_step: "always 1", mlp_only_layers: "always []" },
  },
};

test("all architectures are in the table", () => {
  expect(architectures.map(({ model }) => model).sort()).toEqual(Object.keys(expected).sort());
});

test("all families are read, but for those whose files say that they are another one", () => {
  const read = new Set(architectures.map(({ model }) => model));
  const asOthers = ["Gemma3ForConditionalGeneration", "MistralForCausalLM", "MinistralForCausalLM"]; // gemma3, llama, llama
  expect(supportedArchitectures.filter((name) => !read.has(name)).sort()).toEqual(asOthers.sort());
});

describe.each(architectures)("$name ($model)", ({ model, modelType, fields }) => {
  const { table } = families[model]!;

  test("gives every field that the family reads", () => {
    expect(Object.keys(fields).sort()).toEqual([...new Set(table.used)].sort());
    expect(table.modelTypes).toContain(modelType);
  });

  test("gives them from these places", () => {
    const places = Object.entries(fields).map(([field, origin]) => [field, shown(origin)]);
    expect(Object.fromEntries(places)).toEqual(expected[model]);
  });
});

test("keys of other architectures are fields that families refuse or read", () => {
  const used = new Set(Object.values(families).flatMap(({ table }) => table.used));
  const unknown = Object.values(foreignKeys).filter((field) => !(field in foreignFields) && !used.has(field));
  expect(unknown).toEqual([]);
});
