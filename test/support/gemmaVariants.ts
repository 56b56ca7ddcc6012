/**
 * Gemma's rows of test/models/variants.test.ts.
 */
import type { Variant } from "./variant.js";

/** The root of a tiny config's width, 24, in bf16. */
const embedding = 4.90625;

export const gemmaVariants: readonly Variant[] = [
  {
    name: "Gemma 2 with caps, a scale and a window of its own",
    architecture: "Gemma2ForCausalLM",
    fields: {
      ...{ attn_logit_softcapping: 0.7, final_logit_softcapping: 1.1, query_pre_attn_scalar: 3 },
      ...{ sliding_window: 5, num_hidden_layers: 3, tie_word_embeddings: true },
    },
    windowOf: (layer) => (layer === 1 ? 0 : 5),
    factors: { embedding, scores: 3 ** -0.5 },
    caps: { scores: 0.7, logits: 1.1 },
  },
  {
    name: "Gemma 2 without caps, with layer_types, biases, another activation and its own head",
    architecture: "Gemma2ForCausalLM",
    fields: {
      ...{ attn_logit_softcapping: null, final_logit_softcapping: null, hidden_activation: "gelu" },
      ...{ sliding_window: 4, layer_types: ["full_attention", "sliding_attention"], attention_bias: true },
      ...{ tie_word_embeddings: false, hidden_act: "silu" },
    },
    windowOf: (layer) => (layer === 1 ? 4 : 0),
    factors: { embedding, scores: 1 / 16 },
  },
  {
    name: "Gemma 2 as its class has it",
    architecture: "Gemma2ForCausalLM",
    fields: { tie_word_embeddings: true, rope_theta: undefined },
    rope: { theta: 10_000 },
    factors: { embedding, scores: 1 / 16 },
    caps: { scores: 50, logits: 30 },
  },
  {
    name: "Gemma 3 with a scaled rotation of its layers without a window, biases and caps",
    architecture: "Gemma3ForCausalLM",
    fields: {
      ...{ rope_theta: 50_000, rope_local_base_freq: 500, rope_scaling: { rope_type: "linear", factor: 8 } },
      ...{ sliding_window: 5, sliding_window_pattern: 2, num_hidden_layers: 4, attention_bias: true },
      ...{ attn_logit_softcapping: 0.7, final_logit_softcapping: 1.1, query_pre_attn_scalar: 3 },
      tie_word_embeddings: false,
    },
    windowOf: (layer) => (layer % 2 === 0 ? 5 : 0),
    rope: { theta: 50_000, scaling: { rope_type: "linear", factor: 8 } },
    windowedRope: { theta: 500, scaling: null },
    factors: { embedding, scores: 3 ** -0.5 },
    caps: { scores: 0.7, logits: 1.1 },
  },
  {
    name: "Gemma 3 as its class has it",
    architecture: "Gemma3ForCausalLM",
    fields: { rope_theta: undefined, num_hidden_layers: 6, tie_word_embeddings: true },
    windowOf: (layer) => (layer === 5 ? 0 : 4096),
    rope: { theta: 1_000_000 },
    windowedRope: { theta: 10_000 },
    factors: { embedding, scores: 1 / 16 },
  },
  {
    name: "Gemma 3 with rope_parameters of each type of layers, and layer_types",
    architecture: "Gemma3ForCausalLM",
    fields: {
      rope_theta: undefined,
      rope_parameters: {
        full_attention: { rope_type: "linear", factor: 8, rope_theta: 50_000 },
        sliding_attention: { rope_type: "default", rope_theta: 500 },
      },
      ...{ sliding_window: 4, layer_types: ["full_attention", "sliding_attention"] },
      tie_word_embeddings: true,
    },
    windowOf: (layer) => (layer === 1 ? 4 : 0),
    rope: { theta: 50_000, scaling: { rope_type: "linear", factor: 8 } },
    windowedRope: { theta: 500, scaling: null },
    factors: { embedding, scores: 1 / 16 },
  },
];
