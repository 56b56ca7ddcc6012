import type { FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { choice, floatDType, required, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

/** The order is shared with native/ops/gelu/gelu.h; the position crosses the boundary. */
export const geluApproximations = ["none", "tanh"] as const;

/** "none": x * Phi(x), Phi the normal distribution function; "tanh": its approximation by a hyperbolic tangent. */
export type GeluApproximation = (typeof geluApproximations)[number];

export interface GeluOptions {
  /** Which of the two formulas; checkpoints differ, so there is no default. */
  readonly approximate: GeluApproximation;
  /** Dtype of the result. Default: that of x. */
  readonly dtype?: FloatDType | undefined;
  /** Where to write the result (shape of x); may be x itself. */
  readonly out?: Tensor | undefined;
}

/**
 * Gaussian error linear unit, elementwise.
 *
 *     "none":  out = x/2 * (1 + erf(x / sqrt(2)))
 *     "tanh":  out = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))
 *
 * @param x any shape, f32 | bf16 | f16; the last axis is contiguous
 * @returns shape of x
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see Hendrycks, Gimpel: Gaussian Error Linear Units, arXiv 1606.08415, section 2; native/ops/gelu
 */
export const gelu = op(
  "gelu",
  { x: tensor },
  optionsOf<GeluOptions>({
    approximate: required(choice(...geluApproximations)),
    dtype: floatDType,
    out: tensor,
  }),
  (stream: Stream, x: Tensor, options: GeluOptions): Tensor => {
    const out = options.out ?? stream.empty(options.dtype ?? x.dtype, x.shape);
    stream.run(native.ops.gelu, x, out, geluApproximations.indexOf(options.approximate));
    return out;
  },
);
