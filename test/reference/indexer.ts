/**
 * Which tokens each query of a sequence attends to by a lightning indexer, a whole sequence at once:
 *   q[t, j] = rope(queries(c[t])),  k[s] = rope(layerNorm(keys(x[s]))),  w[t] = weights(x[t]) / sqrt(Hi)
 * and of the scores of `indexerTopK` the topK largest. Rope turns the first R dimensions, in halves.
 *
 * Source: DeepSeek-V3.2-Exp, "Boosting Long-Context Efficiency with DeepSeek Sparse Attention", equation 1; its published
 * inference/model.py, without what it does for fp8.
 */
import { type Angles, type Matrix, product } from "./blocks.js";
import { indexerTopK } from "./indexerTopK.js";
import { layerNorm } from "./layerNorm.js";
import { rope } from "./rope.js";

export interface IndexerWeights {
  readonly queries: Matrix; // [Hi * Di, Rq]
  readonly keys: Matrix; // [Di, D]
  readonly keyNorm: Float64Array; // [Di]
  readonly keyNormBias: Float64Array; // [Di]
  readonly weights: Matrix; // [Hi, D]
}

export interface ChosenTokens {
  /** Of each query, ascending. */
  readonly tokens: readonly Int32Array[];
  readonly keys: Float64Array; // [T, Di], as they are cached
  /** Between the scores of the last token chosen and the first one dropped, at least; where both are 0, no head likes them. */
  readonly margin: number;
}

export function chooseTokens(
  x: Float64Array, // [T, D]
  queryLatents: Float64Array, // [T, Rq]
  weights: IndexerWeights,
  { topK, angles, eps }: { readonly topK: number; readonly angles: Angles; readonly eps: number },
): ChosenTokens {
  const [Hi, Di, T] = [weights.weights.N, weights.keys.N, x.length / weights.keys.K];
  const positions = Int32Array.from({ length: T }, (_, t) => t);
  const turned = (values: Float64Array, H: number) =>
    rope(values, positions, angles.table, { T, H, Dh: Di, R: angles.R });
  const q = turned(product(queryLatents, weights.queries), Hi);
  const normed = layerNorm(
    product(x, weights.keys),
    weights.keyNorm,
    weights.keyNormBias,
    { T, D: Di },
    { eps },
  );
  const keys = turned(normed, 1);
  const headWeights = product(x, weights.weights).map((weight) => weight / Math.sqrt(Hi));
  const sequence = [Int32Array.of(0), Int32Array.of(0), Int32Array.of(0, T), Int32Array.of(T)] as const;
  const shape = { Hi, Di, Ps: T, Pmax: 1 };
  const { indices, scores } = indexerTopK(q, headWeights, keys, ...sequence, shape, { topK });
  const margins = scores.map((ofQuery) => {
    const [kept = Infinity, dropped = -Infinity] = ofQuery
      .slice()
      .sort()
      .reverse()
      .subarray(topK - 1);
    return kept === 0 && dropped === 0 ? Infinity : kept - dropped;
  });
  return {
    tokens: scores.map((_, t) => indices.subarray(t * topK, t * topK + Math.min(topK, t + 1))),
    ...{ keys, margin: Math.min(...margins) },
  };
}
