/**
 * Weighted sum of the outputs of a token's experts:
 *   out[t, d] = residual[t, d] + sum over k ascending of weights[t, k] * y[inverse[t, k], d],
 * with `rows` only over the k for which inverse[t, k] is one of them.
 *
 * Source: Shazeer et al., "Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer"
 * (arXiv 1701.06538), equation 1.
 */
export function moeCombine(
  y: Float64Array, // [T*K, D]
  inverse: Int32Array, // [T, K]
  weights: Float64Array, // [T, K]
  { T, K, D }: { readonly T: number; readonly K: number; readonly D: number },
  {
    residual,
    rows: [first, last] = [0, T * K],
  }: { readonly residual?: Float64Array /* [T, D] */; readonly rows?: readonly [number, number] } = {},
): Float64Array /* [T, D] */ {
  const out = new Float64Array(T * D);
  for (let t = 0; t < T; t++) {
    for (let d = 0; d < D; d++) {
      let sum = residual?.[t * D + d] ?? 0;
      for (let k = 0; k < K; k++) {
        const row = inverse[t * K + k]!;
        if (row >= first && row < last) sum += weights[t * K + k]! * y[row * D + d]!;
      }
      out[t * D + d] = sum;
    }
  }
  return out;
}
