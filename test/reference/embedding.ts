/**
 * Row lookup: out[t] = table[ids[t]].
 *
 * Source: the input embedding of Vaswani et al., "Attention Is All You Need" (arXiv 1706.03762), section 3.4,
 * without the sqrt(D) factor. The op is also used as a plain row gather.
 */
export function embedding(
  ids: Int32Array, // [T]
  table: Float64Array, // [V, D]
  { V, D }: { readonly V: number; readonly D: number },
): Float64Array /* [T, D] */ {
  const T = ids.length;
  const out = new Float64Array(T * D);
  for (let t = 0; t < T; t++) {
    const id = ids[t]!;
    if (id < 0 || id >= V) throw new RangeError(`embedding: ids[${t}] = ${id} is outside [0, V=${V})`);
    for (let d = 0; d < D; d++) out[t * D + d] = table[id * D + d]!;
  }
  return out;
}
