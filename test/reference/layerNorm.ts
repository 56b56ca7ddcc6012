/**
 * Layer normalisation over the last axis: out = (x - mean) / sqrt(variance + eps) * weight + bias, where the variance
 * is the biased one (divided by D), taken in a second pass over x - mean.
 *
 * Source: Ba, Kiros and Hinton, "Layer Normalization" (arXiv 1607.06450), equation 4.
 */
export function layerNorm(
  x: Float64Array, // [T, D]
  weight: Float64Array, // [D]
  bias: Float64Array | null, // [D]
  { T, D }: { readonly T: number; readonly D: number },
  { eps = 1e-5 }: { readonly eps?: number } = {},
): Float64Array /* [T, D] */ {
  const out = new Float64Array(T * D);
  for (let t = 0; t < T; t++) {
    let sum = 0;
    for (let d = 0; d < D; d++) sum += x[t * D + d]!;
    const mean = sum / D;
    let squares = 0;
    for (let d = 0; d < D; d++) squares += (x[t * D + d]! - mean) ** 2;
    const deviation = Math.sqrt(squares / D + eps);
    for (let d = 0; d < D; d++) {
      out[t * D + d] = ((x[t * D + d]! - mean) / deviation) * weight[d]! + (bias?.[d] ?? 0);
    }
  }
  return out;
}
