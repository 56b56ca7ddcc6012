/**
 * SwiGLU gate: out[t, f] = silu(gate[t, f]) * up[t, f], silu(z) = z / (1 + exp(-z)), where x holds the F gates of a row
 * and then its F ups. With `clamp` the gate is clamped from above and up on both sides: gate' / (1 + exp(-alpha gate')) * (up' + 1).
 *
 * Source: Shazeer, "GLU Variants Improve Transformer" (arXiv 2002.05202), section 2; clamp: openai/gpt-oss, gpt_oss/torch/model.py.
 */
export interface Clamp {
  readonly limit: number;
  readonly alpha: number;
}

export function gated(gate: number, up: number, clamp?: Clamp): number {
  if (!clamp) return (gate / (1 + Math.exp(-gate))) * up;
  const { limit, alpha } = clamp;
  const g = Math.min(gate, limit);
  return (g / (1 + Math.exp(-alpha * g))) * (Math.min(Math.max(up, -limit), limit) + 1);
}

export function siluMul(
  x: Float64Array, // [T, 2F]
  { T, F }: { readonly T: number; readonly F: number },
  { clamp }: { readonly clamp?: Clamp | undefined } = {},
): Float64Array /* [T, F] */ {
  const out = new Float64Array(T * F);
  for (let t = 0; t < T; t++) {
    for (let f = 0; f < F; f++) {
      const gate = x[t * 2 * F + f]!;
      const up = x[t * 2 * F + F + f]!;
      out[t * F + f] = gated(gate, up, clamp);
    }
  }
  return out;
}
