/** `llama`: Llama and what is built like it (Mistral, SmolLM 1 and 2), and Mixtral; and `granite`, `granitemoe` and `smollm3`, whose converters are its own. */
import type { Architecture } from "./architecture.js";
import {
  attentionModules,
  biasFields,
  denseMlpFields,
  expertModules,
  llamaModules,
  normModules,
  optional,
  outerModules,
  transformerFields,
  transformerIrrelevant,
} from "./transformerFields.js";
import { ropeFreqs } from "./ropeScaling.js";

/** Its converter permutes queries and keys for a rotation of neighbours. */
export const permutedAttention = {
  ...attentionModules,
  "self_attn.q_proj": { name: "attn_q", sideBySide: true },
  "self_attn.k_proj": { name: "attn_k", sideBySide: true },
} as const;

const mixtral: Architecture = {
  name: "llama",
  isMeant: ({ own }) => Number(own("expert_count") ?? 0) > 0,
  model: "MixtralForCausalLM",
  modelType: "mixtral",
  fields: {
    ...transformerFields,
    ...denseMlpFields,
    num_local_experts: { key: "expert_count" },
    num_experts: { none: "num_local_experts has it" },
    num_experts_per_tok: { key: "expert_used_count" },
    sliding_window: { none: "the architecture has no windows" },
    layer_types: { none: "the architecture has no windows" },
  },
  irrelevant: transformerIrrelevant,
  modules: {
    ...outerModules,
    ...normModules,
    ...permutedAttention,
    "block_sparse_moe.gate": "ffn_gate_inp",
    ...expertModules("block_sparse_moe.experts", ["w1", "w3", "w2"]),
  },
  smallTensors: [ropeFreqs],
};

const llama: Architecture = {
  name: "llama",
  model: "LlamaForCausalLM",
  modelType: "llama",
  fields: {
    ...transformerFields,
    ...denseMlpFields,
    ...biasFields,
    layer_types: { none: "the architecture has no windows" },
  },
  irrelevant: transformerIrrelevant,
  modules: { ...llamaModules, ...permutedAttention },
  smallTensors: [ropeFreqs],
};

const granite: Architecture = {
  ...{ name: "granite", model: "GraniteForCausalLM", modelType: "granite" },
  fields: {
    ...{ ...transformerFields, ...denseMlpFields, ...biasFields },
    attention_multiplier: { key: "attention.scale" },
    embedding_multiplier: optional("embedding_scale", 1),
    residual_multiplier: optional("residual_scale", 1),
    logits_scaling: optional("logit_scale", 1),
  },
  irrelevant: transformerIrrelevant,
  modules: { ...llamaModules, ...permutedAttention },
};

const { mlp_bias: _none, ...ofMixtures } = granite.fields;

/** Gate and up, which are one tensor in a checkpoint, have one each. */
const granitemoe: Architecture = {
  ...{ ...granite, name: "granitemoe", model: "GraniteMoeForCausalLM", modelType: "granitemoe" },
  fields: {
    ...ofMixtures,
    num_local_experts: { key: "expert_count" },
    num_experts: { none: "num_local_experts has it" },
    num_experts_per_tok: { key: "expert_used_count" },
  },
  modules: {
    ...{ ...outerModules, ...normModules, ...permutedAttention },
    "block_sparse_moe.router.layer": "ffn_gate_inp",
    "block_sparse_moe.output_linear": "ffn_down_exps",
  },
  rows: {
    expertsGateUp({ rowViews: _views, ...row }) {
      const [both, inputs] = row.shapes[0] as readonly [number, number];
      const shape = [both / 2, inputs];
      const from = ["gate", "up"].map((name) => `blk.{layer}.ffn_${name}_exps.weight`);
      return { ...row, from, shapes: [shape, shape] };
    },
  },
};

const smollm3: Architecture = {
  ...{ name: "smollm3", model: "SmolLM3ForCausalLM", modelType: "smollm3" },
  fields: {
    ...{ ...transformerFields, ...denseMlpFields, ...biasFields },
    no_rope_layer_interval: { always: 4 },
    no_rope_layers: { none: "no_rope_layer_interval says which they are" },
    use_sliding_window: { always: false },
    sliding_window: { none: "off by use_sliding_window" },
    layer_types: { none: "off by use_sliding_window" },
  },
  irrelevant: transformerIrrelevant,
  modules: { ...llamaModules, ...permutedAttention },
};

/** Those whose queries and keys are permuted. */
export const llamas: readonly Architecture[] = [mixtral, llama, granite, granitemoe, smollm3];
