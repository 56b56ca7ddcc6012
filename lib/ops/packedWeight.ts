/** The layout of packed weights: room for one, and what fills it. Arguments are checked by those who call this. */
import type { FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";

/** A weight in the layout that `linear` reads. It owns its tensor. */
export interface LinearWeight {
  readonly tensor: Tensor;
  /** Outputs N. */
  readonly outputs: number;
  /** Inputs K. */
  readonly inputs: number;
  readonly dtype: FloatDType;
}

/** E weights of one shape in the layout that `groupedLinear` reads. */
export interface GroupedWeight extends LinearWeight {
  readonly experts: number;
  /** Rows are gate (N/2), then up (N/2). */
  readonly swiglu: boolean;
}

/** What `emptyGroupedWeight` makes room for. */
export interface GroupedShape {
  readonly experts: number;
  /** Outputs N of each. */
  readonly outputs: number;
  /** Inputs K of each. */
  readonly inputs: number;
  readonly dtype: FloatDType;
  /** Rows are gate (N/2), then up (N/2). */
  readonly swiglu: boolean;
}

const panelColumns = 16; // native/ops/pack_linear/pack_linear.h

export interface PackedSize {
  readonly outputs: number;
  readonly inputs: number;
  readonly dtype: FloatDType;
}

/** Room for one weight; `fillLinearWeight` packs a matrix into it. */
export function emptyLinearWeight(stream: Stream, { outputs, inputs, dtype }: PackedSize): LinearWeight {
  const tensor = stream.device.empty(dtype, packedShape({ outputs, inputs, dtype }, 1, false));
  return { tensor, outputs, inputs, dtype };
}

/** @param matrix [N, K], or [K, N] with `transpose`, of the weight's dtype */
export function fillLinearWeight(
  stream: Stream,
  weight: LinearWeight,
  matrix: Tensor,
  transpose: boolean,
): void {
  stream.run(native.ops.packLinear, matrix, weight.tensor, transpose, false);
}

/** Shape of E weights in one tensor. With `swiglu`, panels of the first and of the second half of the outputs alternate. */
export function packedShape(
  { outputs, inputs, dtype }: PackedSize,
  experts: number,
  swiglu: boolean,
): number[] {
  const pairs = dtype === "bf16" ? 2 : 1;
  const panels = swiglu ? 2 * Math.ceil(outputs / 2 / panelColumns) : Math.ceil(outputs / panelColumns);
  return [experts * panels, Math.ceil(inputs / pairs), panelColumns, pairs];
}
