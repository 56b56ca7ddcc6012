import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface ArgmaxOptions {
  /** Where to write the result, [B] i32. */
  readonly out?: Tensor | undefined;
  /** [B], i32: where to write what is wrong with each row, a `RowStatus`. Default: nowhere. */
  readonly status?: Tensor | undefined;
}

/**
 * Index of the largest element of each row.
 *
 *     out[b] = argmax over v of logits[b, v]
 *
 * The lowest index wins a tie. NaN never wins; a row of NaN alone gives 0.
 *
 * @param logits [B, V], f32 | bf16 | f16, V >= 1; the last axis is contiguous
 * @returns [B], i32
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see native/ops/argmax
 */
export const argmax = op(
  "argmax",
  { logits: tensor },
  optionsOf<ArgmaxOptions>({ out: tensor, status: tensor }),
  (stream: Stream, logits: Tensor, options: ArgmaxOptions = {}): Tensor => {
    const out = options.out ?? stream.empty("i32", [logits.size(0)]);
    stream.run(native.ops.argmax, logits, out, options.status ?? null);
    return out;
  },
);
