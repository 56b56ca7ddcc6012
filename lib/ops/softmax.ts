import type { FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { flag, floatDType, number, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface SoftmaxOptions {
  /** Row t sees the columns j <= t + D - T only; the others become 0. Default false. */
  readonly causal?: boolean | undefined;
  /** Multiplies x first. Default 1. */
  readonly scale?: number | undefined;
  /** Dtype of the result. Default: that of x. */
  readonly dtype?: FloatDType | undefined;
  /** Where to write the result (shape of x); may be x itself. */
  readonly out?: Tensor | undefined;
}

/**
 * Softmax over the last axis.
 *
 *     out[t, j] = exp(scale x[t, j]) / sum_i exp(scale x[t, i])
 *
 * A row that sees no column, or nothing but -inf, becomes 0. Models use `flashAttention` and `pagedAttention`, which never
 * hold a matrix of scores.
 *
 * @param x [T, D], f32 | bf16 | f16; the last axis is contiguous
 * @returns [T, D]
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see native/ops/softmax
 */
export const softmax = op(
  "softmax",
  { x: tensor },
  optionsOf<SoftmaxOptions>({ causal: flag, scale: number, dtype: floatDType, out: tensor }),
  (stream: Stream, x: Tensor, options: SoftmaxOptions = {}): Tensor => {
    const { causal = false, scale = 1 } = options;
    const out = options.out ?? stream.empty(options.dtype ?? x.dtype, x.shape);
    stream.run(native.ops.softmax, x, out, scale, causal);
    return out;
  },
);
