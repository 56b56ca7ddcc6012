/**
 * The attention of transformer.ts, as a part that a family may have another of: grouped queries, as the config says.
 */
import type { FloatDType, KvDType } from "../device/dtype.js";
import type { Tensor } from "../device/tensor.js";
import { attentionBlock } from "../nn/attention.js";
import type { Block } from "../nn/part.js";
import type { ModelWeightRow, ModelWeights } from "../weights/modelWeights.js";
import type { RankShape } from "./rankShape.js";
import type { TransformerConfig } from "./transformerConfig.js";
import { attentionRows } from "./transformerRows.js";

/** The attention of every layer. */
export interface TransformerAttention {
  /** Hkv and Dh as the shape of the model has them, and the width of a value. */
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly valueDim: number;
  readonly rows: readonly ModelWeightRow[];
  /** @param layer of the whole model */
  build(weights: ModelWeights, layer: number, context: AttentionContext): Block;
}

export interface AttentionContext {
  /** What is computed here. */
  readonly rank: RankShape;
  readonly dtype: FloatDType;
  /** Of keys and values that are kept; default: `dtype`. */
  readonly kvDtype: KvDType | undefined;
  /** Keys that a query sees; 0: all. */
  readonly window: number;
  /** [Lmax, R] f32, by the rope that the config has for the layer */
  readonly angles: Tensor;
  /** [1, Hq * Dh] f32 zeros, of the heads of all ranks, where norms over all heads need them. */
  readonly zeros: Tensor | undefined;
}

export function groupedQueryAttention(config: TransformerConfig): TransformerAttention {
  const { numKvHeads, headDim, factors, caps, normEps, qkNorm, rotated, clip } = config;
  return {
    ...{ numKvHeads, headDim, valueDim: headDim, rows: attentionRows(config) },
    build(weights, layer, { rank, dtype, kvDtype, window, angles, zeros }) {
      const { numHeads, numKvHeads } = rank;
      return attentionBlock(
        {
          ...{ numHeads, numKvHeads, headDim, dtype, kvDtype, window },
          ...{ scale: factors.scores, softcap: caps.scores },
          ...{ qkNormEps: normEps, normedHeads: qkNorm === "allHeads" ? rank.heads : undefined, clip },
        },
        {
          qkv: weights.linear("qkv", layer),
          qkvBias: weights.optionalVector("qkvBias", layer),
          qNorm: weights.optionalVector("qNorm", layer),
          kNorm: weights.optionalVector("kNorm", layer),
          ropeTable: rotated[layer] ? angles : undefined,
          ...{ zeros, sinks: weights.optionalVector("sinks", layer) },
          output: weights.linear("attentionOutput", layer),
          outputBias: weights.optionalVector("attentionOutputBias", layer),
        },
      );
    },
  };
}
