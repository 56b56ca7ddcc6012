/**
 * Adds to counts[e] the number of pairs (t, k) with experts[t, k] = e whose token has a slot.
 *
 * Source: the definition.
 */
export function moeCount(
  experts: Int32Array, // [T, K]
  counts: readonly number[], // [E]
  { K, slots }: { readonly K: number; readonly slots?: Int32Array | undefined /* [T] */ },
): number[] /* [E] */ {
  return counts.map((count, e) => {
    const found = experts.filter((id, pair) => id === e && (slots?.[Math.floor(pair / K)] ?? 0) >= 0);
    return count + found.length;
  });
}
