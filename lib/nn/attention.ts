/**
 * Self-attention over paged keys and values: multi-head, grouped-query or multi-query, with or without rotary positions,
 * norms of queries and keys, a sliding window and sinks.
 */
import type { FloatDType, KvDType } from "../device/dtype.js";
import type { Tensor } from "../device/tensor.js";
import { ArgumentRangeError } from "../errors.js";
import { attentionPlan } from "../ops/attentionPlan.js";
import { clamp } from "../ops/clamp.js";
import { kvStore, type KvScales } from "../ops/kvStore.js";
import { linear } from "../ops/linear.js";
import type { LinearWeight } from "../ops/packLinear.js";
import { pagedAttention } from "../ops/pagedAttention.js";
import { qkNormRopeStore } from "../ops/qkNormRopeStore.js";
import { rmsNorm } from "../ops/rmsNorm.js";
import { normAllHeads, type HeadShare } from "./allHeadsNorm.js";
import type { Block, PagedCache, StepPlan } from "./part.js";
import type { LayerState, StateSpec } from "./state.js";

export interface AttentionConfig {
  readonly numHeads: number;
  /** A divisor of numHeads; query head h reads key head floor(h * Hkv / Hq). */
  readonly numKvHeads: number;
  readonly headDim: number;
  /** Of activations. */
  readonly dtype: FloatDType;
  /** Of the keys and values that are kept. Default: `dtype`. */
  readonly kvDtype?: KvDType | undefined;
  /** Factor on the products of queries and keys. */
  readonly scale: number;
  /** Scores are softcap * tanh(score / softcap), behind that factor. Default: as they are. */
  readonly softcap?: number | undefined;
  /** Queries, keys and values, behind norms over all heads, are clamped to that on both sides. Default: they are not. */
  readonly clip?: number | undefined;
  /** Keys that a query sees, itself included; 0 is all. */
  readonly window: number;
  /** Of the norms of queries and keys; needed with `qNorm` and `kNorm` only. */
  readonly qkNormEps?: number;
  /** Those norms run over all heads of a token together, which are these of all ranks. Default: over each head. */
  readonly normedHeads?: { readonly q: HeadShare; readonly k: HeadShare } | undefined;
}

export interface AttentionWeights {
  /** Queries, then keys, then values: [(Hq + 2 Hkv) * Dh, D] */
  readonly qkv: LinearWeight;
  /** [(Hq + 2 Hkv) * Dh] f32 */
  readonly qkvBias?: Tensor | undefined;
  /** [Dh] f32, applied to each query head before its rotation; with `normedHeads` [total * Dh] */
  readonly qNorm?: Tensor | undefined;
  /** The same of keys. */
  readonly kNorm?: Tensor | undefined;
  /** [Hq * Dh] f32 zeros, of the heads of all ranks; needed with `normedHeads` of several ranks only. */
  readonly zeros?: Tensor | undefined;
  /** [Lmax, R] f32; without it positions do not enter attention */
  readonly ropeTable?: Tensor | undefined;
  /** [Hq] f32: one more score of each query head, which has no value. */
  readonly sinks?: Tensor | undefined;
  /** [D, Hq * Dh] */
  readonly output: LinearWeight;
  /** [D] f32 */
  readonly outputBias?: Tensor | undefined;
}

/** The pages of one layer; those of codes have `kScales` and `vScales`, [P, Ps, Hkv], too. */
interface KvPages extends LayerState {
  /** [P, Ps, Hkv, Dh] */
  readonly k: Tensor;
  /** [P, Ps, Hkv, Dh] */
  readonly v: Tensor;
}

/** Keys and values of every token, as the block keeps them while its window sees them. */
export function attentionState({
  numKvHeads,
  headDim,
  dtype,
  kvDtype = dtype,
  window,
}: Pick<AttentionConfig, "numKvHeads" | "headDim" | "dtype" | "kvDtype" | "window">): StateSpec {
  const heads = { dtype: kvDtype, shape: [numKvHeads, headDim] };
  const scales = { dtype: "f32", shape: [numKvHeads] } as const;
  const isCode = kvDtype === "i8" || kvDtype === "fp8e4m3";
  return {
    lifetime: window > 0 ? { window } : "all",
    tensors: { k: heads, v: heads, ...(isCode && { kScales: scales, vScales: scales }) },
  };
}

