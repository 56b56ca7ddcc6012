/**
 * Attention of one query of one head over the keys it sees, the common core of `flashAttention` and `pagedAttention`:
 *   s_j = scale * q . k_j,  p = softmax(s),  out = sum_j p_j v_j,  lse = log(sum_j exp(s_j)).
 * A query that sees no key gives 0 and lse = -infinity.
 *
 * Source: Vaswani et al., "Attention Is All You Need" (arXiv 1706.03762), equation 1; lse as in Dao,
 * "FlashAttention-2" (arXiv 2307.08691), section 3.1.
 */
export function attentionRow(
  q: Float64Array, // [Dh]
  keys: readonly Float64Array[], // n of [Dh]
  values: readonly Float64Array[], // n of [Dv]
  { Dv, scale }: { readonly Dv: number; readonly scale: number },
): { readonly out: Float64Array /* [Dv] */; readonly lse: number } {
  const out = new Float64Array(Dv);
  if (keys.length === 0) return { out, lse: -Infinity };

  const scores = keys.map((key) => {
    let dot = 0;
    for (let d = 0; d < q.length; d++) dot += q[d]! * key[d]!;
    return scale * dot;
  });
  let max = -Infinity;
  for (const score of scores) max = Math.max(max, score);
  let sum = 0;
  for (const score of scores) sum += Math.exp(score - max);

  for (let j = 0; j < keys.length; j++) {
    const p = Math.exp(scores[j]! - max) / sum;
    for (let d = 0; d < Dv; d++) out[d]! += p * values[j]![d]!;
  }
  return { out, lse: max + Math.log(sum) };
}
