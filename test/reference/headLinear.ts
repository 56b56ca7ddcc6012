/**
 * A matrix product per head: out[t, h, n] = sum_k x[t, h, k] * weight[h, n, k].
 *
 * Source: DeepSeek-V2 (arXiv 2405.04434), section 2.1.2, the products of W_uk with queries and of W_uv with what attention gives.
 */
export function headLinear(
  x: Float64Array, // [T, H, K]
  weight: Float64Array, // [H, N, K]
  { H, N, K }: { readonly H: number; readonly N: number; readonly K: number },
): Float64Array /* [T, H, N] */ {
  const T = x.length / (H * K);
  const out = new Float64Array(T * H * N);
  for (let t = 0; t < T; t++) {
    for (let h = 0; h < H; h++) {
      for (let n = 0; n < N; n++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += x[(t * H + h) * K + k]! * weight[(h * N + n) * K + k]!;
        out[(t * H + h) * N + n] = sum;
      }
    }
  }
  return out;
}
