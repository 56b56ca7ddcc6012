/** How a family's checkpoint becomes a file of the peer: other names and layouts, the same values. */
import type { TransformerShape } from "../../support/families/tensors.js";
import type { RandomTensor } from "../../support/randomValues.js";
import type { GgufValue } from "../../../test/support/gguf/format.js";

/** A tensor of the file. */
export interface GgufSource {
  readonly name: string;
  readonly shape: readonly number[];
  /** Matrices f16, what is small f32, as the peer's converter has it. */
  readonly dtype: "f32" | "f16";
  /** Tensors of the checkpoint, whose elements follow one another. */
  readonly from: readonly RandomTensor[];
  /** Which of those elements stands at an index of the file's tensor. Default: the same. */
  readonly order?: (index: number) => number;
  /** What the file has for such a value, in f32. Default: the value. */
  readonly map?: (value: number) => number;
}

export interface GgufModel {
  readonly architecture: string;
  /** Keys without the architecture in front. */
  readonly metadata: Readonly<Record<string, GgufValue>>;
  readonly tensors: readonly GgufSource[];
}

/** A tensor of the checkpoint by its name. @throws Error if there is none */
export type Find = (name: string) => RandomTensor;

export function finder(tensors: readonly RandomTensor[]): Find {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  return (name) => {
    const found = byName.get(name);
    if (!found) throw new Error(`${name}: the checkpoint has no such tensor`);
    return found;
  };
}

/** The tensor as it is: f16 if it is a matrix. */
export function same(name: string, tensor: RandomTensor): GgufSource {
  const dtype = tensor.shape.length === 1 ? "f32" : "f16";
  return { name, shape: tensor.shape, dtype, from: [tensor] };
}

/** The file's weights of a layer from the checkpoint's, by their names without ".weight". */
export function renamed(
  find: Find,
  [from, to]: readonly [string, string],
  names: Readonly<Record<string, string>>,
): GgufSource[] {
  return Object.entries(names).map(([theirs, ours]) =>
    same(`${to}.${theirs}.weight`, find(`${from}.${ours}.weight`)),
  );
}

export const attentionNames = {
  attn_q: "self_attn.q_proj",
  attn_k: "self_attn.k_proj",
  attn_v: "self_attn.v_proj",
  attn_output: "self_attn.o_proj",
};

export const mlpNames = { ffn_gate: "mlp.gate_proj", ffn_up: "mlp.up_proj", ffn_down: "mlp.down_proj" };

export const attentionBiases = (find: Find, layer: string, block: string): GgufSource[] =>
  ["q", "k", "v"].map((part) =>
    same(`${block}.attn_${part}.bias`, find(`${layer}.self_attn.${part}_proj.bias`)),
  );

export const u32 = (value: number): GgufValue => ({ type: "u32", value });
export const f32 = (value: number): GgufValue => ({ type: "f32", value });

/** What Llama's relatives say of themselves. */
export function transformerMetadata(
  shape: TransformerShape,
  { normEps, theta }: { readonly normEps: number; readonly theta: number },
): Record<string, GgufValue> {
  return {
    feed_forward_length: u32(shape.mlpWidth),
    "attention.head_count": u32(shape.numHeads),
    "attention.head_count_kv": u32(shape.numKvHeads),
    "attention.key_length": u32(shape.headDim),
    "attention.value_length": u32(shape.headDim),
    "attention.layer_norm_rms_epsilon": f32(normEps),
    "rope.freq_base": f32(theta),
  };
}
