/** out[t] = table[rows[t], cols[t]], and 0 where rows[t] is -1. Source: the definition. */
export function tableGather(
  table: Int32Array, // [R, L]
  rows: Int32Array, // [T]
  cols: Int32Array, // [T]
  { L }: { readonly L: number },
): Int32Array /* [T] */ {
  return rows.map((row, t) => (row === -1 ? 0 : table[row * L + cols[t]!]!));
}
