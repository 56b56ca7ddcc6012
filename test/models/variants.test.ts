// Contract: what a config can say beyond the goldens (windows, biases, tied heads, activations, dense layers among sparse
// ones, stored and activation dtypes) gives the logits of a float64 decoder on the same random weights.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Device } from "../../lib/device/device.js";
import type { FloatDType } from "../../lib/device/dtype.js";
import { loadModel } from "../../lib/llm/loadModel.js";
import type { Stream } from "../../lib/device/stream.js";
import { expectBits } from "../support/bits.js";
import { deepseekVariants } from "../support/deepseekVariants.js";
import { gemmaVariants } from "../support/gemmaVariants.js";
import { gptOssVariants } from "../support/gptOssVariants.js";
import { layerNormVariants } from "../support/layerNormVariants.js";
import { windowVariants } from "../support/windowVariants.js";
import { openTestDevice } from "../support/devices.js";
import { compareLogits } from "../support/goldens.js";
import { referenceTransformer } from "../support/referenceTransformer.js";
import { runModel } from "../support/runModel.js";
import { tinyConfig, tinyTensors, writeCheckpoint } from "../support/tinyCheckpoint.js";
import type { Variant } from "../support/variant.js";

/** Norm of the difference over norm of the logits: about ten roundings to the activation dtype. */
const tolerances: Readonly<Record<FloatDType, number>> = { f32: 1e-5, bf16: 4e-2, f16: 5e-3 };

const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 16 };
const moe = { num_experts: 5, num_experts_per_tok: 2, moe_intermediate_size: 12 };
const sparse = {
  ...moe,
  num_hidden_layers: 4,
  decoder_sparse_step: 2,
  mlp_only_layers: [3],
  norm_topk_prob: false,
};
const glm = { n_routed_experts: 8, num_experts_per_tok: 2, moe_intermediate_size: 12, n_shared_experts: 2 };
const qwen2Moe = { ...moe, shared_expert_intermediate_size: 20 };
const olmoe = { num_experts: 6, num_experts_per_tok: 3, intermediate_size: 12 };
const graniteMoe = { num_local_experts: 6, num_experts_per_tok: 3, intermediate_size: 12 };
const isNorm = (name: string): boolean => name.includes("norm");

const alternating = ["sliding_attention", "full_attention"];

const llama3 = {
  ...{ rope_type: "llama3", factor: 8, low_freq_factor: 1, high_freq_factor: 4 },
  original_max_position_embeddings: 16,
};
/** `rope_theta` of a tiny config stands at the top unless it is undefined here. */
const ropeVariants: readonly Variant[] = [
  {
    name: "rope_scaling beside rope_parameters with the theta",
    architecture: "LlamaForCausalLM",
    fields: { rope_theta: undefined, rope_parameters: { rope_theta: 500_000 }, rope_scaling: llama3 },
    rope: { theta: 500_000, scaling: llama3 },
  },
  {
    name: "rope_parameters alone",
    architecture: "Qwen3ForCausalLM",
    fields: {
      rope_theta: undefined,
      rope_parameters: { ...yarn, rope_theta: 1_000_000 },
      rope_scaling: null,
    },
    rope: { theta: 1_000_000, scaling: yarn },
  },
  {
    name: "the same in rope_parameters, rope_scaling and at the top",
    architecture: "LlamaForCausalLM",
    fields: {
      rope_parameters: { ...llama3, rope_theta: 10_000 },
      rope_scaling: { ...llama3, rope_type: undefined, type: "llama3" },
    },
    rope: { theta: 10_000, scaling: llama3 },
  },
  {
    name: "half of each head rotated",
    architecture: "LlamaForCausalLM",
    fields: { partial_rotary_factor: 0.5 },
    rope: { rotaryDim: 8 },
  },
  {
    name: "a quarter of each head rotated, said in rope_parameters, with head norms",
    architecture: "Qwen3ForCausalLM",
    fields: { rope_parameters: { rope_type: "linear", factor: 2, partial_rotary_factor: 0.25 } },
    rope: { rotaryDim: 4, scaling: { rope_type: "linear", factor: 2 } },
  },
];

const longFactors = { short_factor: [1, 1, 1.1, 1.2, 1.3, 1.4], long_factor: [1, 1.5, 2, 4, 6, 8] };

