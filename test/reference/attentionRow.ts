export interface ScoreOptions {
  readonly scale: number;
  readonly softcap?: number;
}

/**
 * Attention of one query of one head over the keys it sees, the common core of `flashAttention` and `pagedAttention`:
 *   s_j = scale * q . k_j,  p = softmax(s),  out = sum_j p_j v_j,  lse = log(sum_j exp(s_j)).
 * A query that sees no key gives 0 and lse = -infinity. With a softcap c > 0 s_j is c tanh(scale * q . k_j / c); a sink is one more
 * score, whose value is 0.
 *
 * Source: Vaswani et al., "Attention Is All You Need" (arXiv 1706.03762), equation 1; lse as in Dao,
 * "FlashAttention-2" (arXiv 2307.08691), section 3.1; softcap: "Gemma 2" (arXiv 2408.00118), section 2; sink: gpt-oss model card
 * (arXiv 2508.10925), section 2.2.
 */
export function attentionRow(
  q: Float64Array, // [Dh]
  keys: readonly Float64Array[], // n of [Dh]
  values: readonly Float64Array[], // n of [Dv]
  {
    Dv,
    scale,
    softcap = 0,
    sink = -Infinity,
  }: ScoreOptions & { readonly Dv: number; readonly sink?: number | undefined },
): { readonly out: Float64Array /* [Dv] */; readonly lse: number } {
  const out = new Float64Array(Dv);
  if (keys.length === 0) return { out, lse: sink };

  const scores = keys.map((key) => {
    let dot = 0;
    for (let d = 0; d < q.length; d++) dot += q[d]! * key[d]!;
    return softcap > 0 ? softcap * Math.tanh((scale * dot) / softcap) : scale * dot;
  });
  let max = sink;
  for (const score of scores) max = Math.max(max, score);
  let sum = Math.exp(sink - max);
  for (const score of scores) sum += Math.exp(score - max);

  for (let j = 0; j < keys.length; j++) {
    const p = Math.exp(scores[j]! - max) / sum;
    for (let d = 0; d < Dv; d++) out[d]! += p * values[j]![d]!;
  }
  return { out, lse: max + Math.log(sum) };
}
