/**
 * Rotary position embedding of one tensor of heads. Pair i of the first R <= Dh dimensions of a head is rotated by the
 * angle whose cosine and sine the table holds at the token's position:
 *   a' = a * cos - b * sin
 *   b' = b * cos + a * sin
 * (a, b) are the dimensions (i, i + R/2), or (2i, 2i + 1) when interleaved. Dimensions from R on pass through.
 * The op rotates q and k in place; the reference returns a rotated copy and is called once for each.
 *
 * Source: Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding" (arXiv 2104.09864), section 3.4.2
 * (interleaved pairs); the split halves are GPT-NeoX's and Llama's layout of the same rotation.
 */
export function rope(
  x: Float64Array, // [T, H, Dh]
  positions: Int32Array, // [T]
  table: Float64Array, // [Lmax, R]: R/2 cosines, then R/2 sines
  { T, H, Dh, R }: { readonly T: number; readonly H: number; readonly Dh: number; readonly R: number },
  { interleaved = false }: { readonly interleaved?: boolean } = {},
): Float64Array /* [T, H, Dh] */ {
  const out = x.slice();
  const half = R / 2;
  for (let t = 0; t < T; t++) {
    const row = positions[t]! * R;
    for (let h = 0; h < H; h++) {
      const head = (t * H + h) * Dh;
      for (let i = 0; i < half; i++) {
        const first = head + (interleaved ? 2 * i : i);
        const second = head + (interleaved ? 2 * i + 1 : i + half);
        const cos = table[row + i]!;
        const sin = table[row + half + i]!;
        out[first] = x[first]! * cos - x[second]! * sin;
        out[second] = x[second]! * cos + x[first]! * sin;
      }
    }
  }
  return out;
}
