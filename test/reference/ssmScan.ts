/**
 * The recurrence of Mamba-2 over the tokens of each sequence. Of head h, with d = clamp(log(1 + exp(dt[t, h] + dtBias[h])), dtMin,
 * dtMax) and the b and c of its group floor(h * G / H):
 *   state[n, p] = exp(a[h] * d) * state[n, p] + d * x[t, h, p] * b[t, n]
 *   out[t, h, p] = skip[h] * x[t, h, p] + sum over n of c[t, n] * state[n, p]
 *
 * A sequence begins from zeros if contextLens says that it has no other tokens than those of this step, or if it has no place.
 *
 * Source: Dao and Gu, "Transformers are SSMs" (arXiv 2405.21060), sections 2 and 7; the clamp is that of Mamba2 in
 * state-spaces/mamba (dt_limit).
 */
export interface ScanSizes {
  readonly H: number;
  readonly P: number;
  readonly G: number;
  readonly N: number;
}

export interface ScanStep {
  readonly cuSeqlensQ: ArrayLike<number>; // [B + 1]
  readonly contextLens: ArrayLike<number>; // [B]
  readonly state: Float64Array; // [S, H, N, P]
  readonly stateIndices: ArrayLike<number>; // [B]; -1: nothing before, nothing kept
  readonly skip?: Float64Array; // [H]
  readonly dtBias?: Float64Array; // [H]
  readonly dtMin?: number;
  readonly dtMax?: number;
}

export function ssmScan(
  x: Float64Array, // [T, H, P]
  dt: Float64Array, // [T, H]
  a: Float64Array, // [H]
  b: Float64Array, // [T, G, N]
  c: Float64Array, // [T, G, N]
  { H, P, G, N }: ScanSizes,
  step: ScanStep,
): { readonly out: Float64Array /* [T, H, P] */; readonly state: Float64Array /* [S, H, N, P] */ } {
  const { dtMin = 0, dtMax = Infinity, cuSeqlensQ, contextLens, stateIndices } = step;
  const out = new Float64Array(x.length);
  const state = step.state.slice();
  for (let s = 0; s < contextLens.length; s++) {
    const [first, end, place] = [cuSeqlensQ[s]!, cuSeqlensQ[s + 1]!, stateIndices[s]!];
    const begins = place === -1 || contextLens[s] === end - first;
    for (let h = 0; h < H; h++) {
      const group = Math.floor((h * G) / H);
      const at = (place * H + h) * N * P;
      const kept = begins ? new Float64Array(N * P) : step.state.slice(at, at + N * P);
      for (let t = first; t < end; t++) {
        const z = dt[t * H + h]! + (step.dtBias?.[h] ?? 0);
        const softplus = Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z)));
        const d = Math.min(dtMax, Math.max(dtMin, softplus));
        const decay = Math.exp(a[h]! * d);
        for (let p = 0; p < P; p++) {
          const input = x[(t * H + h) * P + p]!;
          let sum = (step.skip?.[h] ?? 0) * input;
          for (let n = 0; n < N; n++) {
            const i = n * P + p;
            kept[i] = decay * kept[i]! + d * input * b[(t * G + group) * N + n]!;
            sum += c[(t * G + group) * N + n]! * kept[i];
          }
          out[(t * H + h) * P + p] = sum;
        }
      }
      if (place >= 0 && end > first) state.set(kept, at);
    }
  }
  return { out, state };
}
