/**
 * Rows of test/models/variants.test.ts of the families with layer norms: Starcoder2, StableLM, Cohere.
 */
import type { Variant } from "./variant.js";

/** Instead of the eps of a tiny config. */
const starcoder2 = { rms_norm_eps: undefined, norm_epsilon: 1e-5, use_bias: true };
const stablelm = { rms_norm_eps: undefined, layer_norm_eps: 1e-5 };
const cohere = { ...stablelm, tie_word_embeddings: true };

export const layerNormVariants: readonly Variant[] = [
  {
    name: "Starcoder2 with a window",
    architecture: "Starcoder2ForCausalLM",
    fields: { ...starcoder2, sliding_window: 5, tie_word_embeddings: true },
    windowOf: () => 5,
  },
  {
    name: "Starcoder2 without a window, without biases, with its own head and another gelu",
    architecture: "Starcoder2ForCausalLM",
    fields: {
      ...{ ...starcoder2, use_bias: false, tie_word_embeddings: false, hidden_act: "gelu" },
      ...{ sliding_window: null, norm_epsilon: 0.5 },
    },
    dtypeOf: () => "bf16",
    dtype: "bf16",
  },
  {
    name: "StableLM, a quarter of its heads rotated",
    architecture: "StableLmForCausalLM",
    fields: { ...stablelm, use_qkv_bias: true },
    rope: { rotaryDim: 4 },
  },
  {
    name: "StableLM with attention and feed-forward side by side",
    architecture: "StableLmForCausalLM",
    fields: { ...stablelm, use_parallel_residual: true, partial_rotary_factor: 0.5, layer_norm_eps: 0.5 },
    rope: { rotaryDim: 8 },
    dtypeOf: () => "f16",
    dtype: "f16",
  },
  {
    name: "Command R",
    architecture: "CohereForCausalLM",
    fields: cohere,
    factors: { logits: 1 / 16 },
  },
  {
    name: "Command R with biases, its own head and a factor that no f32 holds",
    architecture: "CohereForCausalLM",
    fields: {
      ...{ ...cohere, tie_word_embeddings: false, attention_bias: true, logit_scale: 0.3 },
      ...{ num_key_value_heads: 1, layer_norm_eps: 0.5, use_qk_norm: false },
    },
    factors: { logits: 0.3 },
    dtypeOf: () => "bf16",
    dtype: "bf16",
  },
];
