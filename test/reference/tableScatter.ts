/**
 * table[rows[n], cols[n]] = values[n]; a row of -1 skips the entry. The op writes in place, the reference returns a written
 * copy. The cells named by one call are distinct. Source: the definition.
 */
export function tableScatter(
  table: Int32Array, // [R, L]
  rows: Int32Array, // [N]
  cols: Int32Array, // [N]
  values: Int32Array, // [N]
  { L }: { readonly L: number },
): Int32Array /* [R, L] */ {
  const out = table.slice();
  for (let n = 0; n < rows.length; n++) {
    if (rows[n] !== -1) out[rows[n]! * L + cols[n]!] = values[n]!;
  }
  return out;
}
