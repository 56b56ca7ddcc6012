/**
 * Matrix product with a transposed weight: out[t, n] = sum_k x[t, k] * weight[n, k] + bias[n] + residual[t, n].
 *
 * Source: the definition; the weight is stored [N, K] as in torch.nn.Linear.
 */
export function linear(
  x: Float64Array, // [T, K]
  weight: Float64Array, // [N, K]
  { T, N, K }: { readonly T: number; readonly N: number; readonly K: number },
  {
    bias,
    residual,
  }: { readonly bias?: Float64Array /* [N] */; readonly residual?: Float64Array /* [T, N] */ } = {},
): Float64Array /* [T, N] */ {
  const out = new Float64Array(T * N);
  for (let t = 0; t < T; t++) {
    for (let n = 0; n < N; n++) {
      let sum = 0;
      for (let k = 0; k < K; k++) sum += x[t * K + k]! * weight[n * K + k]!;
      out[t * N + n] = sum + (bias?.[n] ?? 0) + (residual?.[t * N + n] ?? 0);
    }
  }
  return out;
}
