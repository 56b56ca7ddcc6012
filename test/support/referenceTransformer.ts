/**
 * A Llama-like decoder in float64, written from the math and not from lib/models: the whole sequence at once, no cache. It is
 * composed of the references of the ops.
 */
import { ropeTable, type RopeTableOptions } from "../../lib/nn/ropeTable.js";
import { embedding } from "../reference/embedding.js";
import { flashAttention } from "../reference/flashAttention.js";
import { geluMul } from "../reference/geluMul.js";
import { linear } from "../reference/linear.js";
import { moeRoute } from "../reference/moeRoute.js";
import { rmsNorm } from "../reference/rmsNorm.js";
import { rope } from "../reference/rope.js";
import { siluMul } from "../reference/siluMul.js";
import { hasHeadNorms, isSparse, type TinyConfig, type TinyTensors } from "./tinyCheckpoint.js";

/** What the caller reads from the config itself, so that the test does not trust a reader. */
export interface ReferenceOptions {
  /** Keys that a query of a layer sees; 0 is all. Default: all. */
  readonly windowOf?: ((layer: number) => number) | undefined;
  /** How positions are rotated where it is not `rope_theta` and `rope_scaling` over the whole head. */
  readonly rope?: Partial<RopeTableOptions> | undefined;
}

/** @returns logits [T, V] */
export function referenceTransformer(
  config: TinyConfig,
  tensors: TinyTensors,
  tokens: readonly number[],
  { windowOf = () => 0, rope: rotation = {} }: ReferenceOptions = {},
): Float64Array {
  const { vocab_size: V, hidden_size: D } = config;
  const T = tokens.length;
  const model = new Weights(tensors, T);
  const eps = config["rms_norm_eps"] as number;
  let x: Float64Array = embedding(Int32Array.from(tokens), model.get("model.embed_tokens.weight"), { V, D });
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `model.layers.${layer}`;
    const norm = (name: string) => rmsNorm(x, model.get(`${at}.${name}.weight`), { T, D }, { eps }).out;
    x = sum(
      x,
      attention(config, model, norm("input_layernorm"), {
        ...{ at: `${at}.self_attn`, window: windowOf(layer), rotation },
      }),
    );
    const h = norm("post_attention_layernorm");
    x = sum(
      x,
      isSparse(config, layer) ? experts(config, model, h, `${at}.mlp`) : mlp(config, model, h, `${at}.mlp`),
    );
  }
  const hidden = rmsNorm(x, model.get("model.norm.weight"), { T, D }, { eps }).out;
  return model.apply(tensors.has("lm_head.weight") ? "lm_head" : "model.embed_tokens", hidden);
}

class Weights {
  constructor(
    readonly tensors: TinyTensors,
    readonly T: number,
  ) {}

  get(name: string): Float64Array {
    return this.tensors.get(name)!.values;
  }

  /** x W^T + bias, with the bias if there is one. */
  apply(name: string, x: Float64Array, T = this.T): Float64Array {
    const [N, K] = this.tensors.get(`${name}.weight`)!.shape as [number, number];
    const bias = this.tensors.get(`${name}.bias`)?.values;
    return linear(x, this.get(`${name}.weight`), { T, N, K }, bias ? { bias } : {});
  }
}

function attention(
  config: TinyConfig,
  model: Weights,
  x: Float64Array,
  options: { readonly at: string; readonly window: number; readonly rotation: Partial<RopeTableOptions> },
): Float64Array {
  const { num_attention_heads: Hq, num_key_value_heads: Hkv, head_dim: Dh } = config;
  const { T } = model;
  const { at, window, rotation } = options;
  const positions = Int32Array.from({ length: T }, (_, t) => t);
  const angles = ropeTable({
    rotaryDim: Dh,
    theta: config["rope_theta"] as number,
    maxLength: T,
    maxPositionEmbeddings: config["max_position_embeddings"] as number,
    scaling: config["rope_scaling"] as Record<string, unknown> | undefined,
    ...rotation,
  });
  const heads = (name: string, H: number): Float64Array => {
    let y = model.apply(`${at}.${name}_proj`, x);
    if (hasHeadNorms(config)) {
      const eps = config["rms_norm_eps"] as number;
      y = rmsNorm(y, model.get(`${at}.${name}_norm.weight`), { T: T * H, D: Dh }, { eps }).out;
    }
    return rope(y, positions, Float64Array.from(angles.table), { T, H, Dh, R: angles.rotaryDim });
  };
  const v = model.apply(`${at}.v_proj`, x);
  const { out } = flashAttention(heads("q", Hq), heads("k", Hkv), v, { Hq, Hkv, Dh, Dv: Dh }, { window });
  return model.apply(`${at}.o_proj`, out);
}

function mlp(config: TinyConfig, model: Weights, x: Float64Array, at: string, T = model.T): Float64Array {
  const gate = model.apply(`${at}.gate_proj`, x, T);
  const up = model.apply(`${at}.up_proj`, x, T);
  const F = gate.length / T;
  const both = new Float64Array(2 * T * F);
  for (let t = 0; t < T; t++) {
    both.set(gate.subarray(t * F, (t + 1) * F), 2 * t * F);
    both.set(up.subarray(t * F, (t + 1) * F), (2 * t + 1) * F);
  }
  const act = config["hidden_act"] ?? "silu";
  const approximate = act === "gelu" ? "none" : "tanh";
  const hidden = act === "silu" ? siluMul(both, { T, F }) : geluMul(both, { T, F }, { approximate });
  return model.apply(`${at}.down_proj`, hidden, T);
}

function experts(config: TinyConfig, model: Weights, x: Float64Array, at: string): Float64Array {
  const { T } = model;
  const D = config.hidden_size;
  const [E, K] = [config["num_experts"] as number, config["num_experts_per_tok"] as number];
  const renormalize = config["norm_topk_prob"] as boolean;
  const routing = moeRoute(model.apply(`${at}.gate`, x), { T, E, K }, { scores: "softmax", renormalize });
  const out = new Float64Array(T * D);
  for (let t = 0; t < T; t++) {
    for (let k = 0; k < K; k++) {
      const expert = `${at}.experts.${routing.experts[t * K + k]}`;
      const y = mlp(config, model, x.subarray(t * D, (t + 1) * D), expert, 1);
      for (let d = 0; d < D; d++) out[t * D + d]! += routing.weights[t * K + k]! * y[d]!;
    }
  }
  return out;
}

function sum(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]!);
}