/** Which sequences there are and how they are cut: the same for all layers with these heads and this window. */
function stepPlan(config: AttentionConfig): StepPlan {
  const { numHeads, numKvHeads, headDim, dtype, kvDtype = dtype, window } = config;
  const kind = { numHeads, numKvHeads, headDim, dtype, kvDtype, window };
  return {
    signature: `attention ${JSON.stringify(kind)}`,
    make(stream, { tokens, rows, cuSeqlensQ, contextLens, maxQueries }, cache) {
      const { state, pageTable } = cache as PagedCache;
      const { k } = state as KvPages;
      const sizes = { numQueries: tokens.size(0), maxQueries, pageSize: k.size(1) };
      return attentionPlan(stream, pageTable, rows, cuSeqlensQ, contextLens, { ...kind, ...sizes });
    },
  };
}

/**
 * output(attention(rope(norm(q)), rope(norm(k)), v)), q, k, v = qkv(x). Stores the keys and values of x.
 *
 * @throws ArgumentRangeError a clip and norms of each head, which come behind it in one op
 */
export function attentionBlock(config: AttentionConfig, weights: AttentionWeights): Block {
  const { numHeads, numKvHeads, headDim, scale, softcap, window, qkNormEps = 1e-6, normedHeads } = config;
  const { clip } = config;
  const { qNorm, kNorm, ropeTable, zeros, sinks } = weights;
  const headNorms = normedHeads ? {} : { qWeight: qNorm, kWeight: kNorm };
  if (clip !== undefined && (headNorms.qWeight || headNorms.kWeight))
    throw new ArgumentRangeError("attentionBlock: clip: expected none with norms of each head");
  const queries = numHeads * headDim;
  const keys = numKvHeads * headDim;

  const run: Block["run"] = (stream, { x, inputs, cache, plan, join, rankSum }) => {
    const { slots, pageTable, state } = cache as PagedCache;
    const kv = state as KvPages;
    const scales: KvScales = { kScales: state["kScales"], vScales: state["vScales"] };
    const { positions, rows, cuSeqlensQ, contextLens, maxQueries } = inputs;
    const qkv = linear(stream, x, weights.qkv, { bias: weights.qkvBias });
    if (normedHeads && qNorm && kNorm) {
      const norm = { eps: qkNormEps, headDim, zeros, rankSum };
      normAllHeads(stream, qkv.slice(1, 0, queries), qNorm, { ...norm, heads: normedHeads.q });
      normAllHeads(stream, qkv.slice(1, queries, queries + keys), kNorm, { ...norm, heads: normedHeads.k });
    }
    if (clip !== undefined) clamp(stream, qkv, { limit: clip, out: qkv });
    const q = qkv.slice(1, 0, queries).splitLast(numHeads, headDim); // [T, Hq, Dh]
    const k = qkv.slice(1, queries, queries + keys).splitLast(numKvHeads, headDim); // [T, Hkv, Dh]
    const v = qkv.slice(1, queries + keys, queries + 2 * keys).splitLast(numKvHeads, headDim);

    if (ropeTable) {
      qkNormRopeStore(stream, q, k, v, {
        ...{ positions, table: ropeTable, kPages: kv.k, vPages: kv.v, slots },
        ...{ ...headNorms, eps: qkNormEps, ...scales },
      });
    } else {
      if (headNorms.qWeight) rmsNorm(stream, q, headNorms.qWeight, { eps: qkNormEps, out: q });
      if (headNorms.kWeight) rmsNorm(stream, k, headNorms.kWeight, { eps: qkNormEps, out: k });
      kvStore(stream, k, v, kv.k, kv.v, slots, scales);
    }
    const mixed = pagedAttention(stream, q, kv.k, kv.v, pageTable, rows, cuSeqlensQ, contextLens, {
      ...{ scale, softcap, sinks, window, maxQueries, plan: plan as Tensor | undefined, ...scales },
    }).reshape([x.size(0), queries]); // [T, Hq * Dh]
    join((into) => linear(stream, mixed, weights.output, { bias: weights.outputBias, ...into }));
  };
  return { ranks: "tp", state: attentionState(config), plan: stepPlan(config), run };
}
