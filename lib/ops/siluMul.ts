import type { FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { floatDType, type SwigluClamp, swigluClamp, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";
import { swigluNumbers } from "./swigluNumbers.js";

export type { SwigluClamp } from "./argumentKinds.js";

export interface SiluMulOptions {
  /** Default: gate and up as they are. */
  readonly clamp?: SwigluClamp | undefined;
  /** Dtype of the result. Default: that of x. */
  readonly dtype?: FloatDType | undefined;
  /** Where to write the result ([T, F]); must not overlap x. */
  readonly out?: Tensor | undefined;
}

/**
 * SwiGLU gate over a fused row of F gates and then F ups.
 *
 *     out[t, f] = silu(x[t, f]) * x[t, F + f],   silu(z) = z / (1 + e^-z)
 *     with clamp: g / (1 + e^(-alpha g)) * (u + 1),   g = min(x[t, f], limit),   u = min(max(x[t, F + f], -limit), limit)
 *
 * @param x [T, 2F], f32 | bf16 | f16; the last axis is contiguous
 * @returns [T, F]
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see Shazeer: GLU Variants Improve Transformer, arXiv 2002.05202, section 2; clamp: openai/gpt-oss, gpt_oss/torch/model.py;
 *   native/ops/silu_mul
 */
export const siluMul = op(
  "siluMul",
  { x: tensor },
  optionsOf<SiluMulOptions>({ clamp: swigluClamp, dtype: floatDType, out: tensor }),
  (stream: Stream, x: Tensor, options: SiluMulOptions = {}): Tensor => {
    const F = Math.floor(x.size(-1) / 2); // an odd last axis is refused by the op
    const out = options.out ?? stream.empty(options.dtype ?? x.dtype, [x.size(0), F]);
    stream.run(native.ops.siluMul, x, out, ...swigluNumbers(options.clamp));
    return out;
  },
);
