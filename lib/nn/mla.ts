/**
 * Multi-head latent attention: keys and values of all heads are linear in one latent vector of a token, which is all that is kept of it,
 * beside one rotated key for all heads.
 *
 * The matrices that make keys and values are absorbed: W_uk of a head goes into its queries and W_uv behind its result, so that attention
 * looks at latents, as if all query heads shared one key head whose values are the first R of its R + Dr numbers. Where it is cheaper,
 * W_uk is there for it and latents are kept in the dtype of activations, keys and values of every head are made from the latents of a context
 * instead (latentForms.ts).
 *
 * With an indexer each query attends to the tokens that it chooses alone, which are all of them up to `topK`.
 *
 * Paper: "DeepSeek-V2" (arXiv 2405.04434), section 2.1.
 */
import type { KvDType } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { attentionPlan } from "../ops/attentionPlan.js";
import { cast } from "../ops/cast.js";
import { headLinear } from "../ops/headLinear.js";
import { linear } from "../ops/linear.js";
import type { GroupedWeight, LinearWeight } from "../ops/packLinear.js";
import { mlaAttention, type MlaAttentionOptions } from "../ops/mlaAttention.js";
import { qkNormRopeStore } from "../ops/qkNormRopeStore.js";
import { rmsNorm } from "../ops/rmsNorm.js";
import type { Indexer } from "./indexer.js";
import {
  type AbsorbedPiece,
  type LatentPiece,
  latentPieces,
  type LatentShape,
  type PieceCall,
  upProjectionIsCheaper,
} from "./latentForms.js";
import type { Block, PagedCache, StepPlan } from "./part.js";
import type { LayerState, StateSpec } from "./state.js";
import { upProjection } from "./upProjection.js";

export interface LatentAttentionConfig extends LatentShape {
  /** Rq, of the latents that queries are made from; 0: they are made from x itself. */
  readonly queryRank: number;
  /** Of the norms of latents. */
  readonly normEps: number;
  /** Of the latents that are kept. Default: `dtype`. Rotated keys beside codes have `dtype`. */
  readonly kvDtype?: KvDType | undefined;
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
  /** W_uk of each head as it is, [Dn, R]; left out: no sequence is up-projected. */
  readonly keys?: GroupedWeight | undefined;
  /** W_uv of each head: [Dv, R] */
  readonly values: GroupedWeight;
  /** [Lmax, Dr] f32 */
  readonly ropeTable: Tensor;
  /** [D, H * Dv] */
  readonly output: LinearWeight;
}

interface AbsorbedCall extends PieceCall {
  readonly piece: AbsorbedPiece;
  /** [R, W] */
  readonly pageTable: Tensor;
  /** [n, topK] of what an indexer chooses */
  readonly indices: Tensor | undefined;
  /** What is kept beside latents that are codes. */
  readonly beside: Pick<MlaAttentionOptions, "latentScales" | "rotatedPages">;
}

/** The pages of one layer; those of codes have `latentScales`, [P, Ps, ceil(R / 128)], and `rotated`, [P, Ps, Dr], too. */
interface LatentPages extends LayerState {
  /** [P, Ps, R + Dr]; of codes [P, Ps, R] */
  readonly latent: Tensor;
}

/** Numbers of a latent with one factor: kLatentGroup of native/core/kv_codes.h. */
const groupSize = 128;

/** Of every token its latent after the norm, then its rotated key: one tensor, or where latents are codes three. */
export function latentState({
  rank,
  rotatedDim,
  dtype,
  kvDtype = dtype,
}: Pick<LatentAttentionConfig, "rank" | "rotatedDim" | "dtype" | "kvDtype">): StateSpec {
  const tensors: StateSpec["tensors"] =
    kvDtype === "i8" || kvDtype === "fp8e4m3"
      ? {
          latent: { dtype: kvDtype, shape: [rank] },
          latentScales: { dtype: "f32", shape: [Math.ceil(rank / groupSize)] },
          rotated: { dtype, shape: [rotatedDim] },
        }
      : { latent: { dtype: kvDtype, shape: [rank + rotatedDim] } };
  return { lifetime: "all", pageSize: 64, tensors };
}

/**
 * The pieces of a step.
 *
 * @param mostRows that fit when they are up-projected; 0: none is
 * @param topK tokens that an indexer chooses
 */
function stepPlan(
  config: LatentAttentionConfig,
  { mostRows, topK = Infinity }: { readonly mostRows: number; readonly topK?: number | undefined },
): StepPlan {
  const { numHeads, plainDim, rotatedDim, valueDim, rank, dtype, kvDtype = dtype } = config;
  const kind = { numHeads, numKvHeads: 1, headDim: rank + rotatedDim, latent: rank, dtype, kvDtype };
  const isChosen = topK !== Infinity; // then each call has a plan of its own
  return {
    signature: `latent attention ${JSON.stringify({ ...kind, plainDim, valueDim, mostRows, topK })}`,
    make(stream, inputs, cache): readonly LatentPiece[] {
      const { state, pageTable } = cache as PagedCache;
      const pageSize = (state as LatentPages).latent.size(1);
      const pieces = latentPieces(stream, inputs, {
        ...{ pageTable, pageSize, mostRows },
        isUpProjected: ({ start, count }) =>
          start + count <= topK && upProjectionIsCheaper({ plainDim, valueDim, rank }, count, start),
      });
      return pieces.map((piece) => {
        if (piece.form === "upProjected" || isChosen) return piece;
        const { first, end, rows, cuSeqlensQ, contextLens, maxQueries } = piece;
        const sizes = { numQueries: end - first, maxQueries, pageSize };
        const plan = attentionPlan(stream, pageTable, rows, cuSeqlensQ, contextLens, { ...kind, ...sizes });
        return { ...piece, plan };
      });
    },
  };
}

