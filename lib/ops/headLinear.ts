import type { FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { floatDType, groupedWeight, tensor } from "./argumentKinds.js";
import { requireInputsInOrder } from "./linearWeight.js";
import { op, optionsOf } from "./op.js";
import type { GroupedWeight } from "./packLinear.js";

export interface HeadLinearOptions {
  /** Dtype of the result. Default: that of x. */
  readonly dtype?: FloatDType | undefined;
  /** Where to write the result. */
  readonly out?: Tensor | undefined;
}

/**
 * One linear layer per head: every head of a token goes through the matrix of its own.
 *
 *     out[t, h] = x[t, h] W_h^T
 *
 * Sums are f32. On the CPU they run through K in order, so the result of a row does not depend on the other rows of the call; on
 * a GPU their order, and with it the last bits, depends on the number of rows, but never on the run.
 *
 * @param x [T, H, K], f32 or the weight's dtype, with codes f32 | bf16 | f16; the last axis is contiguous; heads may be the same memory (a stride of 0)
 * @param weight H weights [N, K] without SwiGLU (`emptyGroupedWeight`, `packExpert`); H is at most 65535
 * @returns [T, H, N]
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see DeepSeek-V2 (arXiv 2405.04434), section 2.1.2: keys and values absorbed into queries and outputs; native/ops/head_linear
 */
export const headLinear = op(
  "headLinear",
  { x: tensor, weight: groupedWeight },
  optionsOf<HeadLinearOptions>({ dtype: floatDType, out: tensor }),
  (stream: Stream, x: Tensor, weight: GroupedWeight, options: HeadLinearOptions = {}): Tensor => {
    requireInputsInOrder("headLinear: weight", weight);
    const out =
      options.out ?? stream.empty(options.dtype ?? x.dtype, [...x.shape.slice(0, 2), weight.columns]);
    for (let i = 0; i < weight.segments.length; i++)
      stream.run(native.ops.headLinear, x, weight.segments[i]!, weight.ofSegment(i, out, 2));
    return out;
  },
);
