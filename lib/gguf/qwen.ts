/** `qwen2`, `qwen3`, `qwen2moe` and `qwen3moe`; and `olmoe`, whose experts are as theirs. */
import type { Architecture, Origin } from "./architecture.js";
import {
  attentionModules,
  denseMlpFields,
  expertModules,
  headNormModules,
  llamaModules,
  normModules,
  optional,
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

const expertFields: Readonly<Record<string, Origin>> = {
  num_experts: { key: "expert_count" },
  num_local_experts: { none: "num_experts has it" },
  num_experts_per_tok: { key: "expert_used_count" },
  moe_intermediate_size: { key: "expert_feed_forward_length" },
  decoder_sparse_step: { always: 1 },
  mlp_only_layers: { always: [] },
};
const mixtureModules = { "mlp.gate": "ffn_gate_inp", ...expertModules("mlp.experts") };

const qwen3moe: Architecture = {
  name: "qwen3moe",
  model: "Qwen3MoeForCausalLM",
  modelType: "qwen3_moe",
  fields: {
    ...{ ...transformerFields, ...denseMlpFields, ...windowFields, ...expertFields },
    ...{ attention_bias: hasBiases, norm_topk_prob: { always: true } },
  },
  irrelevant: transformerIrrelevant,
  modules: {
    ...{ ...outerModules, ...normModules, ...attentionModules, ...headNormModules, ...mixtureModules },
  },
};

const { max_window_layers: _layers, ...noWindows } = windowFields;

const qwen2moe: Architecture = {
  ...{ name: "qwen2moe", model: "Qwen2MoeForCausalLM", modelType: "qwen2_moe" },
  fields: {
    ...{ ...transformerFields, ...denseMlpFields, ...noWindows, ...expertFields, qkv_bias: hasBiases },
    norm_topk_prob: optional("expert_weights_norm", false),
    shared_expert_intermediate_size: { key: "expert_shared_feed_forward_length" },
  },
  irrelevant: transformerIrrelevant,
  modules: {
    ...{ ...outerModules, ...normModules, ...attentionModules, ...mixtureModules },
    "mlp.shared_expert.gate_proj": "ffn_gate_shexp",
    "mlp.shared_expert.up_proj": "ffn_up_shexp",
    "mlp.shared_expert.down_proj": "ffn_down_shexp",
    "mlp.shared_expert_gate": { name: "ffn_gate_inp_shexp", fileShape: (shape) => shape },
  },
};

const olmoe: Architecture = {
  ...{ name: "olmoe", model: "OlmoeForCausalLM", modelType: "olmoe" },
  fields: {
    ...{ ...transformerFields, ...denseMlpFields, attention_bias: hasBiases },
    num_experts: { key: "expert_count" },
    num_local_experts: { none: "num_experts has it" },
    num_experts_per_tok: { key: "expert_used_count" },
    norm_topk_prob: optional("expert_weights_norm", false),
    clip_qkv: optional("attention.clamp_kqv"),
  },
  irrelevant: transformerIrrelevant,
  modules: {
    ...{ ...outerModules, ...normModules, ...attentionModules, ...headNormModules, ...mixtureModules },
  },
};

export const qwens: readonly Architecture[] = [qwen2, qwen3, qwen2moe, qwen3moe, olmoe];
