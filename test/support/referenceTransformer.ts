/**
 * A Llama-like decoder in float64, written from the math and not from lib/models: the whole sequence at once, no cache. It is
 * composed of the references of the blocks and ops.
 */
import type { Caps, Factors } from "../../lib/models/transformerConfig.js";
import { ropeTable, type RopeTableOptions } from "../../lib/nn/ropeTable.js";
import {
  type Activation,
  type Angles,
  attention,
  gatedMlp,
  type Matrix,
  plainMlp,
  product,
  sum,
} from "../reference/blocks.js";
import { embedding } from "../reference/embedding.js";
import { latentAttention } from "../reference/latentAttention.js";
import { layerNorm } from "../reference/layerNorm.js";
import { rmsNorm } from "../reference/rmsNorm.js";
import { softcap } from "../reference/softcap.js";
import { latentSizes, type TinyConfig, type TinyTensors } from "./tinyCheckpoint.js";
import { layoutOf, type QkNorm, type TinyLayout } from "./tinyLayouts.js";
import { mixtureOf, referenceMixture } from "./tinyMixture.js";

/** What the caller reads from the config itself, so that the test does not trust a reader. */
export interface ReferenceOptions {
  /** Keys that a query of a layer sees; 0 is all. Default: all. */
  readonly windowOf?: ((layer: number) => number) | undefined;
  /** Default: 1, and 1 / sqrt(Dh) on scores. */
  readonly factors?: Partial<Factors> | undefined;
  /** Default: none. */
  readonly caps?: Caps | undefined;
  /** Of queries, keys and values. Default: none. */
  readonly clip?: number | undefined;
  /** Whether queries and keys of a layer are rotated. Default: yes. */
  readonly isRotated?: ((layer: number) => boolean) | undefined;
  /** How positions are rotated where it is not `rope_theta` and `rope_scaling` over the whole head. */
  readonly rope?: Partial<RopeTableOptions> | undefined;
  /** The same of layers with a window, where it is another rotation. */
  readonly windowedRope?: Partial<RopeTableOptions> | undefined;
  /** What norms of queries and keys run over where it is not what the family says. */
  readonly qkNorm?: QkNorm | undefined;
  /** The same of what is else in its layout. */
  readonly layout?: Partial<TinyLayout> | undefined;
}

/** @returns logits [T, V] */
export function referenceTransformer(
  config: TinyConfig,
  tensors: TinyTensors,
  tokens: readonly number[],
  options: ReferenceOptions = {},
): Float64Array {
  const { factors = {}, caps = {} } = options;
  const hidden = referenceHidden(config, tensors, tokens, options);
  const head = new Weights(config, tensors).matrix(
    tensors.has("lm_head.weight") ? "lm_head" : "model.embed_tokens",
  );
  const logits = product(hidden, head).map((value) => value * (factors.logits ?? 1));
  return caps.logits === undefined ? logits : softcap(logits, { cap: caps.logits });
}

/** @returns hidden states behind the last norm, without its factor on logits: [T, D] */
export function referenceHidden(
  config: TinyConfig,
  tensors: TinyTensors,
  tokens: readonly number[],
  {
    windowOf = () => 0,
    isRotated = () => true,
    factors = {},
    caps = {},
    clip,
    rope: rotation = {},
    windowedRope = rotation,
    qkNorm = layoutOf(config).qkNorm ?? "none",
    layout: changed = {},
  }: ReferenceOptions = {},
): Float64Array {
  const { vocab_size: V, hidden_size: D } = config;
  const T = tokens.length;
  const model = new Weights(config, tensors);
  const layout = { ...layoutOf(config), ...changed };
  const { norms } = layout;
  const [angles, windowedAngles] = [rotation, windowedRope].map((of) => anglesOf(config, T, of, layout));
  const normed = (name: string, of: Float64Array) => model.normed(name, of, layout);
  const scaled = (values: Float64Array, factor = 1) => values.map((value) => value * factor);
  const table = model.get("model.embed_tokens.weight");
  let x: Float64Array = scaled(embedding(Int32Array.from(tokens), table, { V, D }), factors.embedding);
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `model.layers.${layer}`;
    const norm = (name: string | undefined, of: Float64Array) => (name ? normed(`${at}.${name}`, of) : of);
    const shape = {
      ...shapeOf(config, windowOf(layer), qkNorm),
      ...(factors.scores && { scale: factors.scores }),
      ...{ softcap: caps.scores, clip },
    };
    const rotated = isRotated(layer) && { angles: windowOf(layer) > 0 ? windowedAngles : angles };
    const before = norm(norms.attention, x);
    const { out } = layout.latent
      ? model.latentAttention(at, before, angles!, factors.scores)
      : attention(before, { ...model.attention(at, qkNorm), ...rotated }, shape);
    x = sum(x, scaled(norm(norms.attentionPost, out), factors.residual));
    const h = layout.parallel ? before : norm(norms.mlp, x);
    const mixture = mixtureOf(config, layer);
    const get = (name: string) => model.get(`${at}.${name}`);
    const made = mixture ? referenceMixture(h, config, mixture, get) : model.mlp(`${at}.mlp`, h);
    x = sum(x, scaled(norm(norms.mlpPost, made), factors.residual));
  }
  return normed("model.norm", x);
}

function anglesOf(
  config: TinyConfig,
  maxLength: number,
  rotation: Partial<RopeTableOptions>,
  { interleaved }: TinyLayout,
) {
  const { table, rotaryDim } = ropeTable({
    rotaryDim: latentSizes(config).Dr || config.head_dim,
    theta: config["rope_theta"] as number,
    maxLength,
    maxPositionEmbeddings: config["max_position_embeddings"] as number,
    scaling: config["rope_scaling"] as Record<string, unknown> | undefined,
    ...rotation,
  });
  return { table: Float64Array.from(table), R: rotaryDim, interleaved };
}

