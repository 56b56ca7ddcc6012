import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { integer, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface GatherInputsOptions {
  /** [E + 1] i32, from `moePermute`: rows offsets[e] to offsets[e + 1] are of expert e. Without it there is one. */
  readonly offsets?: Tensor | undefined;
  /** [M] i32 from `moePermute`: row r of the result reads x[floor(order[r] / topK)]. Without it row r reads x[r]. */
  readonly order?: Tensor | undefined;
  /** Experts per token, with `order`. Default 1. */
  readonly topK?: number | undefined;
  /** Where to write the result ([M, K], of the dtype of x). */
  readonly out?: Tensor | undefined;
}

/**
 * The columns of x in the order in which a weight has its inputs: what a product with a weight whose codes were sorted by their groups
 * reads (`desc_act`). `linear` and `groupedLinear` of such a weight do it themselves.
 *
 *     out[r, k] = x[floor(order[r] / topK), inputOrder[e, k]]   for offsets[e] <= r < offsets[e + 1]
 *
 * Rows of no expert stay as they are. Inputs and rows that there are not poison the stream (ExecutionError).
 *
 * @param x [S, K], f32 | bf16 | f16; the last axis is contiguous
 * @param inputOrder [E, K] i32; the last axis is contiguous
 * @returns [M, K]; M is the length of `order`, or the rows of x
 * @throws TypeError / RangeError naming the argument
 * @see native/ops/gather_inputs
 */
export const gatherInputs = op(
  "gatherInputs",
  { x: tensor, inputOrder: tensor },
  optionsOf<GatherInputsOptions>({
    offsets: tensor,
    order: tensor,
    topK: integer({ min: 1 }),
    out: tensor,
  }),
  (stream: Stream, x: Tensor, inputOrder: Tensor, options: GatherInputsOptions = {}): Tensor => {
    const { offsets = null, order = null, topK = 1 } = options;
    const rows = order ? order.size(0) : x.size(0);
    const out = options.out ?? stream.empty(x.dtype, [rows, x.size(-1)]);
    stream.run(native.ops.gatherInputs, x, inputOrder, offsets, order, out, topK);
    return out;
  },
);
