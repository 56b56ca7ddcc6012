/** `qwen2`, `qwen3` and `qwen3moe`. */
import type { Architecture, Origin } from "./architecture.js";
import {
  attentionModules,
  denseMlpFields,
  expertModules,
  headNormModules,
  llamaModules,
  normModules,
  outerModules,
  transformerFields,
  transformerIrrelevant,
} from "./transformerFields.js";

/** No published model has them, and no key says that it does. */
const windowFields: Readonly<Record<string, Origin>> = {
  use_sliding_window: { always: false },
  sliding_window: { none: "off by use_sliding_window" },
  max_window_layers: { none: "off by use_sliding_window" },
  layer_types: { none: "off by use_sliding_window" },
};

const hasBiases: Origin = { keys: [], of: ({ has }) => has("blk.0.attn_q.bias") };

const qwen2: Architecture = {
  name: "qwen2",
  model: "Qwen2ForCausalLM",
  modelType: "qwen2",
  fields: { ...transformerFields, ...denseMlpFields, ...windowFields },
  irrelevant: transformerIrrelevant,
  modules: llamaModules,
};

const qwen3: Architecture = {
  name: "qwen3",
  model: "Qwen3ForCausalLM",
  modelType: "qwen3",
  fields: { ...transformerFields, ...denseMlpFields, ...windowFields, attention_bias: hasBiases },
  irrelevant: transformerIrrelevant,
  modules: { ...llamaModules, ...headNormModules },
};

const qwen3moe: Architecture = {
  name: "qwen3moe",
  model: "Qwen3MoeForCausalLM",
  modelType: "qwen3_moe",
  fields: {
    ...{ ...transformerFields, ...denseMlpFields, ...windowFields, attention_bias: hasBiases },
    num_experts: { key: "expert_count" },
    num_local_experts: { none: "num_experts has it" },
    num_experts_per_tok: { key: "expert_used_count" },
    moe_intermediate_size: { key: "expert_feed_forward_length" },
    norm_topk_prob: { always: true },
    decoder_sparse_step: { always: 1 },
    mlp_only_layers: { always: [] },
  },
  irrelevant: transformerIrrelevant,
  modules: {
    ...{ ...outerModules, ...normModules, ...attentionModules, ...headNormModules },
    "mlp.gate": "ffn_gate_inp",
    ...expertModules("mlp.experts"),
  },
};

export const qwens: readonly Architecture[] = [qwen2, qwen3, qwen3moe];
