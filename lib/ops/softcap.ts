import type { FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { floatDType, number, required, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface SoftcapOptions {
  /** What no result exceeds in magnitude, a positive number. */
  readonly cap: number;
  /** Dtype of the result. Default: that of x. */
  readonly dtype?: FloatDType | undefined;
  /** Where to write the result (shape of x); may be x itself. */
  readonly out?: Tensor | undefined;
}

/**
 * Soft cap, elementwise: the identity near 0, and never beyond a bound.
 *
 *     out = cap * tanh(x / cap)
 *
 * @param x any shape, f32 | bf16 | f16; the last axis is contiguous
 * @returns shape of x
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see Gemma 2 (arXiv 2408.00118), section 2; native/ops/softcap
 */
export const softcap = op(
  "softcap",
  { x: tensor },
  optionsOf<SoftcapOptions>({ cap: required(number), dtype: floatDType, out: tensor }),
  (stream: Stream, x: Tensor, options: SoftcapOptions): Tensor => {
    const out = options.out ?? stream.empty(options.dtype ?? x.dtype, x.shape);
    stream.run(native.ops.softcap, x, out, options.cap);
    return out;
  },
);