const variants: readonly Variant[] = [
  { name: "Llama", architecture: "LlamaForCausalLM" },
  {
    name: "Llama with biases",
    architecture: "LlamaForCausalLM",
    fields: { attention_bias: true, mlp_bias: true },
  },
  { name: "a tied head", architecture: "LlamaForCausalLM", fields: { tie_word_embeddings: true } },
  { name: "gelu", architecture: "LlamaForCausalLM", fields: { hidden_act: "gelu" } },
  { name: "gelu by tanh", architecture: "LlamaForCausalLM", fields: { hidden_act: "gelu_pytorch_tanh" } },
  { name: "yarn", architecture: "LlamaForCausalLM", fields: { rope_scaling: yarn } },
  { name: "one key head", architecture: "LlamaForCausalLM", fields: { num_key_value_heads: 1 } },
  { name: "Mistral", architecture: "MistralForCausalLM", fields: { sliding_window: 5 }, windowOf: () => 5 },
  { name: "Mistral without a window", architecture: "MistralForCausalLM", fields: { sliding_window: null } },
  {
    name: "a window that no i32 holds",
    architecture: "MistralForCausalLM",
    fields: { sliding_window: 2 ** 40 },
  },
  {
    name: "Qwen3 with windows from layer 1 on",
    architecture: "Qwen3ForCausalLM",
    fields: { use_sliding_window: true, sliding_window: 4, max_window_layers: 1, attention_bias: true },
    windowOf: (layer) => (layer === 0 ? 0 : 4),
  },
  {
    name: "Qwen2 with yarn, a tied head and windows from layer 1 on",
    architecture: "Qwen2ForCausalLM",
    fields: {
      ...{ use_sliding_window: true, sliding_window: 4, max_window_layers: 1, rope_scaling: yarn },
      tie_word_embeddings: true,
    },
    windowOf: (layer) => (layer === 0 ? 0 : 4),
  },
  {
    name: "Qwen2 with layer_types against max_window_layers",
    architecture: "Qwen2ForCausalLM",
    fields: { use_sliding_window: true, sliding_window: 4, max_window_layers: 1, layer_types: alternating },
    windowOf: (layer) => (layer === 0 ? 4 : 0),
  },
  ...ropeVariants,
  {
    name: "Qwen3 with layer_types against max_window_layers",
    architecture: "Qwen3ForCausalLM",
    fields: { use_sliding_window: true, sliding_window: 4, max_window_layers: 1, layer_types: alternating },
    windowOf: (layer) => (layer === 0 ? 4 : 0),
  },
  {
    name: "Mistral with layer_types",
    architecture: "MistralForCausalLM",
    fields: { sliding_window: 5, layer_types: alternating },
    windowOf: (layer) => (layer === 0 ? 5 : 0),
  },
  {
    name: "Qwen3-MoE with layer_types and dense layers",
    architecture: "Qwen3MoeForCausalLM",
    fields: { ...moe, use_sliding_window: true, sliding_window: 3, layer_types: alternating },
    windowOf: (layer) => (layer === 0 ? 3 : 0),
  },
  {
    name: "Qwen3-MoE, not renormalised, two dense layers",
    architecture: "Qwen3MoeForCausalLM",
    fields: sparse,
  },
  {
    name: "GLM-4 without biases, its share of the head by default",
    architecture: "Glm4ForCausalLM",
    fields: { attention_bias: false },
    rope: { rotaryDim: 8 },
  },
  {
    name: "GLM-4 with biases, a tied head and rope_parameters with a quarter of the head",
    architecture: "Glm4ForCausalLM",
    fields: {
      ...{ attention_bias: true, tie_word_embeddings: true, rope_theta: undefined },
      rope_parameters: { rope_type: "default", rope_theta: 500_000, partial_rotary_factor: 0.25 },
    },
    rope: { theta: 500_000, rotaryDim: 4 },
  },
  {
    name: "GLM-4 with gelu and all of the head rotated",
    architecture: "Glm4ForCausalLM",
    fields: { attention_bias: true, partial_rotary_factor: 1, hidden_act: "gelu" },
  },
  { name: "Phi-4", architecture: "Phi3ForCausalLM", fields: { num_key_value_heads: 1 } },
  {
    name: "Phi-3 with a window and as many key heads",
    architecture: "Phi3ForCausalLM",
    fields: { sliding_window: 5, num_key_value_heads: 4 },
    windowOf: () => 5,
  },
  {
    name: "Phi-4-mini: a part of the head, a tied head, longrope",
    architecture: "Phi3ForCausalLM",
    fields: {
      ...{ partial_rotary_factor: 0.75, tie_word_embeddings: true, original_max_position_embeddings: 16 },
      rope_scaling: { type: "longrope", ...longFactors },
    },
    rope: {
      rotaryDim: 12,
      scaling: { rope_type: "longrope", ...longFactors, original_max_position_embeddings: 16 },
    },
  },
  { name: "OLMo 2 with biases", architecture: "Olmo2ForCausalLM", fields: { attention_bias: true } },
  {
    name: "OLMo 2 with a key head for each query head, a tied head and yarn",
    architecture: "Olmo2ForCausalLM",
    fields: { num_key_value_heads: 4, tie_word_embeddings: true, rope_scaling: yarn },
  },
  {
    name: "Qwen2-MoE with layer_types and dense layers",
    architecture: "Qwen2MoeForCausalLM",
    fields: {
      ...{ ...qwen2Moe, ...sparse, use_sliding_window: true, sliding_window: 3 },
      layer_types: [...alternating, ...alternating],
    },
    windowOf: (layer) => (layer % 2 === 0 ? 3 : 0),
  },
  {
    name: "Qwen2-MoE without biases, renormalised",
    architecture: "Qwen2MoeForCausalLM",
    fields: { ...qwen2Moe, qkv_bias: false, norm_topk_prob: true },
  },
  {
    name: "Qwen2-MoE, the gate of its shared expert in another dtype than the router",
    architecture: "Qwen2MoeForCausalLM",
    fields: qwen2Moe,
    dtypeOf: (name) => (name.includes("shared_expert_gate") ? "f32" : "f16"),
    dtype: "f16",
  },
  { name: "OLMoE", architecture: "OlmoeForCausalLM", fields: olmoe },
  {
    name: "OLMoE with biases, clamped q, k and v, a key head for each query head, renormalised",
    architecture: "OlmoeForCausalLM",
    fields: { ...olmoe, num_key_value_heads: 4, attention_bias: true, norm_topk_prob: true, clip_qkv: 0.5 },
    clip: 0.5,
    dtype: "bf16",
  },
  {
    name: "GLM-4.5 with groups of experts, two shared ones, biases and norms of heads",
    architecture: "Glm4MoeForCausalLM",
    fields: {
      ...{ ...glm, n_group: 4, topk_group: 2, first_k_dense_replace: 1, routed_scaling_factor: 2.5 },
      ...{ attention_bias: true, use_qk_norm: true },
    },
    rope: { rotaryDim: 8 },
  },
  {
    name: "GLM-4.5 without them, a quarter of each head rotated, not renormalised",
    architecture: "Glm4MoeForCausalLM",
    fields: { ...glm, partial_rotary_factor: 0.25, first_k_dense_replace: 0, norm_topk_prob: false },
    rope: { rotaryDim: 4 },
  },
  {
    name: "SmolLM3 with every second layer not rotated, and biases",
    architecture: "SmolLM3ForCausalLM",
    fields: {
      ...{ num_hidden_layers: 4, no_rope_layer_interval: 2, tie_word_embeddings: false },
      ...{ attention_bias: true, mlp_bias: true },
    },
    isRotated: (layer) => layer % 2 === 0,
  },
  {
    name: "SmolLM3 with a list, windows in its layers that are not rotated, and the theta of its class",
    architecture: "SmolLM3ForCausalLM",
    fields: {
      ...{ no_rope_layers: [0, 1, 1], use_sliding_window: true, sliding_window: 4 },
      ...{ rope_theta: undefined, tie_word_embeddings: true },
    },
    rope: { theta: 2_000_000 },
    isRotated: (layer) => layer > 0,
    windowOf: (layer) => (layer === 0 ? 4 : 0),
  },
  {
    name: "SmolLM3 with layer_types, whichever layers are rotated",
    architecture: "SmolLM3ForCausalLM",
    fields: {
      ...{ no_rope_layers: [1, 0], use_sliding_window: true, sliding_window: 4, layer_types: alternating },
      tie_word_embeddings: true,
    },
    isRotated: (layer) => layer === 0,
    windowOf: (layer) => (layer === 0 ? 4 : 0),
  },
  {
    name: "Granite with biases, factors that no f32 holds, and its own head",
    architecture: "GraniteForCausalLM",
    fields: {
      ...{
        embedding_multiplier: 0.7,
        attention_multiplier: 0.3,
        residual_multiplier: 0.22,
        logits_scaling: 13,
      },
      ...{ attention_bias: true, mlp_bias: true },
    },
    factors: { embedding: 0.7, scores: 0.3, residual: 0.22, logits: 1 / 13 },
  },
  {
    name: "Granite whose config says no factor",
    architecture: "GraniteForCausalLM",
    fields: { tie_word_embeddings: true },
    factors: { scores: 1 },
  },
  ...gptOssVariants,
  {
    name: "Granite with experts in one tensor, factors and biases",
    architecture: "GraniteMoeForCausalLM",
    fields: {
      ...{ ...graniteMoe, attention_bias: true, tie_word_embeddings: true },
      ...{ embedding_multiplier: 12, attention_multiplier: 0.3, residual_multiplier: 0.22 },
      logits_scaling: 6,
    },
    factors: { embedding: 12, scores: 0.3, residual: 0.22, logits: 1 / 6 },
  },
  {
    name: "Granite with experts in one tensor of bf16, of which the config says no factor",
    architecture: "GraniteMoeForCausalLM",
    fields: graniteMoe,
    factors: { scores: 1 },
    dtypeOf: () => "bf16",
  },
  ...deepseekVariants,
  ...gemmaVariants,
  ...layerNormVariants,
  ...windowVariants,
  { name: "f16 weights", architecture: "LlamaForCausalLM", dtypeOf: () => "f16" },
  {
    name: "bf16 weights",
    architecture: "Qwen3MoeForCausalLM",
    fields: { ...moe, norm_topk_prob: true },
    dtypeOf: () => "bf16",
  },
  {
    name: "f32 norms, bf16 matrices",
    architecture: "Qwen3ForCausalLM",
    dtypeOf: (name) => (isNorm(name) ? "f32" : "bf16"),
  },
  {
    name: "f32 weights",
    architecture: "LlamaForCausalLM",
    fields: { tie_word_embeddings: true },
    dtype: "bf16",
  },
  { name: "f16 throughout", architecture: "LlamaForCausalLM", dtypeOf: () => "f16", dtype: "f16" },
  {
    name: "OLMo 2",
    architecture: "Olmo2ForCausalLM",
    dtypeOf: () => "bf16",
    dtype: "bf16",
  },
  {
    name: "f16 weights, some bf16",
    architecture: "Qwen3MoeForCausalLM",
    fields: sparse,
    dtypeOf: (name) => (name.includes("mlp") ? "bf16" : "f16"),
    dtype: "bf16",
  },
];

