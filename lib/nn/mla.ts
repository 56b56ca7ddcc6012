/**
 * Multi-head latent attention: keys and values of all heads are linear in one latent vector of a token, which is all that is kept of it,
 * beside one rotated key for all heads.
 *
 * The matrices that make keys and values are absorbed: W_uk of a head goes into its queries and W_uv behind its result, so that attention
 * looks at latents, as if all query heads shared one key head whose values are the first R of its R + Dr numbers.
 *
 * With an indexer each query attends to the tokens that it chooses alone.
 *
 * Paper: "DeepSeek-V2" (arXiv 2405.04434), section 2.1.
 */
import type { FloatDType } from "../device/dtype.js";
import type { Tensor } from "../device/tensor.js";
import { attentionPlan } from "../ops/attentionPlan.js";
import { cast } from "../ops/cast.js";
import { headLinear } from "../ops/headLinear.js";
import { linear } from "../ops/linear.js";
import type { GroupedWeight, LinearWeight } from "../ops/packLinear.js";
import { mlaAttention } from "../ops/mlaAttention.js";
import { qkNormRopeStore } from "../ops/qkNormRopeStore.js";
import { rmsNorm } from "../ops/rmsNorm.js";
import type { Indexer } from "./indexer.js";
import type { Block, PagedCache, StepPlan } from "./part.js";
import type { LayerState, StateSpec } from "./state.js";

export interface LatentAttentionConfig {
  /** H */
  readonly numHeads: number;
  /** Dn, of the part of queries and keys that is not rotated. */
  readonly plainDim: number;
  /** Dr, of the part that is. */
  readonly rotatedDim: number;
  /** Dv */
  readonly valueDim: number;
  /** R, numbers of a latent. */
  readonly rank: number;
  /** Rq, of the latents that queries are made from; 0: they are made from x itself. */
  readonly queryRank: number;
  /** Of the norms of latents. */
  readonly normEps: number;
  /** Of activations, and of the latents that are kept. */
  readonly dtype: FloatDType;
  /** Factor on the products of queries and keys. */
  readonly scale: number;
}

export interface LatentAttentionWeights {
  /** The latents of queries if they have some, those of keys and values, the rotated keys: [Rq + R + Dr, D] */
  readonly latents: LinearWeight;
  /** Of all heads the part that is not rotated, then of all heads the other: [H * Dn + H * Dr, Rq or D] */
  readonly queries: LinearWeight;
  /** [Rq] f32; needed with Rq > 0 */
  readonly queryNorm?: Tensor | undefined;
  /** [R] f32 */
  readonly latentNorm: Tensor;
  /** W_uk of each head, turned: [R, Dn] */
  readonly absorbedKeys: GroupedWeight;
  /** W_uv of each head: [Dv, R] */
  readonly values: GroupedWeight;
  /** [Lmax, Dr] f32 */
  readonly ropeTable: Tensor;
  /** [D, H * Dv] */
  readonly output: LinearWeight;
}

/** The pages of one layer. */
interface LatentPages extends LayerState {
  /** [P, Ps, R + Dr] */
  readonly latent: Tensor;
}

/** One tensor of every token: its latent after the norm, then its rotated key. */
export function latentState({
  rank,
  rotatedDim,
  dtype,
}: Pick<LatentAttentionConfig, "rank" | "rotatedDim" | "dtype">): StateSpec {
  return { lifetime: "all", pageSize: 64, tensors: { latent: { dtype, shape: [rank + rotatedDim] } } };
}

function stepPlan({ numHeads, rank, rotatedDim, dtype }: LatentAttentionConfig): StepPlan {
  const kind = { numHeads, numKvHeads: 1, headDim: rank + rotatedDim, latent: rank, dtype };
  return {
    signature: `latent attention ${JSON.stringify(kind)}`,
    make(stream, { tokens, rows, cuSeqlensQ, contextLens, maxQueries }, cache) {
      const { state, pageTable } = cache as PagedCache;
      const sizes = {
        numQueries: tokens.size(0),
        maxQueries,
        pageSize: (state as LatentPages).latent.size(1),
      };
      return attentionPlan(stream, pageTable, rows, cuSeqlensQ, contextLens, { ...kind, ...sizes });
    },
  };
}

/**
 *     latent = norm(latents(x)),   q = queries(norm(queryLatents(x)))
 *     output(W_uv attention([W_uk^T q, rope(q)], [latent, rope(key(x))], latent))
 *
 * Stores latents and rotated keys of x. An indexer, which reads the latents of queries, stores keys of its own beside them.
 */
export function latentAttentionBlock(
  config: LatentAttentionConfig,
  weights: LatentAttentionWeights,
  indexer?: Indexer,
): Block {
  const { numHeads, plainDim, rotatedDim, valueDim, rank, queryRank, normEps: eps, dtype, scale } = config;
  const { queryNorm, latentNorm, ropeTable: table } = weights;
  const width = rank + rotatedDim;
  const plainWidth = numHeads * plainDim;

  const run: Block["run"] = (stream, { x, inputs, cache, plan, join }) => {
    const { slots, pageTable, state } = cache as PagedCache;
    const { latent: latentPages } = state as LatentPages;
    const pages = latentPages.splitLast(1, width); // [P, Ps, 1, R + Dr]
    const { positions, rows, cuSeqlensQ, contextLens, maxQueries } = inputs;
    const T = x.size(0);

    const latents = linear(stream, x, weights.latents); // [T, Rq + R + Dr]
    const latent = latents.slice(1, queryRank, queryRank + rank);
    const key = latents.slice(1, queryRank + rank, queryRank + width);
    rmsNorm(stream, latent, latentNorm, { eps, out: latent });
    const queryLatents = latents.slice(1, 0, queryRank);
    const source = queryNorm ? rmsNorm(stream, queryLatents, queryNorm, { eps }) : x;
    const queries = linear(stream, source, weights.queries);
    const plain = queries.slice(1, 0, plainWidth).splitLast(numHeads, plainDim); // [T, H, Dn]
    const rotated = queries.slice(1, plainWidth, queries.size(1)).splitLast(numHeads, rotatedDim); // [T, H, Dr]

    const q = stream.empty(dtype, [T, numHeads, width]);
    headLinear(stream, plain, weights.absorbedKeys, { out: q.slice(2, 0, rank) });
    const turned = q.slice(2, rank, width);
    cast(stream, rotated, dtype, { out: turned });
    qkNormRopeStore(stream, turned, key.splitLast(1, rotatedDim), latent.splitLast(1, rank), {
      ...{ positions, table, slots, kPages: pages.slice(3, rank, width), vPages: pages.slice(3, 0, rank) },
    });
    const indices = indexer?.choose(stream, {
      ...{ x, queryLatents: source, inputs, cache: cache as PagedCache },
    });
    const mixed = mlaAttention(stream, q, latentPages, pageTable, rows, cuSeqlensQ, contextLens, {
      ...{ latent: rank, scale, maxQueries, plan, indices },
    }); // [T, H, R]
    const values = headLinear(stream, mixed, weights.values).reshape([T, numHeads * valueDim]);
    join((into) => linear(stream, values, weights.output, { ...into }));
  };
  const state = latentState(config);
  if (!indexer) return { ranks: "tp", state, plan: stepPlan(config), run };
  // Chosen tokens have no plan that layers could share.
  return { ranks: "tp", state: { ...state, tensors: { ...state.tensors, ...indexer.tensors } }, run };
}
