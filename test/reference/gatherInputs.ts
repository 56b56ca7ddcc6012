export interface GatherInputsSizes {
  readonly K: number;
  readonly topK?: number;
}

/**
 * out[r, k] = x[floor(order[r] / topK), inputOrder[e, k]] for the expert e whose rows have r; rows of none are NaN. Source: the definition.
 */
export function gatherInputs(
  x: Float64Array, // [S, K]
  inputOrder: Int32Array, // [E, K]
  offsets: Int32Array | null, // [E + 1]; null: E = 1
  order: Int32Array | null, // [M]; null: M = S
  { K, topK = 1 }: GatherInputsSizes,
): Float64Array /* [M, K] */ {
  const M = order ? order.length : x.length / K;
  const out = new Float64Array(M * K).fill(NaN);
  for (let e = 0; e < inputOrder.length / K; e++) {
    const [first, end] = offsets ? [offsets[e]!, offsets[e + 1]!] : [0, M];
    for (let r = first; r < end; r++) {
      const source = order ? Math.floor(order[r]! / topK) : r;
      for (let k = 0; k < K; k++) out[r * K + k] = x[source * K + inputOrder[e * K + k]!]!;
    }
  }
  return out;
}
