import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { type MoePermutation, integer, tensor } from "./argumentKinds.js";
import { op } from "./op.js";

export type { MoePermutation } from "./argumentKinds.js";

/**
 * Room for the permutation of [T, K] pairs over E experts: for `moeRoute`.
 *
 * @param numTokens T
 * @param topK K >= 1
 * @param numExperts E >= 1
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 */
export const emptyPermutation = op(
  "emptyPermutation",
  { numTokens: integer(), topK: integer({ min: 1 }), numExperts: integer({ min: 1 }) },
  undefined,
  (stream: Stream, numTokens: number, topK: number, numExperts: number): MoePermutation => ({
    order: stream.empty("i32", [numTokens * topK]),
    inverse: stream.empty("i32", [numTokens, topK]),
    offsets: stream.empty("i32", [numExperts + 1]),
  }),
);

/**
 * Groups routed tokens by expert with a stable counting sort, for `groupedLinear` and `moeCombine`.
 *
 *     order[inverse[t, k]] = t*K + k;   offsets[e] = number of pairs of experts below e
 *
 * @param experts [T, K], i32, contiguous; an id outside [0, numExperts) is an execution error
 * @param numExperts E >= 1
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see MegaBlocks, arXiv 2211.15841; native/ops/moe_permute
 */
export const moePermute = op(
  "moePermute",
  { experts: tensor, numExperts: integer({ min: 1 }) },
  undefined,
  (stream: Stream, experts: Tensor, numExperts: number): MoePermutation => {
    const order = stream.empty("i32", [experts.numel]);
    const inverse = stream.empty("i32", experts.shape);
    const offsets = stream.empty("i32", [numExperts + 1]);
    stream.run(native.ops.moePermute, experts, order, inverse, offsets);
    return { order, inverse, offsets };
  },
);
