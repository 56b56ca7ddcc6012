import type { FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { floatDType, number, tensor, tensorOrNull } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface LayerNormOptions {
  /** Added to the variance. Default 1e-5. */
  readonly eps?: number | undefined;
  /** Dtype of the result. Default: that of x. */
  readonly dtype?: FloatDType | undefined;
  /** Where to write the result (shape of x); may be x itself. */
  readonly out?: Tensor | undefined;
}

/**
 * Layer normalisation over the last axis, with the biased variance.
 *
 *     out = (x - mean) / sqrt(variance + eps) * weight + bias
 *
 * @param x [T, D], f32 | bf16 | f16; the last axis is contiguous
 * @param weight [D], f32
 * @param bias [D], f32, or null
 * @returns [T, D]
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see Ba, Kiros, Hinton: Layer Normalization, arXiv 1607.06450, eq. 4; native/ops/layer_norm
 */
export const layerNorm = op(
  "layerNorm",
  { x: tensor, weight: tensor, bias: tensorOrNull },
  optionsOf<LayerNormOptions>({ eps: number, dtype: floatDType, out: tensor }),
  (
    stream: Stream,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | null,
    options: LayerNormOptions = {},
  ): Tensor => {
    const { eps = 1e-5 } = options;
    const out = options.out ?? stream.empty(options.dtype ?? x.dtype, x.shape);
    stream.run(native.ops.layerNorm, x, weight, bias, out, eps);
    return out;
  },
);
