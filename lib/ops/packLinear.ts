import type { FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { ArgumentRangeError } from "../errors.js";
import { flag, floatDType, groupedWeight, integer, required, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";
import {
  emptyLinearWeight,
  fillLinearWeight,
  type GroupedShape,
  type GroupedWeight,
  type LinearWeight,
  packedShape,
} from "./packedWeight.js";

export type { GroupedShape, GroupedWeight, LinearWeight } from "./packedWeight.js";

export interface PackLinearOptions {
  /** The matrix is [K, N], as in GPT-2's Conv1D. Default false. */
  readonly transpose?: boolean;
}

/**
 * Packs a weight matrix for `linear`, once at load.
 *
 * @param weight [N, K], or [K, N] with `transpose`; f32 | bf16 | f16
 * @returns a weight that owns its memory, independent of `weight` once the stream has passed
 * @throws TypeError / RangeError naming the argument
 * @see native/ops/pack_linear/pack_linear.h for the layout
 */
export const packLinear = op(
  "packLinear",
  { weight: tensor },
  optionsOf<PackLinearOptions>({ transpose: flag }),
  (stream: Stream, weight: Tensor, options: PackLinearOptions = {}): LinearWeight => {
    const { transpose = false } = options;
    const outputs = weight.size(transpose ? 1 : 0);
    const inputs = weight.size(transpose ? 0 : 1);
    const dtype = weight.dtype as FloatDType;
    const packed = emptyLinearWeight(stream, { outputs, inputs, dtype });
    fillLinearWeight(stream, packed, weight, transpose);
    return packed;
  },
);

/**
 * Room for E packed weights; fill it with `packExpert`, one expert at a time, so that a large mixture never needs a
 * second copy of all its experts.
 */
export const emptyGroupedWeight = op(
  "emptyGroupedWeight",
  {},
  optionsOf<GroupedShape>(
    {
      experts: required(integer()),
      outputs: required(integer()),
      inputs: required(integer()),
      dtype: required(floatDType),
      swiglu: required(flag),
    },
    "shape",
  ),
  (stream: Stream, shape: GroupedShape): GroupedWeight => {
    const { experts, outputs, inputs, dtype, swiglu } = shape;
    const tensor = stream.device.empty(dtype, packedShape(shape, experts, swiglu));
    return { experts, outputs, inputs, dtype, swiglu, tensor };
  },
);

/**
 * Packs the weight of one expert into its place.
 *
 * @param weight [N, K], dtype of `group`
 * @throws RangeError for an expert outside [0, E), TypeError / RangeError for a wrong dtype or shape
 */
export const packExpert = op(
  "packExpert",
  { group: groupedWeight, expert: integer(), weight: tensor },
  undefined,
  (stream: Stream, group: GroupedWeight, expert: number, weight: Tensor): void => {
    if (expert >= group.experts) {
      throw new ArgumentRangeError(`packExpert: expert: expected 0 to ${group.experts - 1}, got ${expert}`);
    }
    const panels = group.tensor.size(0) / group.experts;
    const place = group.tensor.slice(0, expert * panels, (expert + 1) * panels);
    stream.run(native.ops.packLinear, weight, place, false, group.swiglu);
  },
);
