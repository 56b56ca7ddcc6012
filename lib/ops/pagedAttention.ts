import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { always, integer, number, tensor } from "./argumentKinds.js";
import type { KvScales } from "./kvStore.js";
import { op, optionsOf } from "./op.js";

export interface PagedAttentionOptions extends KvScales {
  /** Factor on the scores. Default 1 / sqrt(Dh). */
  readonly scale?: number | undefined;
  /**
   * Scores are softcap * tanh(score / softcap); 0: as they are. Default 0. On a GPU the tanh is wrong by up to 2e-7, so a score by up to
   * 2e-7 * softcap, however small it is. Source: Gemma 2, arXiv 2408.00118, section 2.
   */
  readonly softcap?: number | undefined;
  /**
   * [Hq], f32, contiguous: attention sinks: one more score of each query head, which is not scaled or capped and has no value. `lse` has it in
   * its sum. Source: gpt-oss model card, arXiv 2508.10925, section 2.2.
   */
  readonly sinks?: Tensor | undefined;
  /**
   * [T, W], i32: hides keys from queries of the same call, branches of a tree of draft tokens for one: bit j % 32 of word j / 32 of a query's row
   * says whether it sees the key of query j of its own sequence. It only hides: causal and window hold as ever. Keys before the queries, and
   * those of queries from 32 W on, are seen as without it, so prompts beside trees need no more words than the trees. Not with `queryOffsets`.
   * Source: Miao et al.: SpecInfer, arXiv 2305.09781, section 4.
   */
  readonly treeMask?: Tensor | undefined;
  /**
   * [T, 1 or Hkv, W], i32: block-sparse attention: bit b of word w of a query's row, for all heads or for each KV head, says whether it attends to
   * the keys [64 (32 w + b), 64 (32 w + b) + 64) of its sequence, counted from the first key in these pages. It only hides: causal, window and `treeMask` hold
   * as ever. Blocks beyond the last bit are hidden. Tiles of keys that are hidden from all queries beside each other are neither read nor
   * multiplied; an `attentionPlan` does not know of them. Pages of hidden keys have to exist all the same.
   * Source: Dao et al.: FlashAttention, arXiv 2205.14135, section 3.3; blocks chosen by each query: Yuan et al.: Native Sparse Attention, arXiv
   * 2502.11089, section 3.3.
   */
  readonly blockMask?: Tensor | undefined;
  /** Tokens that a query sees, up to and with its own; 0: all. Default 0. */
  readonly window?: number | undefined;
  /**
   * No sequence has more queries than that; 0: not known. A GPU then starts no kernel for tiles of more rows, and a plan is smaller.
   * Default 0.
   */
  readonly maxQueries?: number | undefined;
  /** As `flashAttention` has it. Here always true: said or not, no query sees behind its own token. */
  readonly causal?: true | undefined;
  /**
   * [B], i32: how many tokens farther back than `contextLens` says the queries of each sequence stand, when these pages hold a part of
   * its keys: query i of n stands at contextLens[b] - n + i + queryOffsets[b], counted from the first key of the pages. Positive: so
   * many tokens between lie elsewhere. Negative: the last keys here are behind some queries. contextLens may then be less than n.
   * Results are merged by `lse`. Left out: zeros.
   */
  readonly queryOffsets?: Tensor | undefined;
  /**
   * What `attentionPlan` has made for calls like this one; without it the call makes a plan of its own, with the same result. Rows of q,
   * kPages and vPages have to begin at multiples of 16 bytes then, on a GPU.
   */
  readonly plan?: Tensor | undefined;
  /** [T, Hq], f32: where to write the natural logarithm of the sum of exp(score) of each row, for results that are merged. */
  readonly lse?: Tensor | undefined;
  /** [T, Hq, Dv], f32 | bf16 | f16: where to write the result. */
  readonly out?: Tensor | undefined;
}

