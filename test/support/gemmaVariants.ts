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
];
