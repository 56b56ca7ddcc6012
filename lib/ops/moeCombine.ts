import type { FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { floatDType, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface MoeCombineOptions {
  /** [T, D], f32. Added to the sum. */
  readonly residual?: Tensor | undefined;
  /**
   * [E+1], i32, of the experts that y has: rows outside [offsets[0], offsets[E]) are of others and left out. Default: y has all
   * rows.
   */
  readonly offsets?: Tensor | undefined;
  /** Dtype of the result. Default: that of y. */
  readonly dtype?: FloatDType | undefined;
  /** Where to write the result, [T, D]; may be the residual itself. */
  readonly out?: Tensor | undefined;
}

/**
 * Weighted sum of the outputs of each token's experts.
 *
 *     out[t] = residual[t] + sum over k of weights[t, k] * y[inverse[t, k]],   k ascending
 *
 * @param y [T*K, D], f32 | bf16 | f16, in the order of `moePermute`; the last axis is contiguous
 * @param inverse [T, K], i32, contiguous; a row outside [0, T*K) is an execution error
 * @param weights [T, K], f32, contiguous
 * @returns [T, D]
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see Shazeer et al., arXiv 1701.06538, equation 1; native/ops/moe_combine
 */
export const moeCombine = op(
  "moeCombine",
  { y: tensor, inverse: tensor, weights: tensor },
  optionsOf<MoeCombineOptions>({ residual: tensor, offsets: tensor, dtype: floatDType, out: tensor }),
  (stream: Stream, y: Tensor, inverse: Tensor, weights: Tensor, options: MoeCombineOptions = {}): Tensor => {
    const { residual = null, offsets = null } = options;
    const out = options.out ?? stream.empty(options.dtype ?? y.dtype, [inverse.size(0), y.size(-1)]);
    stream.run(native.ops.moeCombine, y, inverse, weights, residual, offsets, out);
    return out;
  },
);
