/**
 * Natural-log probabilities log softmax(logits) of one chosen token per row and of the row's topN best tokens, best first;
 * equal logits are ranked by lower index.
 *
 * Source: the definition, log p_v = l_v - max - log(sum_w exp(l_w - max)).
 */
export function logprobs(
  logits: Float64Array, // [B, V]
  ids: Int32Array, // [B]
  { B, V, topN }: { readonly B: number; readonly V: number; readonly topN: number },
): {
  readonly chosen: Float64Array; // [B]
  readonly topIds: Int32Array; // [B, topN]
  readonly topValues: Float64Array; // [B, topN]
} {
  const chosen = new Float64Array(B);
  const topIds = new Int32Array(B * topN);
  const topValues = new Float64Array(B * topN);
  for (let b = 0; b < B; b++) {
    const row = logits.subarray(b * V, (b + 1) * V);
    let max = -Infinity;
    for (const value of row) max = Math.max(max, value);
    let sum = 0;
    for (const value of row) sum += Math.exp(value - max);
    const logSum = Math.log(sum);

    chosen[b] = row[ids[b]!]! - max - logSum;
    const ranked = Array.from(row.keys()).sort((left, right) => row[right]! - row[left]! || left - right);
    for (let n = 0; n < topN; n++) {
      topIds[b * topN + n] = ranked[n]!;
      topValues[b * topN + n] = row[ranked[n]!]! - max - logSum;
    }
  }
  return { chosen, topIds, topValues };
}
