import { roundTo, type FloatDType } from "../support/dtype.js";

/**
 * Conversion to another float dtype: every element becomes the nearest value of that dtype, ties to even, and overflow
 * becomes infinity.
 *
 * Source: IEEE 754-2019, section 4.3.1 (roundTiesToEven); bfloat16 rounds the same way.
 */
export function cast(x: Float64Array, dtype: FloatDType): Float64Array /* shape of x */ {
  return roundTo(dtype, x);
}
