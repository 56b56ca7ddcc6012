import { dequantize, type StoredPart } from "./dequantize.js";
import type { StoredMatrix } from "./storedFormats.js";

/** Rows that come from a stored matrix, and where they begin in the weight. */
export interface PackedPart extends StoredPart {
  readonly matrix: StoredMatrix;
  readonly first: number;
}

/**
 * What a weight [N, K] holds once parts are packed into it, whatever its format: the values of their codes, zeros elsewhere.
 *
 * Source: the documents of the formats, see storedFormats.ts.
 */
export function packStored(N: number, K: number, parts: readonly PackedPart[]): Float64Array /* [N, K] */ {
  const weight = new Float64Array(N * K);
  for (const { matrix, first, ...part } of parts) weight.set(dequantize(matrix, part), first * K);
  return weight;
}
