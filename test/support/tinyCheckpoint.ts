/**
 * Random checkpoints of a few kilobytes on disk, for what the goldens do not cover: other dtypes, biases, windows, dense
 * layers among sparse ones, and files with something wrong. Names are spelled out here on purpose: they check lib/models.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { toStorage, type FloatDType } from "./dtype.js";
import { Random } from "./random.js";
import { encodeSafetensors } from "./safetensors.js";
import { layoutOf } from "./tinyLayouts.js";
import { mixtureOf, mixtureShapes } from "./tinyMixture.js";

export type TinyConfig = Readonly<Record<string, unknown>> & {
  readonly architectures: readonly [string];
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly head_dim: number;
};

export interface TinyTensor {
  readonly shape: readonly number[];
  readonly dtype: FloatDType;
  /** Rounded to the dtype. */
  readonly values: Float64Array;
}

export type TinyTensors = Map<string, TinyTensor>;

/** A config of a family of lib/models/transformer.ts; `fields` are added or replaced. */
export function tinyConfig(architecture: string, fields: Readonly<Record<string, unknown>> = {}): TinyConfig {
  return {
    architectures: [architecture],
    vocab_size: 37,
    hidden_size: 24,
    intermediate_size: 20,
    num_hidden_layers: 2,
    num_attention_heads: 4,
    num_key_value_heads: 2,
    head_dim: 16,
    max_position_embeddings: 128,
    rms_norm_eps: 1e-5,
    rope_theta: 10000,
    ...fields,
  };
}

/** Random tensors for a config. `dtypeOf` chooses the dtype of each by its name. */
export function tinyTensors(
  config: TinyConfig,
  dtypeOf: (name: string) => FloatDType = () => "f32",
): TinyTensors {
  const random = new Random(11);
  const shapes = tensorShapes(config);
  return new Map(
    [...shapes].map(([name, shape]) => {
      const dtype = dtypeOf(name);
      const count = shape.reduce((product, size) => product * size, 1);
      const isNorm = /norm.*weight$/.test(name);
      const values = random.normal(count, { dtype, std: isNorm ? 0.3 : shape.at(-1)! ** -0.5 });
      return [name, { shape, dtype, values }];
    }),
  );
}

function tensorShapes(config: TinyConfig): Map<string, readonly number[]> {
  const { vocab_size: V, hidden_size: D, intermediate_size: F, head_dim: Dh } = config;
  const Q = config.num_attention_heads * Dh;
  const KV = config.num_key_value_heads * Dh;
  const { norms, qkNorm, plainOutput, fusedQkv, fusedGateUp, plainMlp, sinks, latent } = layoutOf(config);
  const shapes = new Map<string, readonly number[]>([["model.embed_tokens.weight", [V, D]]]);
  const vectors = (name: string): void => {
    shapes.set(`${name}.weight`, [D]);
    if (layoutOf(config).norm === "layer") shapes.set(`${name}.bias`, [D]);
  };
  vectors("model.norm");
  if (!config["tie_word_embeddings"]) shapes.set("lm_head.weight", [V, D]);
  const matrix = (name: string, rows: number, columns: number, bias: unknown): void => {
    shapes.set(`${name}.weight`, [rows, columns]);
    if (bias) shapes.set(`${name}.bias`, [rows]);
  };
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    const at = `model.layers.${layer}`;
    for (const name of Object.values(norms)) vectors(`${at}.${name}`);
    const three = [
      ["q", Q],
      ["k", KV],
      ["v", KV],
    ] as const;
    if (latent) {
      for (const [name, shape] of latentShapes(config)) shapes.set(`${at}.self_attn.${name}.weight`, shape);
    }
    for (const [name, rows] of latent ? [] : fusedQkv ? [["qkv", Q + 2 * KV] as const] : three) {
      matrix(`${at}.self_attn.${name}_proj`, rows, D, hasQkvBias(config));
    }
    if (!latent) matrix(`${at}.self_attn.o_proj`, D, Q, !plainOutput && hasBias(config));
    if (qkNorm) {
      shapes.set(`${at}.self_attn.q_norm.weight`, [qkNorm === "each head" ? Dh : Q]);
      shapes.set(`${at}.self_attn.k_norm.weight`, [qkNorm === "each head" ? Dh : KV]);
    }
    if (sinks) shapes.set(`${at}.self_attn.sinks`, [config.num_attention_heads]);
    const mixture = mixtureOf(config, layer);
    if (mixture) {
      for (const [name, shape] of mixtureShapes(config, mixture)) shapes.set(`${at}.${name}`, shape);
    } else if (plainMlp) {
      matrix(`${at}.mlp.c_fc`, F, D, config["use_bias"]);
      matrix(`${at}.mlp.c_proj`, D, F, config["use_bias"]);
    } else {
      if (fusedGateUp) matrix(`${at}.mlp.gate_up_proj`, 2 * F, D, false);
      else for (const name of ["gate", "up"]) matrix(`${at}.mlp.${name}_proj`, F, D, config["mlp_bias"]);
      matrix(`${at}.mlp.down_proj`, D, F, config["mlp_bias"]);
    }
  }
  return shapes;
}

/** The sizes of latent attention: Dn, Dr, Dv, R, and Rq, which is 0 where queries have no latents. */
export function latentSizes(config: TinyConfig) {
  const size = (field: string): number => (config[field] ?? 0) as number;
  return {
    ...{ Dn: size("qk_nope_head_dim"), Dr: size("qk_rope_head_dim"), Dv: size("v_head_dim") },
    ...{ R: size("kv_lora_rank"), Rq: size("q_lora_rank") },
  };
}

function latentShapes(config: TinyConfig): readonly (readonly [string, readonly number[]])[] {
  const { hidden_size: D, num_attention_heads: H } = config;
  const { Dn, Dr, Dv, R, Rq } = latentSizes(config);
  const queries = H * (Dn + Dr);
  return [
    ...(Rq > 0
      ? ([
          ["q_a_proj", [Rq, D]],
          ["q_a_layernorm", [Rq]],
          ["q_b_proj", [queries, Rq]],
        ] as const)
      : [["q_proj", [queries, D]] as const]),
    ["kv_a_proj_with_mqa", [R + Dr, D]],
    ["kv_a_layernorm", [R]],
    ["kv_b_proj", [H * (Dn + Dv), R]],
    ["o_proj", [D, H * Dv]],
  ];
}

/** Of all projections of attention. */
function hasBias(config: TinyConfig): boolean {
  return [config["attention_bias"], config["use_bias"]].includes(true); // the latter of Starcoder2
}

/** Qwen2 has them without a field, Qwen2-MoE unless its field says no. */
function hasQkvBias(config: TinyConfig): boolean {
  const isOfQwen2 = config.architectures[0].startsWith("Qwen2") && config["qkv_bias"] !== false;
  return isOfQwen2 || config["use_qkv_bias"] === true || hasBias(config);
}

/** Writes a checkpoint folder that is removed when the test ends. */
export async function writeCheckpoint(config: unknown, tensors: TinyTensors): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "warploop-checkpoint-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  const stored = [...tensors].map(([name, { shape, dtype, values }]) => {
    const { buffer } = toStorage(dtype, values);
    return [
      name,
      { dtype: dtype.toUpperCase(), shape, data: new Uint8Array(buffer as ArrayBuffer) },
    ] as const;
  });
  await writeFile(join(folder, "model.safetensors"), encodeSafetensors(Object.fromEntries(stored)));
  return folder;
}
