/**
 * What the converters of llama.cpp do with each family (conversion/*.py and gguf-py's tensor_mapping.py): keys, names, layouts. They are
 * spelled out here, apart from lib/gguf.
 */
import type { Config, Values } from "./convert.js";
import {
  type Converter,
  converter,
  expertKeys,
  f32,
  headDim,
  heads,
  kvHeads,
  llamaNames,
  stackedExperts,
  type Tensors,
  u32,
  window,
} from "./converter.js";
import type { GgufValue } from "./format.js";
import { layerNormed, windowedLayers } from "./layerNormed.js";
import { mixtures, yarnKeys } from "./mixtures.js";

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

/** Without `layer_types` OLMo 3 has windows in all layers but each fourth. */
const olmo3Layers = (config: Config) => ({
  layer_types: Array.from({ length: Number(config["num_hidden_layers"]) }, (_, i) =>
    i % 4 === 3 ? "full_attention" : "sliding_attention",
  ),
  ...config,
});

/** Of Granite's experts, whose gate and up are one tensor, a half of each. */
const graniteHalves = (_: Config, tensors: Tensors): readonly (readonly [string, Values])[] =>
  [...tensors].flatMap(([name, { shape, values }]) => {
    const [, layer] = /^model\.layers\.(\d+)\.block_sparse_moe\.input_linear\.weight$/.exec(name) ?? [];
    if (layer === undefined) return [];
    const [experts, rows, columns] = shape as readonly [number, number, number];
    const size = (rows / 2) * columns;
    return ["gate", "up"].map((half, i) => {
      const own = Array.from({ length: experts }, (_e, expert) =>
        Array.from(values.subarray((2 * expert + i) * size, (2 * expert + i + 1) * size)),
      );
      const part = { shape: [experts, rows / 2, columns], values: Float32Array.from(own.flat()) };
      return [`blk.${layer}.ffn_${half}_exps.weight`, part] as const;
    });
  });

const converters: Readonly<Record<string, Converter>> = {
  ...{ ...mixtures, ...layerNormed },
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
  GraniteMoeForCausalLM: converter({
    ...{ architecture: "granitemoe", change: permuteQk },
    names: {
      ...llamaNames,
      "block_sparse_moe.router.layer": "ffn_gate_inp",
      "block_sparse_moe.output_linear": "ffn_down_exps",
    },
    keys: (config) => ({
      ...{ ...expertKeys(config), "attention.scale": f32(config["attention_multiplier"]) },
      ...{
        embedding_scale: f32(config["embedding_multiplier"]),
        residual_scale: f32(config["residual_multiplier"]),
        logit_scale: f32(config["logits_scaling"]),
      },
    }),
    more: graniteHalves,
  }),
  SmolLM3ForCausalLM: converter({ architecture: "smollm3", change: permuteQk, keys: llamaKeys }),
  Olmo2ForCausalLM: converter({ architecture: "olmo2", names: postNorms }),
  Olmo3ForCausalLM: converter({
    ...{ architecture: "olmo2", names: postNorms },
    keys: (config) => ({ ...window(config), ...yarnKeys(config), ...windowedLayers(olmo3Layers(config)) }),
  }),
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
