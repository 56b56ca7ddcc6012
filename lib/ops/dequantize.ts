import type { FloatDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { floatDType, storedRows, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";
import type { StoredRows } from "./storedRows.js";

export {
  type StoredFormat,
  storedFormats,
  StoredRows,
  type StoredShape,
  type StoredTensors,
} from "./storedRows.js";

export interface DequantizeOptions {
  /** Dtype of the result. Default "f32". */
  readonly dtype?: FloatDType | undefined;
  /** Where to write the result ([n, m]). */
  readonly out?: Tensor | undefined;
}

/**
 * Rows of a weight that a checkpoint stores as codes, as floats.
 *
 *     out = (code - zero) scale - minimum
 *
 * in f32, rounded once; then to `dtype`, to nearest.
 *
 * @param stored n rows and m inputs
 * @returns [n, m]
 * @throws TypeError / RangeError naming the argument. A row, input or group outside the matrix, and NaN (of e4m3 or e8m0), are an
 * execution error that names the row
 * @see native/formats/stored.h for the formats; native/ops/dequantize
 */
export const dequantize = op(
  "dequantize",
  { stored: storedRows },
  optionsOf<DequantizeOptions>({ dtype: floatDType, out: tensor }),
  (stream: Stream, stored: StoredRows, options: DequantizeOptions = {}): Tensor => {
    const { dtype = "f32", out = stream.empty(dtype, [stored.rows, stored.inputs]) } = options;
    stream.run(native.ops.dequantize, stored, out);
    return out;
  },
);
