/**
 * The lightning indexer of sparse attention: small queries and keys of its own, whose products say which tokens a query attends to. It
 * keeps one key of every token, beside what attention keeps.
 *
 *     q[t, j] = rope(queries(c[t])),   k[s] = rope(layerNorm(keys(x[s]))),   w[t] = weights(x[t]),   c: the latents of queries
 *     score[t, s] = sum over heads j of w[t, j] / sqrt(Hi) * max(0, q[t, j] . k[s] / sqrt(Di))
 *
 * Rope turns the first Dr dimensions of both in halves. The published code turns q and k by a Hadamard matrix before it rounds them to
 * fp8, which leaves their products as they are: in a float nothing is gained by it.
 *
 * Paper: "DeepSeek-V3.2-Exp: Boosting Long-Context Efficiency with DeepSeek Sparse Attention", equation 1.
 */
import type { FloatDType } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { indexerTopK } from "../ops/indexerTopK.js";
import { kvStore } from "../ops/kvStore.js";
import { layerNorm } from "../ops/layerNorm.js";
import { linear } from "../ops/linear.js";
import type { LinearWeight } from "../ops/packLinear.js";
import { qkNormRopeStore } from "../ops/qkNormRopeStore.js";
import { rope } from "../ops/rope.js";
import type { PagedCache } from "./part.js";
import type { StateTensor } from "./state.js";
import type { StepInputs } from "./step.js";

export interface IndexerConfig {
  /** Hi */
  readonly numHeads: number;
  /** Di, more than Dr. */
  readonly headDim: number;
  /** Dr, of the dimensions that are rotated. */
  readonly rotatedDim: number;
  /** Tokens that a query attends to. */
  readonly topK: number;
  /** Of the norm of keys. */
  readonly normEps: number;
  /** Of queries, and of the keys that are kept. */
  readonly dtype: FloatDType;
}

export interface IndexerWeights {
  /** [Hi * Di, Rq] */
  readonly queries: LinearWeight;
  /** [Di, D] */
  readonly keys: LinearWeight;
  /** [Di] f32 */
  readonly keyNorm: Tensor;
  /** [Di] f32 */
  readonly keyNormBias: Tensor;
  /** Of the heads: [Hi, D] */
  readonly weights: LinearWeight;
  /** [Lmax, Dr] f32 */
  readonly ropeTable: Tensor;
}

export interface IndexerCall {
  /** [T, D] */
  readonly x: Tensor;
  /** [T, Rq], after their norm */
  readonly queryLatents: Tensor;
  readonly inputs: StepInputs;
  readonly cache: PagedCache;
}

export interface Indexer {
  readonly topK: number;
  /** What it keeps of every token. */
  readonly tensors: Readonly<Record<string, StateTensor>>;
  /** Stores the keys of x. */
  store(stream: Stream, call: IndexerCall): void;
  /** `store`, and @returns [T, topK] i32: for each token those that it attends to, as `mlaAttention` takes them */
  choose(stream: Stream, call: IndexerCall): Tensor;
}

export function indexer(config: IndexerConfig, weights: IndexerWeights): Indexer {
  const { numHeads, headDim, rotatedDim, topK, normEps: eps, dtype } = config;
  const { keyNorm, keyNormBias, ropeTable: table } = weights;
  const scale = 1 / Math.sqrt(headDim * numHeads); // max(0, x) lets positive factors through: both in one

  /** Keys, and the pages where they go. What rope does not turn of them stands where values would. */
  const keysOf = (stream: Stream, { x, cache }: IndexerCall) => {
    const keys = linear(stream, x, weights.keys, { dtype: "f32" }); // [T, Di]
    const key = layerNorm(stream, keys, keyNorm, keyNormBias, { eps, dtype }).splitLast(1, headDim);
    const pages = cache.state["indexKeys"]!.splitLast(1, headDim); // [P, Ps, 1, Di]
    return {
      ...{ turned: key.slice(2, 0, rotatedDim), plain: key.slice(2, rotatedDim, headDim) },
      ...{ kPages: pages.slice(3, 0, rotatedDim), vPages: pages.slice(3, rotatedDim, headDim) },
    };
  };

  const store: Indexer["store"] = (stream, call) => {
    const { turned, plain, kPages, vPages } = keysOf(stream, call);
    rope(stream, turned, null, call.inputs.positions, table);
    kvStore(stream, turned, plain, kPages, vPages, call.cache.slots);
  };

  const choose: Indexer["choose"] = (stream, call) => {
    const { x, queryLatents, inputs, cache } = call;
    const { slots, pageTable, state } = cache;
    const { positions, rows, cuSeqlensQ, contextLens } = inputs;
    const q = linear(stream, queryLatents, weights.queries).splitLast(numHeads, headDim); // [T, Hi, Di]
    const { turned, plain, ...pages } = keysOf(stream, call);
    const headWeights = linear(stream, x, weights.weights, { dtype: "f32" }); // [T, Hi]; f32 keeps near ties apart
    qkNormRopeStore(stream, q.slice(2, 0, rotatedDim), turned, plain, { positions, table, slots, ...pages });
    const keyPages = state["indexKeys"]!; // [P, Ps, Di]
    return indexerTopK(stream, q, headWeights, keyPages, pageTable, rows, cuSeqlensQ, contextLens, {
      ...{ topK, scale },
    });
  };
  return { topK, tensors: { indexKeys: { dtype, shape: [headDim] } }, store, choose };
}
