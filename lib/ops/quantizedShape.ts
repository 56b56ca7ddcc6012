/** Sizes of a matrix that `quantize` writes. */
import type { Tensor } from "../device/tensor.js";
import { StoredRows } from "./storedRows.js";

/** The stored formats that `quantize` writes: those of compressed-tensors. */
export type QuantizedTo = "int8" | "fp8" | "packed4";

/** A matrix [N, K] that `quantize` is to write. */
export interface QuantizedShape {
  readonly format: QuantizedTo;
  /** N */
  readonly outputs: number;
  /** K */
  readonly inputs: number;
  /** Inputs that share a scale, a multiple of 8; 0: all of a row. Default 0. */
  readonly group?: number | undefined;
  /** Dtype of the scales. Default "bf16". */
  readonly scale?: "f32" | "bf16" | undefined;
}

/** Sizes of the tensors of a quantised matrix. */
export interface QuantizedSizes {
  /** u8 */
  readonly codeBytes: number;
  /** Of the scales, [N, groups]. */
  readonly groups: number;
}

/** Signed bytes and e4m3 one behind the other, of 4 bits eight in a word. */
export function quantizedSizes({ format, outputs, inputs, group = 0 }: QuantizedShape): QuantizedSizes {
  const rowBytes = format === "packed4" ? 4 * Math.ceil(inputs / 8) : inputs;
  return { codeBytes: outputs * rowBytes, groups: group === 0 ? 1 : Math.ceil(inputs / group) };
}

/** Memory of a quantised matrix. */
export function storedOf(
  shape: QuantizedShape,
  tensors: { readonly codes: Tensor; readonly scales: Tensor },
): StoredRows {
  const { format, outputs, inputs, group = 0 } = shape;
  return new StoredRows({ format, outputs, inputs, group }, tensors);
}
