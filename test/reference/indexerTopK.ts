/**
 * The lightning indexer: of the tokens s <= p that a query at position p of its sequence sees, the topK with the largest
 *
 *     score[s] = sum over heads j of weights[t, j] * max(0, scale * q[t, j] . k[s])
 *
 * in ascending order, then -1. Of equal scores the smaller position is chosen; NaN is larger than any number. Sequences, pages and
 * positions are those of `pagedAttention` (test/reference/pagedAttention.ts).
 *
 * Source: DeepSeek-V3.2-Exp, "Boosting Long-Context Efficiency with DeepSeek Sparse Attention", equation 1; its published
 * inference/model.py for scale and the position of relu.
 */
export function indexerTopK(
  q: Float64Array, // [T, Hi, Di]
  weights: Float64Array, // [T, Hi]
  keyPages: Float64Array, // [P, Ps, Di]
  pageTable: Int32Array, // [R, Pmax]
  rows: Int32Array, // [B]
  cuSeqlensQ: Int32Array, // [B + 1]
  contextLens: Int32Array, // [B]
  shape: { readonly Hi: number; readonly Di: number; readonly Ps: number; readonly Pmax: number },
  { topK, scale = 1 / Math.sqrt(shape.Di) }: { readonly topK: number; readonly scale?: number },
): {
  readonly indices: Int32Array; // [T, topK]
  readonly scores: readonly Float64Array[]; // of each query, of the tokens that it sees
} {
  const { Hi, Di, Ps, Pmax } = shape;
  const T = weights.length / Hi;
  const indices = new Int32Array(T * topK).fill(-1);
  const scores: Float64Array[] = [];
  for (let b = 0; b < rows.length; b++) {
    const [first, end] = [cuSeqlensQ[b]!, cuSeqlensQ[b + 1]!];
    for (let t = first; t < end; t++) {
      const position = contextLens[b]! - end + t;
      const ofQuery = new Float64Array(position + 1);
      for (let s = 0; s <= position; s++) {
        const page = pageTable[rows[b]! * Pmax + Math.floor(s / Ps)]!;
        const key = (page * Ps + (s % Ps)) * Di;
        for (let j = 0; j < Hi; j++) {
          let product = 0;
          for (let d = 0; d < Di; d++) product += q[(t * Hi + j) * Di + d]! * keyPages[key + d]!;
          ofQuery[s]! += weights[t * Hi + j]! * Math.max(0, scale * product);
        }
      }
      scores[t] = ofQuery;
      const value = (s: number): number => (Number.isNaN(ofQuery[s]) ? Infinity : ofQuery[s]!);
      const isNaN = (s: number): number => Number(Number.isNaN(ofQuery[s]));
      const before = (a: number, b: number): boolean =>
        isNaN(a) !== isNaN(b) ? isNaN(a) > isNaN(b) : value(a) > value(b);
      const ranked = Array.from(ofQuery, (_, s) => s);
      ranked.sort((a, b) => (before(a, b) ? -1 : before(b, a) ? 1 : a - b));
      indices.set(
        ranked.slice(0, topK).sort((a, b) => a - b),
        t * topK,
      );
    }
  }
  return { indices, scores };
}
