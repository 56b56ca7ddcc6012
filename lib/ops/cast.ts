import { dtypeNumber, type FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { floatDType, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface CastOptions {
  /** Where to write the result (shape of x, dtype as asked); may be x itself if the dtypes agree. */
  readonly out?: Tensor | undefined;
}

/**
 * Conversion to another float dtype: to nearest, ties to even; overflow becomes infinity.
 *
 * @param x any shape, f32 | bf16 | f16; the last axis is contiguous
 * @param dtype f32 | bf16 | f16
 * @returns shape of x. Results below the normal range of bf16 may come back as 0.
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see IEEE 754-2019, section 4.3.1; native/ops/cast
 */
export const cast = op(
  "cast",
  { x: tensor, dtype: floatDType },
  optionsOf<CastOptions>({ out: tensor }),
  (stream: Stream, x: Tensor, dtype: FloatDType, options: CastOptions = {}): Tensor => {
    const out = options.out ?? stream.empty(dtype, x.shape);
    stream.run(native.ops.cast, x, out, dtypeNumber(dtype));
    return out;
  },
);
