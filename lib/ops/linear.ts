import type { FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { floatDType, linearWeight, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";
import type { LinearWeight } from "./packLinear.js";

export interface LinearOptions {
  /** [N], f32. */
  readonly bias?: Tensor | undefined;
  /** [T, N], f32 | bf16 | f16, added to the result. */
  readonly residual?: Tensor | undefined;
  /** Dtype of the result. Default: that of x. */
  readonly dtype?: FloatDType | undefined;
  /** Where to write the result; may be `residual`. */
  readonly out?: Tensor | undefined;
}

/**
 * A linear layer.
 *
 *     out = x W^T + bias + residual
 *
 * Sums are f32. On the CPU they run through K in order, so the result of a row does not depend on the other rows of the call; on
 * a GPU their order, and with it the last bits, depends on the number of rows, but never on the run.
 *
 * @param x [T, K], f32 or the weight's dtype; the last axis is contiguous
 * @param weight from `packLinear`, [N, K]
 * @returns [T, N]
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see native/ops/linear
 */
export const linear = op(
  "linear",
  { x: tensor, weight: linearWeight },
  optionsOf<LinearOptions>({ bias: tensor, residual: tensor, dtype: floatDType, out: tensor }),
  (stream: Stream, x: Tensor, weight: LinearWeight, options: LinearOptions = {}): Tensor => {
    const { bias = null, residual = null } = options;
    const out = options.out ?? stream.empty(options.dtype ?? x.dtype, [x.size(0), weight.outputs]);
    for (let i = 0; i < weight.segments.length; i++) {
      const columns = weight.ofSegment(i, out, 1);
      const [someBias, someResidual] = [weight.ofSegment(i, bias, 0), weight.ofSegment(i, residual, 1)];
      stream.run(native.ops.linear, x, weight.segments[i]!, someBias, someResidual, columns);
    }
    return out;
  },
);
