/** What converters do with families of layer norms, and with the ones that are left: see families.ts. */
import type { Config, Values } from "./convert.js";
import {
  type Converter,
  converter,
  expertKeys,
  f32,
  headDim,
  llamaNames,
  stackedExperts,
  u32,
  window,
} from "./converter.js";
import type { GgufValue } from "./format.js";

const plainNames = { ...llamaNames, "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down" };

/** `layer_types` as one flag for each layer. */
export function windowedLayers(config: Config): Record<string, GgufValue> {
  const types = config["layer_types"] as readonly string[];
  const value = types.map((type) => type === "sliding_attention");
  return { "attention.sliding_window_pattern": { type: "bools", value } };
}

const logitScale = (config: Config) => ({ logit_scale: f32(config["logit_scale"]) });

/** Conv1D is [in, out]. */
function turnedConv(name: string, values: Values): Values {
  if (!/(attn_qkv|attn_output|ffn_up|ffn_down)\.weight$/.test(name)) return values;
  const [rows, columns] = values.shape as readonly [number, number];
  const turned = values.values.map((_, i) => values.values[(i % rows) * columns + Math.floor(i / rows)]!);
  return { shape: [columns, rows], values: turned };
}

export const layerNormed: Readonly<Record<string, Converter>> = {
  CohereForCausalLM: converter({ architecture: "command-r", keys: logitScale }),
  Cohere2ForCausalLM: converter({
    architecture: "cohere2",
    keys: (config) => ({
      ...logitScale(config),
      ...window(config),
      "rope.dimension_count": u32(headDim(config)),
    }),
  }),
  Starcoder2ForCausalLM: converter({ architecture: "starcoder2", names: plainNames }),
  StableLmForCausalLM: converter({
    architecture: "stablelm",
    keys: (config) => ({
      "rope.dimension_count": u32(headDim(config) * Number(config["partial_rotary_factor"])),
      use_parallel_residual: { type: "bool", value: true },
    }),
  }),
  Exaone4ForCausalLM: converter({
    architecture: "exaone4",
    names: {
      ...llamaNames,
      post_attention_layernorm: "post_attention_norm",
      post_feedforward_layernorm: "post_ffw_norm",
    },
    keys: (config) => (config["sliding_window"] ? { ...window(config), ...windowedLayers(config) } : {}),
  }),
  Qwen2MoeForCausalLM: converter({
    architecture: "qwen2moe",
    names: {
      ...llamaNames,
      "mlp.shared_expert.gate_proj": "ffn_gate_shexp",
      "mlp.shared_expert.up_proj": "ffn_up_shexp",
      "mlp.shared_expert.down_proj": "ffn_down_shexp",
      "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
    },
    keys: (config) => ({
      ...expertKeys(config),
      expert_feed_forward_length: u32(config["moe_intermediate_size"]),
      expert_shared_feed_forward_length: u32(config["shared_expert_intermediate_size"]),
    }),
    // As llama-quantize writes it: without the axis of one.
    change: (name, values) =>
      /ffn_gate_inp_shexp/.test(name) ? { ...values, shape: values.shape.slice(-1) } : values,
    more: stackedExperts("mlp"),
  }),
  OlmoeForCausalLM: converter({
    architecture: "olmoe",
    keys: (config) => ({
      ...expertKeys(config),
      ...(config["clip_qkv"] !== undefined && { "attention.clamp_kqv": f32(config["clip_qkv"]) }),
    }),
    more: stackedExperts("mlp"),
  }),
  GPT2LMHeadModel: converter({
    ...{ architecture: "gpt2", hasOwnKeysOnly: true, change: turnedConv },
    outer: {
      "transformer.wte.weight": "token_embd.weight",
      "transformer.wpe.weight": "position_embd.weight",
      "transformer.ln_f.weight": "output_norm.weight",
      "transformer.ln_f.bias": "output_norm.bias",
    },
    names: {
      ...{ ln_1: "attn_norm", ln_2: "ffn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output" },
      ...{ "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down" },
    },
    keys: (config) => ({
      block_count: u32(config["n_layer"]),
      context_length: u32(config["n_positions"]),
      embedding_length: u32(config["n_embd"]),
      feed_forward_length: u32(4 * Number(config["n_embd"])),
      "attention.head_count": u32(config["n_head"]),
      "attention.layer_norm_epsilon": f32(config["layer_norm_epsilon"]),
    }),
  }),
};
