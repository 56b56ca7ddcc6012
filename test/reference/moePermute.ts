/**
 * Groups the T*K (token, choice) pairs by expert with a stable counting sort:
 *   order[r]      = flat index t*K + k of the pair at permuted row r
 *   inverse[t, k] = the row r with order[r] = t*K + k
 *   offsets[e]    = number of pairs of the experts below e; expert e owns rows [offsets[e], offsets[e+1])
 *
 * Source: Gale et al., "MegaBlocks" (arXiv 2211.15841), the permutation; counting sort: Knuth, "The Art of Computer
 * Programming" volume 3, section 5.2, algorithm D.
 */
export function moePermute(
  experts: Int32Array, // [T, K]
  { E }: { readonly E: number },
): {
  readonly order: Int32Array /* [T*K] */;
  readonly inverse: Int32Array /* [T, K] */;
  readonly offsets: Int32Array; /* [E+1] */
} {
  const order = new Int32Array(experts.length);
  const inverse = new Int32Array(experts.length);
  const offsets = new Int32Array(E + 1);
  let row = 0;
  for (let e = 0; e < E; e++) {
    offsets[e] = row;
    for (let pair = 0; pair < experts.length; pair++) {
      if (experts[pair] !== e) continue;
      order[row] = pair;
      inverse[pair] = row;
      row++;
    }
  }
  offsets[E] = row;
  return { order, inverse, offsets };
}
