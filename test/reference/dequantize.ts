import { dequantised, type StoredMatrix } from "./storedFormats.js";

/** Which rows and inputs of a stored matrix are meant. */
export interface StoredPart {
  /** The stored row of each row. */
  readonly rows: readonly number[];
  /** The stored input of each input. */
  readonly inputs: readonly number[];
}

/**
 * Rows of a stored matrix as floats: out = (code - zero) scale - minimum, rounded once to f32.
 *
 * Source: the documents of the formats, see storedFormats.ts.
 */
export function dequantize(matrix: StoredMatrix, { rows, inputs }: StoredPart): Float64Array /* [n, m] */ {
  const all = dequantised(matrix);
  return Float64Array.from(rows.flatMap((n) => inputs.map((k) => all[n * matrix.K + k]!)));
}