function shapeOf(config: TinyConfig, window: number, qkNorm: QkNorm) {
  const { num_attention_heads: Hq, num_key_value_heads: Hkv, head_dim: Dh } = config;
  const normsAllHeads = qkNorm === "all heads";
  const eps = config[layoutOf(config).epsField ?? "rms_norm_eps"] as number;
  return { Hq, Hkv, Dh, window, scale: 1 / Math.sqrt(Dh), eps, normsAllHeads };
}

/** The weights of a checkpoint under their names. */
class Weights {
  constructor(
    readonly config: TinyConfig,
    readonly tensors: TinyTensors,
  ) {}

  get(name: string): Float64Array {
    return this.tensors.get(name)!.values;
  }

  /** What a norm multiplies by. */
  norm(name: string): Float64Array {
    const offset = layoutOf(this.config).normsAddOne ? 1 : 0;
    return this.get(`${name}.weight`).map((weight) => offset + weight);
  }

  /** x behind a norm of the stream. */
  normed(name: string, x: Float64Array, { norm, epsField = "rms_norm_eps" }: TinyLayout): Float64Array {
    const D = this.config.hidden_size;
    const [shape, eps] = [{ T: x.length / D, D }, this.config[epsField] as number];
    if (norm === undefined) return rmsNorm(x, this.norm(name), shape, { eps }).out;
    const bias = norm === "layer" ? this.get(`${name}.bias`) : null;
    return layerNorm(x, this.get(`${name}.weight`), bias, shape, { eps });
  }

  /** With the bias if there is one. @param rows only those from `first` up to `end` */
  matrix(name: string, first = 0, end = Infinity): Matrix {
    const { shape, values } = this.tensors.get(`${name}.weight`)!;
    const [rows, K] = shape as [number, number];
    const N = Math.min(end, rows) - first;
    const bias = this.tensors.get(`${name}.bias`)?.values.slice(first, first + N);
    return { values: values.slice(first * K, (first + N) * K), N, K, bias };
  }

  attention(at: string, qkNorm: QkNorm) {
    const { num_attention_heads: Hq, num_key_value_heads: Hkv, head_dim: Dh } = this.config;
    const ends = [Hq, Hq + Hkv, Hq + 2 * Hkv].map((heads) => heads * Dh);
    const [q, k, v] = ["q", "k", "v"].map((name, i) =>
      layoutOf(this.config).fusedQkv
        ? this.matrix(`${at}.self_attn.qkv_proj`, ends[i - 1] ?? 0, ends[i])
        : this.matrix(`${at}.self_attn.${name}_proj`),
    ) as [Matrix, Matrix, Matrix];
    const output = this.matrix(`${at}.self_attn.o_proj`);
    const norms = qkNorm !== "none" && {
      qNorm: this.norm(`${at}.self_attn.q_norm`),
      kNorm: this.norm(`${at}.self_attn.k_norm`),
    };
    const sinks = layoutOf(this.config).sinks && { sinks: this.get(`${at}.self_attn.sinks`) };
    return { q, k, v, output, ...norms, ...sinks };
  }

  /** What DeepSeek's attention makes of x. @param scale default: that of the width of a query */
  latentAttention(at: string, x: Float64Array, angles: Angles, scale?: number) {
    const { Rq, ...sizes } = latentSizes(this.config);
    const of = (name: string) => this.matrix(`${at}.self_attn.${name}`);
    const normOf = (name: string) => this.get(`${at}.self_attn.${name}.weight`);
    const hasLatents = Rq > 0;
    return latentAttention(
      x,
      {
        queryLatents: hasLatents ? { matrix: of("q_a_proj"), norm: normOf("q_a_layernorm") } : undefined,
        ...{ queries: of(hasLatents ? "q_b_proj" : "q_proj"), latents: of("kv_a_proj_with_mqa") },
        ...{ latentNorm: normOf("kv_a_layernorm"), up: of("kv_b_proj"), output: of("o_proj"), angles },
      },
      {
        ...{ H: this.config.num_attention_heads, ...sizes, eps: 1e-6 }, // whatever rms_norm_eps says
        scale: scale ?? (sizes.Dn + sizes.Dr) ** -0.5,
      },
    );
  }

  mlp(at: string, x: Float64Array): Float64Array {
    const { activationField = "hidden_act" } = layoutOf(this.config);
    const { plainMlp: isPlain } = layoutOf(this.config);
    const isSilu = activationField === "hidden_act" && !isPlain; // of the classes
    const act = this.config[activationField] ?? (isSilu ? "silu" : "tanh");
    const activation: Activation = act === "silu" ? "silu" : { gelu: act === "gelu" ? "none" : "tanh" };
    if (!isPlain || activation === "silu") return gatedMlp(x, this.#gated(at), activation);
    const [up, down] = ["c_fc", "c_proj"].map((name) => this.matrix(`${at}.${name}`));
    return plainMlp(x, { up: up!, down: down! }, activation.gelu);
  }

  #gated(at: string) {
    if (layoutOf(this.config).fusedGateUp) {
      const F = this.config.intermediate_size;
      const [gate, up] = [0, F].map((first) => this.matrix(`${at}.gate_up_proj`, first, first + F));
      return { gate: gate!, up: up!, down: this.matrix(`${at}.down_proj`) };
    }
    return {
      gate: this.matrix(`${at}.gate_proj`),
      up: this.matrix(`${at}.up_proj`),
      down: this.matrix(`${at}.down_proj`),
    };
  }
}