/**
 * Causal attention over keys and values in pages: prompts, chunks of prompts and decoding in one call.
 *
 *     out[i, h] = sum_{j <= p} softmax_j(scale * q[i, h] . k[j, h']) v[j, h'],   h' = h * Hkv / Hq
 *
 * where query i stands at position p of its sequence and token j lies in page pageTable[rows[b], j / Ps] at offset j % Ps.
 * With a window w only j > p - w counts. A row that sees nothing is 0, its `lse` -infinity (with sinks that of its head). A row's result is bit-identical however its prompt was chunked or batched.
 *
 * @param q [T, Hq, Dh], f32 | bf16 | f16; the last axis is contiguous; Dh and Dv are multiples of 16, 16 to 512
 * @param kPages [P, Ps, Hkv, Dh], f32 | bf16 | f16, or codes, i8 | fp8e4m3, with `kScales` and `vScales`, as `kvStore` writes them;
 *   the last axis is contiguous; Hq is a multiple of Hkv
 * @param vPages [P, Ps, Hkv, Dv], dtype of kPages; the last axis is contiguous
 * @param pageTable [R, Pmax], i32: the pages of each request slot, in the order of its tokens; the last axis is contiguous
 * @param rows [B], i32: the request slot of each sequence; B is at most 16384
 * @param cuSeqlensQ [B + 1], i32: the first query of each sequence, then T; a sequence without queries is skipped
 * @param contextLens [B], i32: the keys of each sequence in these pages; its queries are the last of them, or see `queryOffsets`
 * @returns [T, Hq, Dv], dtype of q
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @throws ExecutionError, from the next wait on the stream: a row, page, length or cuSeqlensQ out of range; a query 2^30 tokens
 *   or more away from the first key; a sequence of more queries than `maxQueries`; a plan that was made for other sizes, another
 *   window, maxQueries or kernel, with or without queryOffsets other than here, or that has been written over. With a plan, rows, cuSeqlensQ, contextLens and queryOffsets give
 *   sizes and are not read
 * @see Kwon et al.: Efficient Memory Management for Large Language Model Serving with PagedAttention, arXiv 2309.06180,
 *   equation 4; native/cpu/attention.cc
 */
export const pagedAttention = op(
  "pagedAttention",
  {
    q: tensor,
    kPages: tensor,
    vPages: tensor,
    pageTable: tensor,
    rows: tensor,
    cuSeqlensQ: tensor,
    contextLens: tensor,
  },
  optionsOf<PagedAttentionOptions>({
    scale: number,
    softcap: number,
    sinks: tensor,
    treeMask: tensor,
    blockMask: tensor,
    window: integer(),
    maxQueries: integer(),
    causal: always,
    queryOffsets: tensor,
    plan: tensor,
    lse: tensor,
    kScales: tensor,
    vScales: tensor,
    out: tensor,
  }),
  (
    stream: Stream,
    q: Tensor,
    kPages: Tensor,
    vPages: Tensor,
    pageTable: Tensor,
    rows: Tensor,
    cuSeqlensQ: Tensor,
    contextLens: Tensor,
    options: PagedAttentionOptions = {},
  ): Tensor => {
    const { scale = 1 / Math.sqrt(q.size(-1)), softcap = 0, window = 0, maxQueries = 0 } = options;
    const out = options.out ?? stream.empty(q.dtype, [...q.shape.slice(0, -1), vPages.size(-1)]);
    stream.run(
      native.ops.pagedAttention,
      q,
      kPages,
      vPages,
      pageTable,
      rows,
      cuSeqlensQ,
      contextLens,
      options.queryOffsets ?? null,
      options.plan ?? null,
      options.lse ?? null,
      options.sinks ?? null,
      options.treeMask ?? null,
      options.blockMask ?? null,
      options.kScales ?? null,
      options.vScales ?? null,
      out,
      scale,
      softcap,
      window,
      maxQueries,
    );
    return out;
  },
);
