/**
 * Softmax over the last axis of scale * x. With `causal`, row t sees the columns j <= t + D - T (bottom-right aligned) and
 * the others are 0; a row that sees no column, or nothing but -inf, is 0.
 *
 * Source: the definition, p_j = exp(s_j - max) / sum_i exp(s_i - max).
 */
export function softmax(
  x: Float64Array, // [T, D]
  { T, D }: { readonly T: number; readonly D: number },
  { causal = false, scale = 1 }: { readonly causal?: boolean; readonly scale?: number } = {},
): Float64Array /* [T, D] */ {
  const out = new Float64Array(T * D);
  for (let t = 0; t < T; t++) {
    const seen = causal ? Math.min(Math.max(t + D - T + 1, 0), D) : D;
    let max = -Infinity;
    for (let j = 0; j < seen; j++) max = Math.max(max, scale * x[t * D + j]!);
    if (max === -Infinity) continue;
    let sum = 0;
    for (let j = 0; j < seen; j++) sum += Math.exp(scale * x[t * D + j]! - max);
    for (let j = 0; j < seen; j++) out[t * D + j] = Math.exp(scale * x[t * D + j]! - max) / sum;
  }
  return out;
}
