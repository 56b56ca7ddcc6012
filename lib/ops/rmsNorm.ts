import type { FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { floatDType, number, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface RmsNormOptions {
  /** Added to the mean square. Default 1e-6. */
  readonly eps?: number | undefined;
  /** Added to every weight; 1 for checkpoints that store w - 1 (Gemma). Default 0. */
  readonly weightOffset?: number | undefined;
  /** Shape of x, f32. Added to x first, and overwritten with the sum. */
  readonly residual?: Tensor | undefined;
  /** Shape and dtype of x: x, after the residual, is multiplied by silu(gate) before it is normalised (Mamba-2). */
  readonly gate?: Tensor | undefined;
  /** Dtype of the result. Default: that of x. */
  readonly dtype?: FloatDType | undefined;
  /** Where to write the result (shape of x); may be x itself. */
  readonly out?: Tensor | undefined;
}

/**
 * Root-mean-square normalisation over the last axis.
 *
 *     h = (x + residual) * silu(gate);   out = h / sqrt(mean(h^2) + eps) * (weightOffset + weight)
 *
 * @param x [T, D] or [T, H, D], f32 | bf16 | f16; the last axis is contiguous
 * @param weight [D], f32; of x of rank 3 also [H, D], one for each head
 * @returns shape of x
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see Zhang, Sennrich: Root Mean Square Layer Normalization, arXiv 1910.07467; native/ops/rms_norm
 */
export const rmsNorm = op(
  "rmsNorm",
  { x: tensor, weight: tensor },
  optionsOf<RmsNormOptions>({
    eps: number,
    weightOffset: number,
    residual: tensor,
    gate: tensor,
    dtype: floatDType,
    out: tensor,
  }),
  (stream: Stream, x: Tensor, weight: Tensor, options: RmsNormOptions = {}): Tensor => {
    const { eps = 1e-6, weightOffset = 0, residual = null, gate = null } = options;
    const out = options.out ?? stream.empty(options.dtype ?? x.dtype, x.shape);
    stream.run(native.ops.rmsNorm, x, weight, residual, gate, out, eps, weightOffset);
    return out;
  },
);
