import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface MoeCountOptions {
  /** [T] i32: tokens with -1, which are padding, do not count. Default: all count. */
  readonly slots?: Tensor | undefined;
}

/**
 * Adds up how many tokens went to each expert, over any number of calls.
 *
 *     counts[e] += number of (t, k) with experts[t, k] = e
 *
 * @param experts [T, K], i32, contiguous; an id outside [0, E) is an execution error
 * @param counts [E, 2], i32, contiguous: numbers of 64 bits, the low half first
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see native/ops/moe_count
 */
export const moeCount = op(
  "moeCount",
  { experts: tensor, counts: tensor },
  optionsOf<MoeCountOptions>({ slots: tensor }),
  (stream: Stream, experts: Tensor, counts: Tensor, { slots }: MoeCountOptions = {}): void => {
    stream.run(native.ops.moeCount, experts, slots ?? null, counts);
  },
);
