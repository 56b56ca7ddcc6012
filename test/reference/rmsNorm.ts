/**
 * Root mean square normalisation over the last axis:
 *   h = x + residual (x alone without residual), times silu(gate) where there is one
 *   out = h / sqrt(mean(h^2) + eps) * (weightOffset + weight)
 *
 * `weightOffset` is 1 for Gemma, whose checkpoints store weight - 1. The updated residual stream, h before the gate, is the
 * second result. The gate is that of Mamba-2 (Dao and Gu, arXiv 2405.21060, section 7.1).
 *
 * Source: Zhang and Sennrich, "Root Mean Square Layer Normalization" (arXiv 1910.07467), equation 4.
 */
export function rmsNorm(
  x: Float64Array, // [T, D] (or [T, H, D]: pass T * H as T)
  weight: Float64Array, // [D], or [H, D]: row t has that of head t % H
  { T, D }: { readonly T: number; readonly D: number },
  {
    eps = 1e-6,
    weightOffset = 0,
    residual,
    gate,
  }: {
    readonly eps?: number;
    readonly weightOffset?: number;
    readonly residual?: Float64Array; /* [T, D] */
    readonly gate?: Float64Array; /* [T, D] */
  } = {},
): { readonly out: Float64Array /* [T, D] */; readonly residual: Float64Array /* [T, D] */ } {
  const out = new Float64Array(T * D);
  const h = new Float64Array(T * D);
  const sums = new Float64Array(T * D);
  for (let t = 0; t < T; t++) {
    let sumOfSquares = 0;
    for (let d = 0; d < D; d++) {
      const value = x[t * D + d]! + (residual?.[t * D + d] ?? 0);
      sums[t * D + d] = value;
      const z = gate?.[t * D + d];
      const gated = z === undefined ? value : (value * z) / (1 + Math.exp(-z));
      h[t * D + d] = gated;
      sumOfSquares += gated * gated;
    }
    const rms = Math.sqrt(sumOfSquares / D + eps);
    for (let d = 0; d < D; d++) {
      out[t * D + d] = (h[t * D + d]! / rms) * (weightOffset + weight[(t * D + d) % weight.length]!);
    }
  }
  return { out, residual: sums };
}
