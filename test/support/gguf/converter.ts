/** What the converters of families (families.ts, mixtures.ts) have in common. */
import type { Config, Converted, Values } from "./convert.js";
import type { GgufMetadata, GgufValue } from "./format.js";

export type Tensors = ReadonlyMap<string, Values>;
export type Converter = (config: Config, tensors: Tensors) => Converted;

export const u32 = (value: unknown): GgufValue => ({ type: "u32", value: Number(value) });
export const f32 = (value: unknown): GgufValue => ({ type: "f32", value: Number(value) });
export const text = (value: string): GgufValue => ({ type: "string", value });

/** A family's differences from Llama. */
export interface Family {
  readonly architecture: string;
  /** Names of a layer's tensors, without "model.layers.0." and "blk.0.", and without ".weight" where both have it. */
  readonly names?: Readonly<Record<string, string>>;
  /** By the file's name: what becomes of the values. */
  readonly change?: (name: string, values: Values, config: Config) => Values;
  /** Names of the others; Llama's are known. */
  readonly outer?: Readonly<Record<string, string>>;
  /** Keys of the architecture, beside those that attention needs. */
  readonly keys?: (config: Config) => Readonly<Record<string, GgufValue>>;
  /** Without attention: `keys` are all. */
  readonly hasOwnKeysOnly?: true;
  /** Tensors that are made of several, or of a part of one; those are left out above. */
  readonly more?: (config: Config, tensors: Tensors) => readonly (readonly [string, Values])[];
}

export const llamaNames = {
  input_layernorm: "attn_norm",
  "self_attn.q_proj": "attn_q",
  "self_attn.k_proj": "attn_k",
  "self_attn.v_proj": "attn_v",
  "self_attn.o_proj": "attn_output",
  "self_attn.q_norm": "attn_q_norm",
  "self_attn.k_norm": "attn_k_norm",
  post_attention_layernorm: "ffn_norm",
  "mlp.gate_proj": "ffn_gate",
  "mlp.up_proj": "ffn_up",
  "mlp.down_proj": "ffn_down",
  "mlp.gate_up_proj": "ffn_up",
  "self_attn.qkv_proj": "attn_qkv",
  "mlp.gate": "ffn_gate_inp",
  "block_sparse_moe.gate": "ffn_gate_inp",
};
const outerNames = {
  "model.embed_tokens.weight": "token_embd.weight",
  "model.norm.weight": "output_norm.weight",
  "model.norm.bias": "output_norm.bias",
  "lm_head.weight": "output.weight",
};

export const heads = (config: Config) => Number(config["num_attention_heads"]);
export const kvHeads = (config: Config) => Number(config["num_key_value_heads"] ?? heads(config));
export const headDim = (config: Config) =>
  Number(config["head_dim"] ?? Number(config["hidden_size"]) / heads(config));

function commonKeys(config: Config): Record<string, GgufValue> {
  const layerEps = config["layer_norm_eps"] ?? config["norm_epsilon"];
  return {
    block_count: u32(config["num_hidden_layers"]),
    context_length: u32(config["max_position_embeddings"]),
    embedding_length: u32(config["hidden_size"]),
    feed_forward_length: u32(config["intermediate_size"]),
    "attention.head_count": u32(heads(config)),
    "attention.head_count_kv": u32(kvHeads(config)),
    ...(config["rms_norm_eps"] !== undefined && {
      "attention.layer_norm_rms_epsilon": f32(config["rms_norm_eps"]),
    }),
    ...(layerEps !== undefined && { "attention.layer_norm_epsilon": f32(layerEps) }),
    "rope.freq_base": f32(config["rope_theta"] ?? 10_000),
    vocab_size: u32(config["vocab_size"]),
    ...(config["head_dim"] !== undefined && {
      "attention.key_length": u32(config["head_dim"]),
      "attention.value_length": u32(config["head_dim"]),
    }),
  };
}

export const converter =
  ({ architecture, names = llamaNames, outer = {}, hasOwnKeysOnly, change, keys, more }: Family): Converter =>
  (config, tensors) => {
    const outerOf: Readonly<Record<string, string>> = { ...outerNames, ...outer };
    const converted = new Map<string, Values>();
    for (const [name, values] of tensors) {
      if (/\.experts\.|\.kv_b_proj\.|\.input_linear\./.test(name)) continue; // stacked, or split, by `more`
      const [, layer = "", module = "", suffix = ""] =
        /^(?:(?:model|backbone)\.layers|transformer\.h)\.(\d+)\.(.*?)(\.weight|\.bias)?$/.exec(name) ?? [];
      const to = outerOf[name] ?? (names[module] && `blk.${layer}.${names[module]}${suffix}`);
      if (to === undefined) throw new Error(`${architecture}: no name for ${name}`);
      converted.set(to, change ? change(to, values, config) : values);
    }
    for (const [name, values] of more?.(config, tensors) ?? []) converted.set(name, values);
    const own = { ...(!hasOwnKeysOnly && commonKeys(config)), ...keys?.(config) };
    const metadata: GgufMetadata = {
      "general.architecture": text(architecture),
      "general.type": text("model"),
      "general.name": text("converted"),
      ...Object.fromEntries(Object.entries(own).map(([key, value]) => [`${architecture}.${key}`, value])),
    };
    return { metadata, tensors: converted };
  };

/** Experts as one tensor: gate, up, down by their names in the checkpoint. */
export const stackedExperts =
  (module: string, [gate, up, down] = ["gate_proj", "up_proj", "down_proj"]) =>
  (_: Config, tensors: Tensors): (readonly [string, Values])[] => {
    const stacks = new Map<string, Values[]>();
    const kinds = { [gate]: "gate", [up]: "up", [down]: "down" };
    const pattern = new RegExp(`^model\\.layers\\.(\\d+)\\.${module}\\.experts\\.(\\d+)\\.(\\w+)\\.weight$`);
    for (const [name, values] of tensors) {
      const [, layer, expert, projection] = pattern.exec(name) ?? [];
      if (layer === undefined) continue;
      const to = `blk.${layer}.ffn_${kinds[projection!]}_exps.weight`;
      const stack = stacks.get(to) ?? [];
      stack[Number(expert)] = values;
      stacks.set(to, stack);
    }
    return [...stacks].map(([name, stack]) => {
      const out = new Float32Array(stack.length * stack[0]!.values.length);
      stack.forEach(({ values }, expert) => out.set(values, expert * values.length));
      return [name, { shape: [stack.length, ...stack[0]!.shape], values: out }];
    });
  };

export const expertKeys = (config: Config) => ({
  expert_count: u32(config["num_experts"] ?? config["num_local_experts"] ?? config["n_routed_experts"]),
  expert_used_count: u32(config["num_experts_per_tok"]),
});

export const window = (config: Config) => ({ "attention.sliding_window": u32(config["sliding_window"]) });
