/**
 * `gemma2` and `gemma3`: the file has 1 + w for the weights of norms. What scales queries, and where the windows are, is in no key; source:
 * `llama_model::load_hparams` of llama.cpp.
 */
import type { Architecture, GgufContents, Origin } from "./architecture.js";
import {
  attentionModules,
  denseMlpFields,
  denseMlpModules,
  headDim,
  optional,
  outerModules,
  transformerFields,
  transformerIrrelevant,
  windowedLayers,
  windowPattern as pattern,
} from "./transformerFields.js";

const norm = (name: string) => ({ name, mapped: true }) as const;

const modules = {
  ...{ ...outerModules, ...attentionModules, ...denseMlpModules },
  "model.norm": norm("output_norm"),
  input_layernorm: norm("attn_norm"),
  post_attention_layernorm: norm("post_attention_norm"),
  pre_feedforward_layernorm: norm("ffn_norm"),
  post_feedforward_layernorm: norm("post_ffw_norm"),
};

/** The width of a head; of the largest model, which is known by its layers, the share of a head in the width of the model. */
const queryScalar = (layersOfLargest: number): Origin => ({
  keys: [],
  of: (contents: GgufContents) =>
    contents.own("block_count") === layersOfLargest
      ? Number(contents.own("embedding_length")) / Number(contents.own("attention.head_count"))
      : headDim(contents),
});

const { hidden_act: _silu, ...widths } = denseMlpFields;
const common: Readonly<Record<string, Origin>> = {
  ...{ ...transformerFields, ...widths },
  hidden_activation: { always: "gelu_pytorch_tanh" },
  attention_bias: { always: false },
};

const gemma2: Architecture = {
  ...{ name: "gemma2", model: "Gemma2ForCausalLM", modelType: "gemma2", modules },
  fields: {
    ...common,
    query_pre_attn_scalar: queryScalar(46),
    attn_logit_softcapping: optional("attn_logit_softcapping", 50),
    final_logit_softcapping: optional("final_logit_softcapping", 30),
    sliding_window: optional("attention.sliding_window", 4096),
    layer_types: { none: "every second layer has a window" },
  },
  irrelevant: transformerIrrelevant,
};

const gemma3: Architecture = {
  ...{ name: "gemma3", model: "Gemma3ForCausalLM", modelType: "gemma3_text" },
  fields: {
    ...common,
    query_pre_attn_scalar: queryScalar(62),
    attn_logit_softcapping: { none: "it has none" },
    final_logit_softcapping: optional("final_logit_softcapping"),
    sliding_window: { key: "attention.sliding_window" },
    sliding_window_pattern: {
      keys: [pattern],
      of: ({ own }) => (Array.isArray(own(pattern)) ? undefined : (own(pattern) ?? 6)),
    },
    layer_types: windowedLayers,
    rope_local_base_freq: optional("rope.freq_base_swa", 10_000),
  },
  irrelevant: transformerIrrelevant,
  modules: {
    ...modules,
    "self_attn.q_norm": norm("attn_q_norm"),
    "self_attn.k_norm": norm("attn_k_norm"),
  },
};

export const gemmas: readonly Architecture[] = [gemma2, gemma3];
