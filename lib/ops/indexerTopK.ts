import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { integer, number, required, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface IndexerTopKOptions {
  /** How many tokens a query gets, 1 to 4096. */
  readonly topK: number;
  /** Factor on the products of queries and keys. Default 1 / sqrt(Di). */
  readonly scale?: number | undefined;
  /** [T, topK], i32, the last axis contiguous: where to write the result. */
  readonly out?: Tensor | undefined;
}

/**
 * The lightning indexer of sparse attention, as DeepSeek V3.2 has it: which tokens of its sequence each query is to see. Of those
 * up to its own, p, the topK with the largest
 *
 *     score[s] = sum over heads j of weights[t, j] * max(0, scale * q[t, j] . k[s])
 *
 * where token s of sequence b lies in page pageTable[rows[b], s / Ps] at offset s % Ps. Of equal scores the smaller position is
 * chosen; 0 and -0 are equal; NaN counts as larger than any number, so that what is broken is seen. A query that sees at most topK
 * tokens gets all of them, and no key is read for it.
 *
 * The choice is exact in the scores as they were computed, sums of f32, which depend on the query and the key alone: it is the same
 * however a prompt was chunked or batched. Scores nearer to each other than such sums err may be in another order on another device.
 *
 * @param q [T, Hi, Di], f32 | bf16 | f16; the last axis is contiguous; Hi is 1 to 128, Di a multiple of 16 up to 256
 * @param weights [T, Hi], f32; the last axis is contiguous
 * @param keyPages [P, Ps, Di], f32 | bf16 | f16; the last axis is contiguous
 * @param pageTable [R, Pmax], i32: the pages of each request slot, in the order of its tokens; the last axis is contiguous
 * @param rows [B], i32: the request slot of each sequence; B is at most 16384
 * @param cuSeqlensQ [B + 1], i32: the first query of each sequence, then T; a sequence without queries is skipped
 * @param contextLens [B], i32: the keys of each sequence; its queries are the last of them
 * @returns [T, topK], i32: positions in the sequence, ascending; behind the min(topK, p + 1) that there are, -1
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @throws ExecutionError, from the next wait on the stream: a row, page, length or cuSeqlensQ out of range
 * @see DeepSeek-V3.2-Exp: Boosting Long-Context Efficiency with DeepSeek Sparse Attention, equation 1; native/ops/indexer_top_k
 */
export const indexerTopK = op(
  "indexerTopK",
  {
    q: tensor,
    weights: tensor,
    keyPages: tensor,
    pageTable: tensor,
    rows: tensor,
    cuSeqlensQ: tensor,
    contextLens: tensor,
  },
  optionsOf<IndexerTopKOptions>({
    topK: required(integer({ min: 1, max: 4096 })),
    scale: number,
    out: tensor,
  }),
  (
    stream: Stream,
    q: Tensor,
    weights: Tensor,
    keyPages: Tensor,
    pageTable: Tensor,
    rows: Tensor,
    cuSeqlensQ: Tensor,
    contextLens: Tensor,
    options: IndexerTopKOptions,
  ): Tensor => {
    const { topK, scale = 1 / Math.sqrt(q.size(-1)) } = options;
    const out = options.out ?? stream.empty("i32", [q.size(0), topK]);
    stream.run(
      native.ops.indexerTopK,
      ...([q, weights, keyPages, pageTable, rows, cuSeqlensQ, contextLens, out] as const),
      ...([topK, scale] as const),
    );
    return out;
  },
);
