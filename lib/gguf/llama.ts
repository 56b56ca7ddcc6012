/** `llama`: Llama and what is built like it (Mistral, SmolLM 1 and 2), and Mixtral. */
import type { Architecture } from "./architecture.js";
import {
  attentionModules,
  denseMlpFields,
  expertModules,
  llamaModules,
  normModules,
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
    attention_bias: { keys: [], of: ({ has }) => has("blk.0.attn_q.bias") },
    mlp_bias: { keys: [], of: ({ has }) => has("blk.0.ffn_gate.bias") },
    layer_types: { none: "the architecture has no windows" },
  },
  irrelevant: transformerIrrelevant,
  modules: { ...llamaModules, ...permutedAttention },
  smallTensors: [ropeFreqs],
};

export const llamas: readonly Architecture[] = [mixtral, llama];
