/** out[t] = table[rows[t], cols[t]], without cols out[l, t] = table[rows[t], l]; 0 where rows[t] is -1. Source: the definition. */
export function tableGather(
  table: Int32Array, // [R, L]
  rows: Int32Array, // [T]
  cols: Int32Array | null, // [T]
  { L }: { readonly L: number },
): Int32Array /* [T], without cols [L, T] */ {
  const cell = (t: number, col: number): number => (rows[t] === -1 ? 0 : table[rows[t]! * L + col]!);
  if (cols !== null) return rows.map((_, t) => cell(t, cols[t]!));
  const T = rows.length;
  return Int32Array.from({ length: L * T }, (_, i) => cell(i % T, Math.floor(i / T)));
}