describe("matches a float64 decoder", () => {
  let device: Device;
  let stream: Stream;
  beforeAll(() => {
    device = openTestDevice();
    stream = device.createStream();
  });
  afterAll(() => device.dispose());

  it.each(variants)("$name, activations $dtype", async (variant) => {
    const { architecture, fields, dtypeOf, dtype = "f32", ...reading } = variant;
    const config = tinyConfig(architecture, fields);
    const tensors = tinyTensors(config, dtypeOf);
    const model = await loadModel(await writeCheckpoint(config, tensors), { stream, dtype });
    const tokens = Array.from({ length: 23 }, (_, t) => (t * 7 + 3) % config.vocab_size);
    const [logits] = await runModel(model, stream, [tokens], { chunk: 9 });
    const expected = Float32Array.from(referenceTransformer(config, tensors, tokens, reading));
    expectBits(device, `variant: ${variant.name}`, [logits!]);
    expect(model.shape.dtype).toBe(dtype);
    expect(compareLogits(logits!, expected, config.vocab_size).relative).toBeLessThan(tolerances[dtype]);
    model.dispose();
  });

  const windowDefaults = [
    { architecture: "MistralForCausalLM", switches: {} },
    { architecture: "Qwen2ForCausalLM", switches: { use_sliding_window: true, max_window_layers: 0 } },
    { architecture: "Qwen3ForCausalLM", switches: { use_sliding_window: true, max_window_layers: 0 } },
    { architecture: "Qwen3MoeForCausalLM", switches: { ...moe, use_sliding_window: true } },
  ];
  it.each(windowDefaults)("$architecture: no window field is 4096, null is none", async (variant) => {
    const { architecture, switches } = variant;
    const tokens = Array.from({ length: 4200 }, (_, t) => (t * 7 + 3) % 37);
    const lastLogits = async (fields: Readonly<Record<string, unknown>>): Promise<Float32Array> => {
      const config = tinyConfig(architecture, { max_position_embeddings: 8192, ...switches, ...fields });
      const model = await loadModel(await writeCheckpoint(config, tinyTensors(config)), { stream });
      const [logits] = await runModel(model, stream, [tokens], { chunk: 1024 });
      model.dispose();
      return logits!.subarray(-config.vocab_size);
    };
    const absent = await lastLogits({});
    expect(absent).toEqual(await lastLogits({ sliding_window: 4096 }));
    expect(absent).not.toEqual(await lastLogits({ sliding_window: null }));
  });
});
