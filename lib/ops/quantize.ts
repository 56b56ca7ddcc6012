import type { Device } from "../device/device.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { choice, flag, integer, largestAxis, required, storedRows, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";
import { quantizedSizes, type QuantizedShape, type QuantizedTo, storedOf } from "./quantizedShape.js";
import type { StoredRows } from "./storedRows.js";

export type { QuantizedShape, QuantizedTo } from "./quantizedShape.js";

function emptyOn(device: Device, shape: QuantizedShape): StoredRows {
  const { codeBytes, groups } = quantizedSizes(shape);
  const codes = device.empty("u8", [codeBytes]);
  try {
    return storedOf(shape, { codes, scales: device.empty(shape.scale ?? "bf16", [shape.outputs, groups]) });
  } catch (error) {
    codes.dispose();
    throw error;
  }
}

/**
 * Room for the codes and scales of a matrix, for `quantize`. They are `codes` and `scales` of the result, in the layout of
 * compressed-tensors: int8 and fp8 [N, K], packed4 [N, K / 8] words of eight codes + 8, the first in the lowest bits.
 */
export const emptyStoredRows = op(
  "emptyStoredRows",
  {},
  optionsOf<QuantizedShape>(
    {
      format: required(choice<QuantizedTo>("int8", "fp8", "packed4")),
      outputs: required(integer({ max: largestAxis })),
      inputs: required(integer({ max: largestAxis })),
      group: integer({ max: largestAxis }),
      scale: choice("f32", "bf16"),
    },
    "shape",
  ),
  (stream: Stream, shape: QuantizedShape): StoredRows => emptyOn(stream.device, shape),
);

export interface QuantizeOptions {
  /** Of packed4: no scale is below 0, as readers of checkpoints may expect; the error is about 4 % larger. Default false. */
  readonly positive?: boolean | undefined;
}

/**
 * Codes and scales of a matrix: x = code scale, as nearly as codes can say it.
 *
 * - int8, fp8: the largest magnitude of a group becomes 127 or 448.
 * - packed4: of 13 scales, down from the one with which the largest magnitude becomes -8 (`positive`: 7), the one of the smallest sum
 *   of squared errors of its group. Its relative RMS error for normal weights is 9.7 % in groups of 128 (`positive`: 10.1 %), 8.3 % in
 *   groups of 32.
 *
 * Every device finds the same codes and scales. A group of zeros has scale 1.
 *
 * @param x [n, K], or [a, b, K] or [a, b, c, K] with n = a b c; any strides; f32 | bf16 | f16
 * @param stored what is written: a whole matrix [n, K] of `emptyStoredRows`, which `packStored` and `dequantize` read
 * @throws TypeError / RangeError naming the argument. NaN and infinities are an execution error that names the row
 * @see native/ops/quantize; MSE grid search over scales: Frantar et al., GPTQ, arXiv 2210.17323
 */
export const quantize = op(
  "quantize",
  { x: tensor, stored: storedRows },
  optionsOf<QuantizeOptions>({ positive: flag }),
  (stream: Stream, x: Tensor, stored: StoredRows, options: QuantizeOptions = {}): StoredRows => {
    stream.run(native.ops.quantize, x, stored, options.positive ?? false);
    return stored;
  },
);
