/**
 * One matrix product per expert: rows r in [offsets[e], offsets[e+1]) use the weight of expert e,
 *   y[r, n] = sum_k x[source(r), k] * weight[e, n, k] + bias[e, n]
 * where source(r) = floor(order[r] / topK) with `order` (the rows of x are tokens, gathered on the fly) and r without.
 * With swiglu the first N/2 columns are gates and the rest ups: out[r, f] = silu(y[r, f]) * y[r, N/2 + f],
 * or what siluMul.ts says of `clamp`.
 *
 * Source: Gale et al., "MegaBlocks" (arXiv 2211.15841); swiglu: Shazeer (arXiv 2002.05202), section 2.
 */
import { type Clamp, gated } from "./siluMul.js";

export function groupedLinear(
  x: Float64Array, // [T, K] with order, [M, K] without
  weight: Float64Array, // [E, N, K]
  offsets: Int32Array, // [E + 1]
  { N, K }: { readonly N: number; readonly K: number },
  {
    order,
    topK = 1,
    swiglu = false,
    bias,
    clamp,
  }: {
    readonly order?: Int32Array; // [M]
    readonly topK?: number;
    readonly swiglu?: boolean;
    readonly bias?: Float64Array | undefined; // [E, N]
    readonly clamp?: Clamp | undefined;
  } = {},
): Float64Array /* [M, N], or [M, N/2] with swiglu */ {
  const M = order?.length ?? x.length / K;
  const width = swiglu ? N / 2 : N;
  const out = new Float64Array(M * width);
  for (let e = 0; e + 1 < offsets.length; e++) {
    for (let r = offsets[e]!; r < offsets[e + 1]!; r++) {
      const source = order ? Math.floor(order[r]! / topK) : r;
      const y = new Float64Array(N);
      for (let n = 0; n < N; n++) {
        if (bias) y[n] = bias[e * N + n]!;
        for (let k = 0; k < K; k++) y[n]! += x[source * K + k]! * weight[(e * N + n) * K + k]!;
      }
      for (let f = 0; f < width; f++) {
        out[r * width + f] = swiglu ? gated(y[f]!, y[width + f]!, clamp) : y[f]!;
      }
    }
  }
  return out;
}
