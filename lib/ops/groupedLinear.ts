import type { FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import {
  floatDType,
  groupedWeight,
  integer,
  type SwigluClamp,
  swigluClamp,
  tensor,
} from "./argumentKinds.js";
import { gatherInputs } from "./gatherInputs.js";
import { inputsOf } from "./inputsOf.js";
import { op, optionsOf } from "./op.js";
import type { GroupedWeight } from "./packLinear.js";
import { swigluNumbers } from "./swigluNumbers.js";

export interface GroupedLinearOptions {
  /** [M] i32 from `moePermute`: row r of the result reads x[floor(order[r] / topK)]. Without it row r reads x[r]. */
  readonly order?: Tensor | undefined;
  /** Experts per token, with `order`. Default 1. */
  readonly topK?: number | undefined;
  /** [E, N] f32, with swiglu those of gate and then those of up; the last axis is contiguous. */
  readonly bias?: Tensor | undefined;
  /** Of a weight with `swiglu`: as of `siluMul`. */
  readonly clamp?: SwigluClamp | undefined;
  /** Dtype of the result. Default: that of x. */
  readonly dtype?: FloatDType | undefined;
  /** Where to write the result. */
  readonly out?: Tensor | undefined;
}

/**
 * One linear layer per expert over rows that are sorted by expert.
 *
 *     out[r] = x[floor(order[r] / topK)] W_e^T + bias[e]   for offsets[e] <= r < offsets[e + 1]
 *     out[r] = silu(gate) * up, of the halves of that       for a weight with `swiglu`; see `siluMul` for `clamp`
 *
 * @param x [S, K], f32 or the weight's dtype, with codes f32 | bf16 | f16; the last axis is contiguous
 * @param weight E weights [N, K] (`emptyGroupedWeight`, `packExpert`, `packStored`)
 * @param offsets [E + 1] i32, from `moePermute`
 * @returns [M, N], with swiglu [M, N / 2]; M is the length of `order`, or the rows of x
 * @throws TypeError / RangeError naming the argument; offsets or order out of range are an execution error
 * @see SonicMoE, arXiv 2512.14080 (gather in the load, SwiGLU in the epilogue); native/ops/grouped_linear
 */
export const groupedLinear = op(
  "groupedLinear",
  { x: tensor, weight: groupedWeight, offsets: tensor },
  optionsOf<GroupedLinearOptions>({
    order: tensor,
    topK: integer({ min: 1 }),
    bias: tensor,
    clamp: swigluClamp,
    dtype: floatDType,
    out: tensor,
  }),
  (
    stream: Stream,
    x: Tensor,
    weight: GroupedWeight,
    offsets: Tensor,
    options: GroupedLinearOptions = {},
  ): Tensor => {
    const { order = null, topK = 1, bias = null, clamp } = options;
    const rows = order ? order.size(0) : x.size(0);
    const out = options.out ?? stream.empty(options.dtype ?? x.dtype, [rows, weight.columns]);
    using _gathered = weight.isReordered ? stream.scope() : undefined;
    const read = inputsOf(x, (inputOrder) => {
      return gatherInputs(stream, x, inputOrder, { offsets, order: order ?? undefined, topK });
    });
    const multiply = (products: Tensor, clamped: SwigluClamp | undefined): void => {
      for (let i = 0; i < weight.segments.length; i++) {
        const segment = weight.segments[i]!;
        const own = segment.inputOrder ? { order: null, topK: 1 } : { order, topK };
        const [columns, biases] = [weight.ofSegment(i, products, 1), weight.ofSegment(i, bias, 1)];
        stream.run(
          native.ops.groupedLinear,
          ...[read(segment), segment, offsets, own.order, biases],
          ...[columns, own.topK, ...swigluNumbers(clamped)],
        );
      }
    };
    if (!weight.swiglu || weight.isFused) {
      multiply(out, clamp);
    } else {
      using _gateUp = stream.scope();
      const gateUp = stream.empty("f32", [rows, weight.outputs]);
      multiply(gateUp, undefined);
      stream.run(native.ops.siluMul, gateUp, out, ...swigluNumbers(clamp));
    }
    return out;
  },
);
