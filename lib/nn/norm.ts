/**
 * Normalisation in front of a block: reads the f32 residual stream and hands the block its activations.
 */
import type { FloatDType } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { layerNorm } from "../ops/layerNorm.js";
import { rmsNorm } from "../ops/rmsNorm.js";

/** [T, D] f32 -> [T, D] in the activation dtype. */
export type NormBlock = (stream: Stream, x: Tensor) => Tensor;

export interface NormConfig {
  /** Added to the mean square or the variance. */
  readonly eps: number;
  /** The activation dtype. */
  readonly dtype: FloatDType;
}

/** @param weights weight [D] f32 */
export function rmsNormBlock(config: NormConfig, weights: { readonly weight: Tensor }): NormBlock {
  return (stream, x) => rmsNorm(stream, x, weights.weight, config);
}

/** @param weights weight and bias [D] f32 */
export function layerNormBlock(
  config: NormConfig,
  weights: { readonly weight: Tensor; readonly bias: Tensor },
): NormBlock {
  return (stream, x) => layerNorm(stream, x, weights.weight, weights.bias, config);
}
