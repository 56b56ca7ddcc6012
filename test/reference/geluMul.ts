import { gelu } from "./gelu.js";

/**
 * GEGLU gate: out[t, f] = gelu(gate[t, f]) * up[t, f], where x holds the F gates of a row and then its F ups.
 *
 * Source: Shazeer, "GLU Variants Improve Transformer" (arXiv 2002.05202), section 2.
 */
export function geluMul(
  x: Float64Array, // [T, 2F]
  { T, F }: { readonly T: number; readonly F: number },
  options: { readonly approximate: "tanh" | "none" },
): Float64Array /* [T, F] */ {
  const out = new Float64Array(T * F);
  for (let t = 0; t < T; t++) {
    const gate = gelu(x.subarray(t * 2 * F, t * 2 * F + F), options);
    for (let f = 0; f < F; f++) out[t * F + f] = gate[f]! * x[t * 2 * F + F + f]!;
  }
  return out;
}
