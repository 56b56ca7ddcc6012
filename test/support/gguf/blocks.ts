/** Tiny models as GGUF files with weights in random blocks, each beside a file of the values of the same blocks. */
import type { StoredFormat } from "../../../lib/ops/dequantize.js";
import { dequantised } from "../../reference/storedFormats.js";
import { Random } from "../random.js";
import { randomStored } from "../storedRows.js";
import { encodeGguf, type GgufMetadata, type GgufTensor, type GgufValue } from "./format.js";

type Tensors = readonly (readonly [name: string, shape: readonly number[]])[];
export interface TinyModel {
  readonly architecture: string;
  readonly keys: GgufMetadata;
  readonly tensors: Tensors;
}

const u32 = (value: number): GgufValue => ({ type: "u32", value });
const f32 = (value: number): GgufValue => ({ type: "f32", value });
export const vocabSize = 96;
const [V, D, F, E, H, headDim] = [vocabSize, 256, 256, 3, 4, 64];
const numLayers = 2;

const layers = (tensors: Tensors): Tensors =>
  Array.from({ length: numLayers }, (_, layer) =>
    tensors.map(([name, shape]) => [`blk.${layer}.${name}`, shape] as const),
  ).flat();
const common: GgufMetadata = {
  ...{ block_count: u32(numLayers), context_length: u32(64), embedding_length: u32(D) },
  ...{ feed_forward_length: u32(F), "attention.head_count": u32(H), "attention.head_count_kv": u32(2) },
  "attention.layer_norm_rms_epsilon": f32(1e-6),
};
const outer: Tensors = [
  ["token_embd.weight", [V, D]],
  ["output_norm.weight", [D]],
];
const attention: Tensors = [
  ["attn_norm.weight", [D]],
  ["attn_q.weight", [H * headDim, D]],
  ["attn_k.weight", [2 * headDim, D]],
  ["attn_v.weight", [2 * headDim, D]],
  ["attn_output.weight", [D, H * headDim]],
  ["ffn_norm.weight", [D]],
];
const mlp: Tensors = [
  ["ffn_gate.weight", [F, D]],
  ["ffn_up.weight", [F, D]],
  ["ffn_down.weight", [D, F]],
];
const experts: Tensors = [
  ["ffn_gate_inp.weight", [E, D]],
  ["ffn_gate_exps.weight", [E, F, D]],
  ["ffn_up_exps.weight", [E, F, D]],
  ["ffn_down_exps.weight", [E, D, F]],
];
const expertKeys = { expert_count: u32(E), expert_used_count: u32(2), expert_feed_forward_length: u32(F) };

/** Its queries and keys are permuted, and its head is the embedding. */
export const llama: TinyModel = {
  ...{ architecture: "llama", keys: common, tensors: [...outer, ...layers([...attention, ...mlp])] },
};
export const mixture: TinyModel = {
  architecture: "qwen3moe",
  keys: { ...common, ...expertKeys },
  tensors: [
    ...[...outer, ["output.weight", [V, D]] as const],
    ...layers([
      ...attention,
      ["attn_q_norm.weight", [headDim]],
      ["attn_k_norm.weight", [headDim]],
      ...experts,
    ]),
  ],
};
const [rank, rotated, plain, value] = [256, 64, 256, 256];
export const latents: TinyModel = {
  architecture: "deepseek2",
  keys: {
    ...{ ...common, ...expertKeys, "attention.head_count_kv": u32(1), leading_dense_block_count: u32(1) },
    ...{ "attention.kv_lora_rank": u32(rank), "rope.dimension_count": u32(rotated) },
    "attention.key_length_mla": u32(plain + rotated),
    "attention.value_length_mla": u32(value),
    expert_shared_count: u32(0),
  },
  tensors: [
    ...[...outer, ["output.weight", [V, D]] as const],
    ...layers([
      ["attn_norm.weight", [D]],
      ["attn_q.weight", [H * (plain + rotated), D]],
      ["attn_kv_a_mqa.weight", [rank + rotated, D]],
      ["attn_kv_a_norm.weight", [rank]],
      ["attn_k_b.weight", [H, rank, plain]],
      ["attn_v_b.weight", [H, value, rank]],
      ["attn_output.weight", [D, H * value]],
      ["ffn_norm.weight", [D]],
    ]),
    ...mlp.map(([name, shape]) => [`blk.0.${name}`, shape] as const),
    ...experts.map(([name, shape]) => [`blk.1.${name}`, shape] as const),
  ],
};

export type BlockType = StoredFormat & GgufTensor["dtype"];

/** A file in blocks, and one of their values. Norms and routers are numbers in any file. */
export function filesOf({ architecture, keys, tensors }: TinyModel, typeOf: (name: string) => BlockType) {
  const random = new Random(7);
  const inBlocks: GgufTensor[] = [];
  const inFloats: GgufTensor[] = [];
  for (const [name, shape] of tensors) {
    const numbers = shape.reduce((product, size) => product * size, 1);
    const isBlocks = shape.length > 1 && !name.includes("gate_inp");
    const K = shape.at(-1)!;
    const stored = isBlocks ? randomStored({ format: typeOf(name), N: numbers / K, K }, random) : undefined;
    const values = stored
      ? Float32Array.from(dequantised(stored))
      : Float32Array.from({ length: numbers }, () => random.uniform(0.5, 1.5));
    const floats: GgufTensor = {
      ...{ name, shape, dtype: "f32", data: () => [new Uint8Array(values.buffer)] },
    };
    inFloats.push(floats);
    inBlocks.push(stored ? { name, shape, dtype: typeOf(name), data: () => [stored.codes] } : floats);
  }
  const own = Object.entries(keys).map(([key, entry]) => [`${architecture}.${key}`, entry] as const);
  const metadata: GgufMetadata = {
    "general.architecture": { type: "string", value: architecture },
    ...Object.fromEntries(own),
  };
  return [inBlocks, inFloats].map((list) => encodeGguf(metadata, list));
}
