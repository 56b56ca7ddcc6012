/**
 * SwiGLU gate: out[t, f] = silu(gate[t, f]) * up[t, f], silu(z) = z / (1 + exp(-z)), where x holds the F gates of a row
 * and then its F ups.
 *
 * Source: Shazeer, "GLU Variants Improve Transformer" (arXiv 2002.05202), section 2.
 */
export function siluMul(
  x: Float64Array, // [T, 2F]
  { T, F }: { readonly T: number; readonly F: number },
): Float64Array /* [T, F] */ {
  const out = new Float64Array(T * F);
  for (let t = 0; t < T; t++) {
    for (let f = 0; f < F; f++) {
      const gate = x[t * 2 * F + f]!;
      const up = x[t * 2 * F + F + f]!;
      out[t * F + f] = (gate / (1 + Math.exp(-gate))) * up;
    }
  }
  return out;
}
