/**
 * Scatters the keys (or the values) of new tokens into pages: with slot = page * Ps + offset,
 *   pages[page, offset, h, d] = x[t, h, d].
 * Slot -1 skips the token. The op writes k and v in place; the reference returns a written copy of one of them and is
 * called once for each.
 *
 * Source: Kwon et al., "Efficient Memory Management for Large Language Model Serving with PagedAttention"
 * (arXiv 2309.06180), section 4.
 */
export function kvStore(
  x: Float64Array, // [T, Hkv, Dh]
  pages: Float64Array, // [P, Ps, Hkv, Dh]
  slots: Int32Array, // [T]
  { P, Ps, Hkv, Dh }: { readonly P: number; readonly Ps: number; readonly Hkv: number; readonly Dh: number },
): Float64Array /* [P, Ps, Hkv, Dh] */ {
  const out = pages.slice();
  const rowLength = Hkv * Dh;
  for (let t = 0; t < slots.length; t++) {
    const slot = slots[t]!;
    if (slot === -1) continue;
    if (slot < -1 || slot >= P * Ps)
      throw new RangeError(`kvStore: slots[${t}] = ${slot} is outside [-1, ${P * Ps})`);
    for (let i = 0; i < rowLength; i++) out[slot * rowLength + i] = x[t * rowLength + i]!;
  }
  return out;
}
