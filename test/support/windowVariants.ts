/**
 * Rows of test/models/variants.test.ts of the families whose layers differ by their window: Ministral, OLMo 3, Command R7B, EXAONE 4.
 */
import type { Variant } from "./variant.js";

const alternating = ["sliding_attention", "full_attention"];
const yarn = { rope_type: "yarn", factor: 4, original_max_position_embeddings: 16 };
/** Of Cohere, instead of those of a tiny config. */
const cohere = { rms_norm_eps: undefined, layer_norm_eps: 1e-5, tie_word_embeddings: true };

export const windowVariants: readonly Variant[] = [
  {
    name: "Ministral with layer_types and one scaled rotation",
    architecture: "MinistralForCausalLM",
    fields: { sliding_window: 5, layer_types: alternating, rope_scaling: yarn },
    windowOf: (layer) => (layer === 0 ? 5 : 0),
  },
  {
    name: "Ministral with a rotation of each type of layers",
    architecture: "MinistralForCausalLM",
    fields: {
      ...{ sliding_window: 5, layer_types: alternating, rope_theta: undefined },
      rope_parameters: {
        full_attention: { ...yarn, rope_theta: 50_000 },
        sliding_attention: { rope_type: "default", rope_theta: 500 },
      },
    },
    windowOf: (layer) => (layer === 0 ? 5 : 0),
    rope: { theta: 50_000, scaling: yarn },
    windowedRope: { theta: 500 },
  },
  {
    name: "Ministral without layer_types",
    architecture: "MinistralForCausalLM",
    fields: { sliding_window: 4 },
    windowOf: () => 4,
  },
  {
    name: "Ministral without a window",
    architecture: "MinistralForCausalLM",
    fields: { sliding_window: null },
  },
  {
    name: "OLMo 3 with a scaled rotation of its layers without a window, as its class places them",
    architecture: "Olmo3ForCausalLM",
    fields: { sliding_window: 5, num_hidden_layers: 4, rope_theta: 50_000, rope_scaling: yarn },
    windowOf: (layer) => (layer === 3 ? 0 : 5),
    rope: { scaling: yarn },
    windowedRope: { scaling: null },
  },
  {
    name: "OLMo 3 with layer_types, rope_parameters of all layers, biases and a key head for each query head",
    architecture: "Olmo3ForCausalLM",
    fields: {
      ...{ sliding_window: 4, layer_types: alternating, rope_theta: undefined, attention_bias: true },
      ...{ rope_parameters: { ...yarn, rope_theta: 50_000 }, num_key_value_heads: 4 },
    },
    windowOf: (layer) => (layer === 0 ? 4 : 0),
    rope: { theta: 50_000, scaling: yarn },
    windowedRope: { theta: 50_000, scaling: null },
  },
  {
    name: "OLMo 3 with rope_parameters of each type of layers",
    architecture: "Olmo3ForCausalLM",
    fields: {
      ...{ sliding_window: 4, layer_types: alternating, rope_theta: undefined },
      rope_parameters: {
        full_attention: { ...yarn, rope_theta: 50_000 },
        sliding_attention: { rope_type: "default", rope_theta: 500 },
      },
    },
    windowOf: (layer) => (layer === 0 ? 4 : 0),
    rope: { theta: 50_000, scaling: yarn },
    windowedRope: { theta: 500, scaling: null },
    dtypeOf: () => "bf16",
    dtype: "bf16",
  },
  {
    name: "Command R7B as its class places its windows, with a factor of its own",
    architecture: "Cohere2ForCausalLM",
    fields: { ...cohere, sliding_window: 5, num_hidden_layers: 4, logit_scale: 0.25 },
    windowOf: (layer) => (layer === 3 ? 0 : 5),
    isRotated: (layer) => layer < 3,
    factors: { logits: 0.25 },
  },
  {
    name: "Command R7B with a pattern",
    architecture: "Cohere2ForCausalLM",
    fields: { ...cohere, sliding_window: 5, sliding_window_pattern: 2, num_hidden_layers: 3 },
    windowOf: (layer) => (layer === 1 ? 0 : 5),
    isRotated: (layer) => layer !== 1,
    factors: { logits: 1 / 16 },
  },
  {
    name: "Command R7B with layer_types, biases and its own head",
    architecture: "Cohere2ForCausalLM",
    fields: {
      ...{ ...cohere, sliding_window: 5, layer_types: ["full_attention", "sliding_attention"] },
      ...{ attention_bias: true, tie_word_embeddings: false },
    },
    windowOf: (layer) => (layer === 1 ? 5 : 0),
    isRotated: (layer) => layer === 1,
    factors: { logits: 1 / 16 },
    dtypeOf: () => "bf16",
    dtype: "bf16",
  },
  {
    name: "EXAONE 4 with a window, as its class places it",
    architecture: "Exaone4ForCausalLM",
    fields: { sliding_window: 5, num_hidden_layers: 4 },
    windowOf: (layer) => (layer === 3 ? 0 : 5),
    isRotated: (layer) => layer < 3,
  },
  {
    name: "EXAONE 4 with layer_types against its pattern",
    architecture: "Exaone4ForCausalLM",
    fields: { sliding_window: 5, sliding_window_pattern: "LLLG", layer_types: alternating },
    windowOf: (layer) => (layer === 0 ? 5 : 0),
    isRotated: (layer) => layer === 0,
  },
  {
    name: "EXAONE 4 with a pattern of two",
    architecture: "Exaone4ForCausalLM",
    fields: { sliding_window: 4, sliding_window_pattern: 2, tie_word_embeddings: true },
    windowOf: (layer) => (layer === 0 ? 4 : 0),
    isRotated: (layer) => layer === 0,
  },
  {
    name: "EXAONE 4 without a window rotates all layers",
    architecture: "Exaone4ForCausalLM",
    fields: { sliding_window: null, num_hidden_layers: 4, tie_word_embeddings: true },
    dtypeOf: () => "f16",
    dtype: "f16",
  },
];
