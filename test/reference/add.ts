/** Elementwise sum of two tensors of one shape: out[i] = a[i] + scale * b[i]. Source: the definition. */
export function add(a: Float64Array, b: Float64Array, scale = 1): Float64Array /* shape of a */ {
  const out = new Float64Array(a.length);
  for (let i = 0; i < a.length; i++) out[i] = a[i]! + scale * b[i]!;
  return out;
}
