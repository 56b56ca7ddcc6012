/**
 * Depthwise causal convolution over the tokens of each sequence:
 *   out[t, d] = act(bias[d] + sum over w < W of weight[d, w] * in(t - W + 1 + w, d))
 *
 * in() is x for tokens of this step, before them the state of the sequence, and zero before the sequence begins, which it does in this
 * step if contextLens says that it has no other tokens. Afterwards the state holds the last W - 1 inputs of the sequence.
 *
 * Source: Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces" (arXiv 2312.00752), section 3.4.
 */
export function causalConv1d(
  x: Float64Array, // [T, D]
  weight: Float64Array, // [D, W]
  { D, W }: { readonly D: number; readonly W: number },
  step: {
    readonly cuSeqlensQ: ArrayLike<number>; // [B + 1]
    readonly contextLens: ArrayLike<number>; // [B]
    readonly state: Float64Array; // [N, W - 1, D]
    readonly stateIndices: ArrayLike<number>; // [B]; -1: nothing before, nothing kept
    readonly bias?: Float64Array; // [D]
    readonly silu?: boolean;
  },
): { readonly out: Float64Array /* [T, D] */; readonly state: Float64Array /* [N, W - 1, D] */ } {
  const out = new Float64Array(x.length);
  const state = step.state.slice();
  for (let b = 0; b < step.contextLens.length; b++) {
    const [first, end] = [step.cuSeqlensQ[b]!, step.cuSeqlensQ[b + 1]!];
    const place = step.stateIndices[b]!;
    const begins = place === -1 || step.contextLens[b] === end - first;
    /** Of token t, counted as in x. */
    const input = (t: number, d: number): number => {
      if (t >= first) return x[t * D + d]!;
      return begins ? 0 : step.state[(place * (W - 1) + t - first + W - 1) * D + d]!;
    };
    for (let d = 0; d < D; d++) {
      for (let t = first; t < end; t++) {
        let sum = step.bias?.[d] ?? 0;
        for (let w = 0; w < W; w++) sum += weight[d * W + w]! * input(t - W + 1 + w, d);
        out[t * D + d] = step.silu ? sum / (1 + Math.exp(-sum)) : sum;
      }
      if (place === -1 || first === end) continue;
      for (let j = 0; j < W - 1; j++) state[(place * (W - 1) + j) * D + d] = input(end - W + 1 + j, d);
    }
  }
  return { out, state };
}
