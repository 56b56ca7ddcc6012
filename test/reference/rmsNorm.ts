/**
 * Root mean square normalisation over the last axis:
 *   h = x + residual (x alone without residual)
 *   out = h / sqrt(mean(h^2) + eps) * (weightOffset + weight)
 *
 * `weightOffset` is 1 for Gemma, whose checkpoints store weight - 1. The updated residual stream h is the second result.
 *
 * Source: Zhang and Sennrich, "Root Mean Square Layer Normalization" (arXiv 1910.07467), equation 4.
 */
export function rmsNorm(
  x: Float64Array, // [T, D] (or [T, H, D]: pass T * H as T)
  weight: Float64Array, // [D]
  { T, D }: { readonly T: number; readonly D: number },
  {
    eps = 1e-6,
    weightOffset = 0,
    residual,
  }: {
    readonly eps?: number;
    readonly weightOffset?: number;
    readonly residual?: Float64Array; /* [T, D] */
  } = {},
): { readonly out: Float64Array /* [T, D] */; readonly residual: Float64Array /* [T, D] */ } {
  const out = new Float64Array(T * D);
  const h = new Float64Array(T * D);
  for (let t = 0; t < T; t++) {
    let sumOfSquares = 0;
    for (let d = 0; d < D; d++) {
      const value = x[t * D + d]! + (residual?.[t * D + d] ?? 0);
      h[t * D + d] = value;
      sumOfSquares += value * value;
    }
    const rms = Math.sqrt(sumOfSquares / D + eps);
    for (let d = 0; d < D; d++) out[t * D + d] = (h[t * D + d]! / rms) * (weightOffset + weight[d]!);
  }
  return { out, residual: h };
}