/** Attention of a piece over latents. */
function attendAbsorbed(
  stream: Stream,
  { numHeads, rank, rotatedDim, dtype, scale }: LatentShape,
  { absorbedKeys, values }: Pick<LatentAttentionWeights, "absorbedKeys" | "values">,
  call: AbsorbedCall,
): void {
  const { piece, plain, rotated, latentPages, beside, pageTable, indices, out } = call;
  const { rows, cuSeqlensQ, contextLens, maxQueries, plan } = piece;
  const width = rank + rotatedDim;
  const q = stream.empty(dtype, [plain.size(0), numHeads, width]);
  headLinear(stream, plain, absorbedKeys, { out: q.slice(2, 0, rank) });
  cast(stream, rotated, dtype, { out: q.slice(2, rank, width) });
  const mixed = mlaAttention(stream, q, latentPages, pageTable, rows, cuSeqlensQ, contextLens, {
    ...{ latent: rank, ...beside, scale, maxQueries, plan, indices },
  }); // [n, H, R]
  headLinear(stream, mixed, values, { out });
}

/**
 *     latent = norm(latents(x)),   q = queries(norm(queryLatents(x)))
 *     output(W_uv attention([W_uk^T q, rope(q)], [latent, rope(key(x))], latent)),   absorbed, which is
 *     output(attention([q, rope(q)], [W_uk latent, rope(key(x))], W_uv latent))
 *
 * Stores latents and rotated keys of x. An indexer, which reads the latents of queries, stores keys of its own beside them.
 */
export function latentAttentionBlock(
  config: LatentAttentionConfig,
  weights: LatentAttentionWeights,
  indexer?: Indexer,
): Block {
  const { numHeads, plainDim, rotatedDim, valueDim, rank, queryRank, normEps: eps, dtype } = config;
  const { kvDtype = dtype } = config;
  const { queryNorm, latentNorm, ropeTable: table, keys, values } = weights;
  const width = rank + rotatedDim;
  const plainWidth = numHeads * plainDim;
  const up = keys && kvDtype === dtype ? upProjection(config, { keys, values }) : undefined;
  const stepped = stepPlan(config, { mostRows: up?.mostRows ?? 0, topK: indexer?.topK });

  const run: Block["run"] = (stream, { x, inputs, cache, plan, join }) => {
    const { slots, pageTable, state } = cache as PagedCache;
    const { latent: latentPages } = state as LatentPages;
    const [latentScales, rotatedPages] = [state["latentScales"], state["rotated"]];
    const pages = latentPages.splitLast(1, latentPages.size(2)); // [P, Ps, 1, R + Dr]; of codes R
    const kPages = rotatedPages?.splitLast(1, rotatedDim) ?? pages.slice(3, rank, width);
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
    qkNormRopeStore(stream, rotated, key.splitLast(1, rotatedDim), latent.splitLast(1, rank), {
      ...{ positions: inputs.positions, table, slots },
      ...{ kPages, vPages: pages.slice(3, 0, rank), vScales: latentScales },
    });

    const pieces = (plan ?? stepped.make(stream, inputs, cache)) as readonly LatentPiece[];
    const isChoosing = pieces.some(({ form }) => form === "absorbed");
    const indexed = { x, queryLatents: source, inputs, cache: cache as PagedCache };
    const indices = isChoosing ? indexer?.choose(stream, indexed) : undefined;
    if (!isChoosing) indexer?.store(stream, indexed);
    const attended = stream.empty(dtype, [T, numHeads, valueDim]);
    for (const piece of pieces) {
      using _temporaries = stream.scope();
      const own = (all: Tensor): Tensor => all.slice(0, piece.first, piece.end);
      const call = { plain: own(plain), rotated: own(rotated), latentPages, out: own(attended) };
      if (piece.form === "upProjected") {
        up!.attend(stream, piece, call);
      } else {
        const chosen = indices && own(indices);
        const beside = { latentScales, rotatedPages };
        attendAbsorbed(stream, config, weights, { ...call, piece, pageTable, beside, indices: chosen });
      }
    }
    join((into) => linear(stream, attended.reshape([T, numHeads * valueDim]), weights.output, { ...into }));
  };
  const state = latentState(config);
  const tensors = { ...state.tensors, ...indexer?.tensors };
  return { ranks: "tp", state: { ...state, tensors }, plan: stepped, run };
}
