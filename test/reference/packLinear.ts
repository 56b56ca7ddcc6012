/**
 * The layout of a packed weight, by the definition in native/ops/pack_linear/pack_linear.h. Panels of 16 rows of the weight,
 * with swiglu one of gate rows and one of up rows in turns; zeros where there is no such row or k. Element (row, k) of
 * panel p lies at
 *   panels  [p][floor(k / u)][row][k mod u]   on the CPU
 *   rows    [p][row][k]                       on a GPU
 */
export function packLinear(
  weight: Float64Array, // [N, K]
  { N, K }: { readonly N: number; readonly K: number },
  {
    layout,
    u,
    swiglu = false,
  }: { readonly layout: "panels" | "rows"; readonly u: number; readonly swiglu?: boolean },
): Float64Array /* [panels, ceil(K / u), 16, u] */ {
  const half = N / 2;
  const panels = swiglu ? 2 * Math.ceil(half / 16) : Math.ceil(N / 16);
  const width = Math.ceil(K / u) * u;
  const out = new Float64Array(panels * 16 * width);
  for (let p = 0; p < panels; p++) {
    for (let row = 0; row < 16; row++) {
      const inHalf = Math.floor(p / 2) * 16 + row;
      const n = swiglu ? (p % 2) * half + inHalf : p * 16 + row;
      if (swiglu ? inHalf >= half : n >= N) continue;
      for (let k = 0; k < K; k++) {
        const place = layout === "rows" ? row * width + k : (Math.floor(k / u) * 16 + row) * u + (k % u);
        out[p * 16 * width + place] = weight[n * K + k]!;
      }
    }
  }
  return out;
}
