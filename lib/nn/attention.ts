/**
 * Self-attention over paged keys and values: multi-head, grouped-query or multi-query, with or without rotary positions,
 * per-head norms and a sliding window.
 */
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { kvStore } from "../ops/kvStore.js";
import { linear } from "../ops/linear.js";
import type { LinearWeight } from "../ops/packLinear.js";
import { pagedAttention } from "../ops/pagedAttention.js";
import { rmsNorm } from "../ops/rmsNorm.js";
import { rope } from "../ops/rope.js";
import type { KvLayer, StepInputs } from "./step.js";

export interface AttentionConfig {
  readonly numHeads: number;
  /** A divisor of numHeads; query head h reads key head floor(h * Hkv / Hq). */
  readonly numKvHeads: number;
  readonly headDim: number;
  /** Factor on the products of queries and keys. */
  readonly scale: number;
  /** Keys that a query sees, itself included; 0 is all. */
  readonly window: number;
  /** Of the per-head norms; needed with `qNorm` and `kNorm` only. */
  readonly qkNormEps?: number;
}

export interface AttentionWeights {
  /** Queries, then keys, then values: [(Hq + 2 Hkv) * Dh, D] */
  readonly qkv: LinearWeight;
  /** [(Hq + 2 Hkv) * Dh] f32 */
  readonly qkvBias?: Tensor | undefined;
  /** [Dh] f32, applied to each query head before its rotation */
  readonly qNorm?: Tensor | undefined;
  /** [Dh] f32, applied to each key head before its rotation */
  readonly kNorm?: Tensor | undefined;
  /** [Lmax, R] f32; without it positions do not enter attention */
  readonly ropeTable?: Tensor | undefined;
  /** [D, Hq * Dh] */
  readonly output: LinearWeight;
  /** [D] f32 */
  readonly outputBias?: Tensor | undefined;
}

/** Reads x [T, D] in the activation dtype and adds its result to `residual` [T, D] f32. Stores the keys and values of x. */
export type AttentionBlock = (
  stream: Stream,
  x: Tensor,
  residual: Tensor,
  inputs: StepInputs,
  kv: KvLayer,
) => void;

export function attentionBlock(config: AttentionConfig, weights: AttentionWeights): AttentionBlock {
  const { numHeads, numKvHeads, headDim, scale, window, qkNormEps = 1e-6 } = config;
  const { qNorm, kNorm, ropeTable } = weights;
  const queries = numHeads * headDim;
  const keys = numKvHeads * headDim;

  return (stream, x, residual, inputs, kv) => {
    const { positions, slots, pageTable, rows, cuSeqlensQ, contextLens } = inputs;
    const qkv = linear(stream, x, weights.qkv, { bias: weights.qkvBias });
    const q = qkv.slice(1, 0, queries).splitLast(numHeads, headDim); // [T, Hq, Dh]
    const k = qkv.slice(1, queries, queries + keys).splitLast(numKvHeads, headDim); // [T, Hkv, Dh]
    const v = qkv.slice(1, queries + keys, queries + 2 * keys).splitLast(numKvHeads, headDim);

    if (qNorm) rmsNorm(stream, q, qNorm, { eps: qkNormEps, out: q });
    if (kNorm) rmsNorm(stream, k, kNorm, { eps: qkNormEps, out: k });
    if (ropeTable) rope(stream, q, k, positions, ropeTable);

    kvStore(stream, k, v, kv.k, kv.v, slots);
    const mixed = pagedAttention(stream, q, kv.k, kv.v, pageTable, rows, cuSeqlensQ, contextLens, {
      scale,
      window,
    }).reshape([x.size(0), queries]); // [T, Hq * Dh]
    linear(stream, mixed, weights.output, { bias: weights.outputBias, residual, out: residual });
  };
}
