/**
 * What the converters of llama.cpp do with each family (conversion/*.py and gguf-py's tensor_mapping.py): keys, names, layouts. They are
 * spelled out here, apart from lib/gguf.
 */
import type { Config, Converted, Values } from "./convert.js";
import type { GgufMetadata, GgufValue } from "./format.js";

type Tensors = ReadonlyMap<string, Values>;
type Converter = (config: Config, tensors: Tensors) => Converted;

const u32 = (value: unknown): GgufValue => ({ type: "u32", value: Number(value) });
const f32 = (value: unknown): GgufValue => ({ type: "f32", value: Number(value) });
const text = (value: string): GgufValue => ({ type: "string", value });

/** A family's differences from Llama. */
interface Family {
  readonly architecture: string;
  /** Names of a layer's tensors, without "model.layers.0." and "blk.0.", and without ".weight". */
  readonly names?: Readonly<Record<string, string>>;
  /** By the file's name: what becomes of the values. */
  readonly change?: (name: string, values: Values, config: Config) => Values;
  /** Keys of the architecture. */
  readonly keys?: (config: Config) => Readonly<Record<string, GgufValue>>;
  readonly more?: (config: Config, tensors: Tensors) => readonly (readonly [string, Values])[];
}

const llamaNames = {
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
  "mlp.gate": "ffn_gate_inp",
  "block_sparse_moe.gate": "ffn_gate_inp",
};
const outerNames = {
  "model.embed_tokens.weight": "token_embd.weight",
  "model.norm.weight": "output_norm.weight",
  "lm_head.weight": "output.weight",
};

const heads = (config: Config) => Number(config["num_attention_heads"]);
const kvHeads = (config: Config) => Number(config["num_key_value_heads"] ?? heads(config));
const headDim = (config: Config) =>
  Number(config["head_dim"] ?? Number(config["hidden_size"]) / heads(config));

function commonKeys(config: Config): Record<string, GgufValue> {
  return {
    block_count: u32(config["num_hidden_layers"]),
    context_length: u32(config["max_position_embeddings"]),
    embedding_length: u32(config["hidden_size"]),
    feed_forward_length: u32(config["intermediate_size"]),
    "attention.head_count": u32(heads(config)),
    "attention.head_count_kv": u32(kvHeads(config)),
    "attention.layer_norm_rms_epsilon": f32(config["rms_norm_eps"]),
    "rope.freq_base": f32(config["rope_theta"] ?? 10_000),
    vocab_size: u32(config["vocab_size"]),
    ...(config["head_dim"] !== undefined && {
      "attention.key_length": u32(config["head_dim"]),
      "attention.value_length": u32(config["head_dim"]),
    }),
  };
}

const converter =
  ({ architecture, names = llamaNames, change, keys, more }: Family): Converter =>
  (config, tensors) => {
    const outer: Readonly<Record<string, string>> = outerNames;
    const converted = new Map<string, Values>();
    for (const [name, values] of tensors) {
      if (/\.experts\./.test(name)) continue; // stacked by `more`
      const [, layer = "", module = "", suffix = ""] =
        /^model\.layers\.(\d+)\.(.*?)\.(weight|bias)$/.exec(name) ?? [];
      const to = outer[name] ?? (names[module] && `blk.${layer}.${names[module]}.${suffix}`);
      if (to === undefined) throw new Error(`${architecture}: no name for ${name}`);
      converted.set(to, change ? change(to, values, config) : values);
    }
    for (const [name, values] of more?.(config, tensors) ?? []) converted.set(name, values);
    const own = { ...commonKeys(config), ...keys?.(config) };
    const metadata: GgufMetadata = {
      "general.architecture": text(architecture),
      "general.type": text("model"),
      "general.name": text("converted"),
      ...Object.fromEntries(Object.entries(own).map(([key, value]) => [`${architecture}.${key}`, value])),
    };
    return { metadata, tensors: converted };
  };

/** `LlamaModel.permute`: rows [H, 2, Dh / 2] become [H, Dh / 2, 2]. */
function permuted({ shape, values }: Values, numHeads: number): Values {
  const rows = shape[0]!;
  const width = values.length / rows;
  const half = rows / numHeads / 2;
  const out = new Float32Array(values.length);
  for (let head = 0; head < numHeads; head++)
    for (let side = 0; side < 2; side++)
      for (let i = 0; i < half; i++) {
        const from = (head * 2 + side) * half + i;
        out.set(values.subarray(from * width, (from + 1) * width), ((head * half + i) * 2 + side) * width);
      }
  return { shape, values: out };
}

/** Of q and k, weights and biases. */
const permuteQk = (name: string, values: Values, config: Config): Values => {
  if (/\.attn_q\./.test(name)) return permuted(values, heads(config));
  return /\.attn_k\./.test(name) ? permuted(values, kvHeads(config)) : values;
};

/** Experts as one tensor: gate, up, down by their names in the checkpoint. */
const stackedExperts =
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

/** Llama 3's scaling: the converter computes divisors of the frequencies. */
function ropeFreqs(config: Config): (readonly [string, Values])[] {
  const scaling = config["rope_scaling"] as Readonly<Record<string, unknown>> | null | undefined;
  if (scaling?.["rope_type"] !== "llama3") return [];
  const [factor, low, high, original] = [
    "factor",
    "low_freq_factor",
    "high_freq_factor",
    "original_max_position_embeddings",
  ].map((field) => Number(scaling[field])) as [number, number, number, number];
  const dim = headDim(config);
  const values = Float32Array.from({ length: dim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * Number(config["rope_theta"]) ** ((2 * i) / dim);
    if (wavelength < original / high) return 1;
    if (wavelength > original / low) return factor;
    const smooth = (original / wavelength - low) / (high - low);
    return 1 / ((1 - smooth) / factor + smooth);
  });
  return [["rope_freqs.weight", { shape: [dim / 2], values }]];
}

const llamaKeys = (config: Config) => ({ "rope.dimension_count": u32(headDim(config)) });
const expertKeys = (config: Config) => ({
  expert_count: u32(config["num_experts"] ?? config["num_local_experts"]),
  expert_used_count: u32(config["num_experts_per_tok"]),
});

const converters: Readonly<Record<string, Converter>> = {
  LlamaForCausalLM: converter({
    ...{ architecture: "llama", change: permuteQk, keys: llamaKeys, more: ropeFreqs },
  }),
  MixtralForCausalLM: converter({
    ...{ architecture: "llama", change: permuteQk },
    keys: (config) => ({ ...llamaKeys(config), ...expertKeys(config) }),
    more: stackedExperts("block_sparse_moe", ["w1", "w3", "w2"]),
  }),
  Qwen2ForCausalLM: converter({ architecture: "qwen2" }),
  Qwen3ForCausalLM: converter({ architecture: "qwen3" }),
  Qwen3MoeForCausalLM: converter({
    architecture: "qwen3moe",
    keys: (config) => ({
      ...expertKeys(config),
      expert_feed_forward_length: u32(config["moe_intermediate_size"]),
    }),
    more: stackedExperts("mlp"),
  }),
};

export function converterOf(config: Config): Converter {
  const [name = ""] = config["architectures"] as readonly string[];
  const found = converters[name];
  if (!found) throw new Error(`no converter for ${name}`);
  return found;
}
