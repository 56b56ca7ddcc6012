/**
 * Index of the largest element of each row. The lowest index wins a tie; NaN never wins, and a row of NaN alone gives 0.
 *
 * Source: the definition.
 */
export function argmax(
  logits: Float64Array, // [B, V]
  { B, V }: { readonly B: number; readonly V: number },
): Int32Array /* [B] */ {
  const out = new Int32Array(B);
  for (let b = 0; b < B; b++) {
    let best = -1;
    for (let v = 0; v < V; v++) {
      const value = logits[b * V + v]!;
      if (Number.isNaN(value)) continue;
      if (best < 0 || value > logits[b * V + best]!) best = v;
    }
    out[b] = Math.max(best, 0);
  }
  return out;
}
