import type { FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { floatDType, number, required, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface ClampOptions {
  /** What no result exceeds in magnitude, a positive number. */
  readonly limit: number;
  /** Dtype of the result. Default: that of x. */
  readonly dtype?: FloatDType | undefined;
  /** Where to write the result (shape of x); may be x itself. */
  readonly out?: Tensor | undefined;
}

/**
 * Elements beyond a limit, on either side, become the limit; NaN stays NaN.
 *
 *     out = min(max(x, -limit), limit)
 *
 * @param x any shape, f32 | bf16 | f16; the last axis is contiguous
 * @returns shape of x
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see native/ops/clamp
 */
export const clamp = op(
  "clamp",
  { x: tensor },
  optionsOf<ClampOptions>({ limit: required(number), dtype: floatDType, out: tensor }),
  (stream: Stream, x: Tensor, options: ClampOptions): Tensor => {
    const out = options.out ?? stream.empty(options.dtype ?? x.dtype, x.shape);
    stream.run(native.ops.clamp, x, out, options.limit);
    return out;
  },
);
