import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { flag, integer, number, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface FlashAttentionOptions {
  /** [B + 1], i32: first query of each sequence, then T. With cuSeqlensK; without both: one sequence. */
  readonly cuSeqlensQ?: Tensor | undefined;
  /** [B + 1], i32: first key of each sequence, then the end of the last. */
  readonly cuSeqlensK?: Tensor | undefined;
  /** Query i (of Lq) sees no key beyond i + Lk - Lq. Default true. */
  readonly causal?: boolean | undefined;
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
   * those of queries from 32 W on, are seen as without it, so prompts beside trees need no more words than the trees.
   * Source: Miao et al.: SpecInfer, arXiv 2305.09781, section 4.
   */
  readonly treeMask?: Tensor | undefined;
  /**
   * [T, 1 or Hkv, W], i32: block-sparse attention: bit b of word w of a query's row, for all heads or for each KV head, says whether it attends to
   * the keys [64 (32 w + b), 64 (32 w + b) + 64) of its sequence, counted from its first key. It only hides: causal, window and `treeMask` hold
   * as ever. Blocks beyond the last bit are hidden. Tiles of keys that are hidden from all queries beside each other are neither read nor
   * multiplied.
   * Source: Dao et al.: FlashAttention, arXiv 2205.14135, section 3.3; blocks chosen by each query: Yuan et al.: Native Sparse Attention, arXiv
   * 2502.11089, section 3.3.
   */
  readonly blockMask?: Tensor | undefined;
  /** Keys that a query sees up to its own position i + Lk - Lq; 0: all. Default 0. */
  readonly window?: number | undefined;
  /** [T, Hq], f32: where to write the natural logarithm of the sum of exp(score) of each row. */
  readonly lse?: Tensor | undefined;
  /** [T, Hq, Dv], f32 | bf16 | f16: where to write the result. */
  readonly out?: Tensor | undefined;
}

/**
 * Attention over contiguous keys and values of variable-length sequences.
 *
 *     out[i, h] = sum_j softmax_j(scale * q[i, h] . k[j, h']) v[j, h'],   h' = h * Hkv / Hq
 *
 * A query that sees no key gives 0 and lse = -infinity (with sinks that of its head). S is the number of keys of all sequences, Lq and Lk are the
 * numbers of queries and keys of one. A row's result is bit-identical for every batch.
 *
 * @param q [T, Hq, Dh], f32 | bf16 | f16; the last axis is contiguous; Dh and Dv are multiples of 16, 16 to 512
 * @param k [S, Hkv, Dh], f32 | bf16 | f16; the last axis is contiguous; Hq is a multiple of Hkv
 * @param v [S, Hkv, Dv], dtype of k; the last axis is contiguous
 * @returns [T, Hq, Dv], dtype of q
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @throws ExecutionError, from the next wait on the stream: cuSeqlens that are not ascending, or leave q or k
 * @see Dao: FlashAttention-2, arXiv 2307.08691; native/cpu/attention.cc
 */
export const flashAttention = op(
  "flashAttention",
  { q: tensor, k: tensor, v: tensor },
  optionsOf<FlashAttentionOptions>({
    cuSeqlensQ: tensor,
    cuSeqlensK: tensor,
    causal: flag,
    scale: number,
    softcap: number,
    sinks: tensor,
    treeMask: tensor,
    blockMask: tensor,
    window: integer(),
    lse: tensor,
    out: tensor,
  }),
  (stream: Stream, q: Tensor, k: Tensor, v: Tensor, options: FlashAttentionOptions = {}): Tensor => {
    const { cuSeqlensQ = null, cuSeqlensK = null, causal = true, window = 0, lse = null } = options;
    const { scale = 1 / Math.sqrt(q.size(-1)), softcap = 0, sinks = null } = options;
    const { treeMask = null, blockMask = null } = options;
    const out = options.out ?? stream.empty(q.dtype, [...q.shape.slice(0, -1), v.size(-1)]);
    stream.run(
      native.ops.flashAttention,
      ...[
        q,
        k,
        v,
        cuSeqlensQ,
        cuSeqlensK,
        lse,
        sinks,
        treeMask,
        blockMask,
        out,
        scale,
        softcap,
        window,
        causal,
      ],
    );
    return out;
  },
);
