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
  "mlp.gate_up_proj": "ffn_up",
  "self_attn.qkv_proj": "attn_qkv",
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

/** Gemma's weights of norms are stored as what is multiplied by. */
const normsPlusOne = (name: string, { shape, values }: Values): Values => ({
  shape,
  values: /norm\.weight$/.test(name) ? values.map((value) => 1 + value) : values,
});

const postNorms = {
  ...llamaNames,
  post_attention_layernorm: "post_attention_norm",
  pre_feedforward_layernorm: "ffn_norm",
  post_feedforward_layernorm: "post_ffw_norm",
};
const window = (config: Config) => ({ "attention.sliding_window": u32(config["sliding_window"]) });

/** Phi-3's lists of factors. */
function ropeFactors(config: Config): (readonly [string, Values])[] {
  const scaling = config["rope_scaling"] as Readonly<Record<string, readonly number[]>>;
  return ["long", "short"].map((kind) => {
    const values = Float32Array.from(scaling[`${kind}_factor`]!);
    return [`rope_factors_${kind}.weight`, { shape: [values.length], values }];
  });
}

function phi3Keys(config: Config): Record<string, GgufValue> {
  const original = Number(config["original_max_position_embeddings"]);
  const scale = Number(config["max_position_embeddings"]) / original;
  return {
    "rope.dimension_count": u32(headDim(config) * Number(config["partial_rotary_factor"])),
    "rope.scaling.original_context_length": u32(original),
    "rope.scaling.attn_factor": f32(Math.sqrt(1 + Math.log(scale) / Math.log(original))),
    "attention.sliding_window": u32(config["sliding_window"] ?? 0),
  };
}

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
  GraniteForCausalLM: converter({
    ...{ architecture: "granite", change: permuteQk },
    keys: (config) => ({
      "attention.scale": f32(config["attention_multiplier"]),
      embedding_scale: f32(config["embedding_multiplier"]),
      residual_scale: f32(config["residual_multiplier"]),
      logit_scale: f32(config["logits_scaling"]),
    }),
  }),
  SmolLM3ForCausalLM: converter({ architecture: "smollm3", change: permuteQk, keys: llamaKeys }),
  Olmo2ForCausalLM: converter({ architecture: "olmo2", names: postNorms }),
  Glm4ForCausalLM: converter({
    architecture: "glm4",
    names: {
      ...llamaNames,
      post_self_attn_layernorm: "post_attention_norm",
      post_mlp_layernorm: "post_ffw_norm",
    },
    keys: (config) => ({
      "rope.dimension_count": u32(headDim(config) * Number(config["partial_rotary_factor"])),
    }),
  }),
  Phi3ForCausalLM: converter({ architecture: "phi3", keys: phi3Keys, more: ropeFactors }),
  Gemma2ForCausalLM: converter({
    ...{ architecture: "gemma2", names: postNorms, change: normsPlusOne },
    keys: (config) => ({
      ...window(config),
      attn_logit_softcapping: f32(config["attn_logit_softcapping"]),
      final_logit_softcapping: f32(config["final_logit_softcapping"]),
    }),
  }),
  Gemma3ForCausalLM: converter({
    ...{ architecture: "gemma3", names: postNorms, change: normsPlusOne },
    keys: (config) => ({ ...window(config), "rope.freq_base_swa": f32(config["rope_local_base_freq"]) }),
  }),
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
