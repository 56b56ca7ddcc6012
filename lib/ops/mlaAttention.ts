import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { integer, number, required, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface MlaAttentionOptions {
  /** R: so many columns of a latent, the first ones, are its value. A multiple of 16, 16 to 512. */
  readonly latent: number;
  /** Factor on the scores. It does not follow from R and Dr: 1 / sqrt of the width of a head's keys before absorption, at most times a factor of YaRN. */
  readonly scale: number;
  /** [P, Ps, ceil(R / 128)], f32: of latents that are codes, with which alone it goes: a factor for each 128 numbers. The last axis is contiguous. */
  readonly latentScales?: Tensor | undefined;
  /** [P, Ps, Dr], f32 | bf16 | f16: the rotated keys beside latents that are codes, with which alone it goes. The last axis is contiguous. */
  readonly rotatedPages?: Tensor | undefined;
  /** No sequence has more queries than that; as `pagedAttention` has it. Default 0: not known. */
  readonly maxQueries?: number | undefined;
  /** [B], i32: how many tokens farther back the queries of each sequence stand; as `pagedAttention` has it. Left out: zeros. */
  readonly queryOffsets?: Tensor | undefined;
  /** What `attentionPlan` has made for calls like this one, with the same `latent`; without it the call makes a plan of its own, with the same result. */
  readonly plan?: Tensor | undefined;
  /**
   * [T, topK], i32: the tokens that each query attends to, as positions in its sequence, and -1 for none; as `indexerTopK` gives them.
   * Of a query at position p the first min(topK, p + 1) columns are read, which are tokens up to p. One that is there twice counts twice.
   * Calls with it make plans of their own: they have no `plan`. Left out: each query attends to all that it sees.
   */
  readonly indices?: Tensor | undefined;
  /** [T, Hq], f32: where to write the natural logarithm of the sum of exp(score) of each row, for results that are merged. */
  readonly lse?: Tensor | undefined;
  /** [T, Hq, R], f32 | bf16 | f16: where to write the result. */
  readonly out?: Tensor | undefined;
}

/**
 * Causal attention of Multi-head Latent Attention in absorbed form: all heads share one latent per token, which is the key and, in its
 * first R columns, the value. Prompts, chunks of prompts and decoding in one call.
 *
 *     out[i, h] = sum_{j <= p} softmax_j(scale * q[i, h] . c[j]) c[j][0 .. R)
 *
 * where query i stands at position p of its sequence and the latent c[j] of token j lies in page pageTable[rows[b], j / Ps] at offset
 * j % Ps. q[i, h] is the query without position times W_uk of its head (R columns), then the rotated part (Dr columns); W_uv of the head
 * is applied to the result. A row that sees nothing is 0, its `lse` -infinity. The bits of a row do not depend on what is batched
 * beside it.
 *
 * With `indices` the sum goes over the tokens that they name alone: the sparse attention of DeepSeek V3.2.
 *
 * Latents may be codes of 8 bits, as `qkNormRopeStore` makes them of values: c[j] is then their R numbers, code times factor, and behind
 * them the Dr columns of `rotatedPages`. On a GPU only the kernel without tensor cores has codes.
 *
 * @param q [T, Hq, R + Dr], f32 | bf16 | f16; the last axis is contiguous; R + Dr is a multiple of 16, at most 576
 * @param latentPages [P, Ps, R + Dr], f32 | bf16 | f16, or [P, Ps, R], i8 | fp8e4m3; the last axis is contiguous. On a GPU pages of 64 tokens of
 *   bf16 are fastest
 * @param pageTable [slots, Pmax], i32: the pages of each request slot, in the order of its tokens; the last axis is contiguous
 * @param rows [B], i32: the request slot of each sequence; B is at most 16384
 * @param cuSeqlensQ [B + 1], i32: the first query of each sequence, then T; a sequence without queries is skipped
 * @param contextLens [B], i32: the latents of each sequence in these pages; its queries are the last of them, or see `queryOffsets`
 * @returns [T, Hq, R], dtype of q
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @throws ExecutionError, from the next wait on the stream, for what `pagedAttention` throws it, and for an index outside [-1, p]
 * @see DeepSeek-AI: DeepSeek-V2, arXiv 2405.04434, section 2.1 and appendix C; native/cpu/attention.cc
 */
export const mlaAttention = op(
  "mlaAttention",
  {
    q: tensor,
    latentPages: tensor,
    pageTable: tensor,
    rows: tensor,
    cuSeqlensQ: tensor,
    contextLens: tensor,
  },
  optionsOf<MlaAttentionOptions>({
    latent: required(integer()),
    scale: required(number),
    latentScales: tensor,
    rotatedPages: tensor,
    maxQueries: integer(),
    queryOffsets: tensor,
    plan: tensor,
    indices: tensor,
    lse: tensor,
    out: tensor,
  }),
  (
    stream: Stream,
    q: Tensor,
    latentPages: Tensor,
    pageTable: Tensor,
    rows: Tensor,
    cuSeqlensQ: Tensor,
    contextLens: Tensor,
    options: MlaAttentionOptions,
  ): Tensor => {
    const { latent, scale, maxQueries = 0 } = options;
    const out = options.out ?? stream.empty(q.dtype, [...q.shape.slice(0, -1), latent]);
    stream.run(
      native.ops.mlaAttention,
      ...([q, latentPages, options.latentScales ?? null, options.rotatedPages ?? null] as const),
      ...([pageTable, rows, cuSeqlensQ, contextLens] as const),
      ...([options.queryOffsets ?? null, options.plan ?? null, options.indices ?? null] as const),
      ...([options.lse ?? null, out] as const),
      ...([latent, scale, maxQueries] as const),
    );
    return out;
  },
);
