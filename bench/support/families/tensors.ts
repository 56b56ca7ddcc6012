/** What the families of random models have in common: how big their random weights are. */
import type { RandomTensor } from "../randomValues.js";

/** A model of random weights: what its folder says and holds. */
export interface RandomModel {
  /** Fields of config.json that are the family's own. */
  readonly config: Readonly<Record<string, unknown>>;
  /** By their Hugging Face names. */
  readonly tensors: readonly RandomTensor[];
  /** Whether the head is the embedding. */
  readonly tied: boolean;
}

/** What every shape has. */
export interface CommonShape {
  /** V */
  readonly vocabSize: number;
  readonly numLayers: number;
  /** D */
  readonly hiddenSize: number;
  /** Longest context in tokens. */
  readonly maxPositions: number;
}

/** Attention with grouped queries, and the width of what follows it. */
export interface TransformerShape extends CommonShape {
  /** Hq */
  readonly numHeads: number;
  /** Hkv */
  readonly numKvHeads: number;
  /** Dh */
  readonly headDim: number;
  /** F */
  readonly mlpWidth: number;
}

/** Keeps the size of what passes through it: std is inputs ** -0.5. */
export const matrix = (name: string, shape: readonly number[], inputs: number): RandomTensor => ({
  ...{ name, shape, mean: 0, std: inputs ** -0.5 },
});

export const embedding = (name: string, rows: number, width: number, std = 0.05): RandomTensor => ({
  ...{ name, shape: [rows, width], mean: 0, std },
});

export const normWeight = (name: string, size: number): RandomTensor => ({
  ...{ name, shape: [size], mean: 1, std: 0.1 },
});

export const bias = (name: string, ...shape: readonly number[]): RandomTensor => ({
  ...{ name, shape, mean: 0, std: 0.02 },
});

/** The projections of grouped-query attention, [out, in] each. */
export function attentionMatrices(layer: string, shape: TransformerShape): RandomTensor[] {
  const { hiddenSize: D, numHeads, numKvHeads, headDim } = shape;
  const [Q, KV] = [numHeads * headDim, numKvHeads * headDim];
  return [
    matrix(`${layer}.self_attn.q_proj.weight`, [Q, D], D),
    matrix(`${layer}.self_attn.k_proj.weight`, [KV, D], D),
    matrix(`${layer}.self_attn.v_proj.weight`, [KV, D], D),
    matrix(`${layer}.self_attn.o_proj.weight`, [D, Q], Q),
  ];
}

/** gate, up and down of a feed-forward block, of a shared expert or of one expert. */
export function gatedMatrices(block: string, hiddenSize: number, width: number): RandomTensor[] {
  return [
    matrix(`${block}.gate_proj.weight`, [width, hiddenSize], hiddenSize),
    matrix(`${block}.up_proj.weight`, [width, hiddenSize], hiddenSize),
    matrix(`${block}.down_proj.weight`, [hiddenSize, width], width),
  ];
}

export function layerNames(shape: CommonShape): string[] {
  return Array.from({ length: shape.numLayers }, (_, layer) => `model.layers.${layer}`);
}

/** Fields that the configs of Llama's relatives share. */
export function transformerConfig(shape: TransformerShape): Record<string, unknown> {
  return {
    num_hidden_layers: shape.numLayers,
    hidden_size: shape.hiddenSize,
    num_attention_heads: shape.numHeads,
    num_key_value_heads: shape.numKvHeads,
    head_dim: shape.headDim,
    intermediate_size: shape.mlpWidth,
    max_position_embeddings: shape.maxPositions,
    rms_norm_eps: normEps,
  };
}

export const normEps = 1e-6;
