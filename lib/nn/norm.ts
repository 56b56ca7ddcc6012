/**
 * Normalisation in front of a block or behind it: reads the f32 residual stream, or what is added to it.
 */
import type { FloatDType } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { cast } from "../ops/cast.js";
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

/** @param weights weight and, if there is one, bias: [D] f32 */
export function layerNormBlock(
  config: NormConfig,
  { weight, bias = null }: { readonly weight: Tensor; readonly bias?: Tensor | null | undefined },
): NormBlock {
  return (stream, x) => layerNorm(stream, x, weight, bias, config);
}

/** None in front of a block. A copy, also in f32: another branch may add to the stream before the block has read it. */
export function noNorm({ dtype }: Pick<NormConfig, "dtype">): NormBlock {
  return (stream, x) => cast(stream, x, dtype);
}
