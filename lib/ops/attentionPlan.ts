import { dtypeNumber, type FloatDType, type KvDType } from "../device/dtype.js";
import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { floatDType, integer, kvDType, largestAxis, required, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

const mostSequences = 16_384; // native/core/attention_limits.h

export interface AttentionPlanOptions {
  /** T */
  readonly numQueries: number;
  /** Hq, at most 65536 */
  readonly numHeads: number;
  /** Hkv, a divisor of Hq */
  readonly numKvHeads: number;
  /** Dh, a multiple of 16, 16 to 512 */
  readonly headDim: number;
  /** Dv, as Dh. Default Dh, or `latent`. */
  readonly valueDim?: number | undefined;
  /** R, for `mlaAttention`: `headDim` is then R + Dr, up to 576, and `numKvHeads` is 1. Default 0: for `pagedAttention`. */
  readonly latent?: number | undefined;
  /** Ps, tokens of a page */
  readonly pageSize: number;
  /** Tokens that a query sees, up to and with its own; 0: all. Default 0. */
  readonly window?: number | undefined;
  /** No sequence has more queries than that; as `pagedAttention` has it, whose calls with this plan say the same. Default 0. */
  readonly maxQueries?: number | undefined;
  /** [B], i32: as `pagedAttention` has it; its calls with this plan have one, too. */
  readonly queryOffsets?: Tensor | undefined;
  /** Of the queries. */
  readonly dtype: FloatDType;
  /** Of the pages. Default that of the queries. */
  readonly kvDtype?: KvDType | undefined;
  /** [bytes], u8: where to write the plan. */
  readonly out?: Tensor | undefined;
}

/**
 * The plan of `pagedAttention`, or with `latent` of `mlaAttention`: which queries and keys each sequence has, verified, and on a GPU cut into pieces of work. It is made
 * once for all calls of a step that have these sequences, heads, widths, dtypes and window, and handed to each of them as `plan`. It
 * holds rows of the page table and no pages, so tables of other layers may stand in its place. Calls only read it.
 *
 * On a GPU a plan is for calls in which each row of q, kPages and vPages begins at a multiple of 16 bytes, as in tensors of their own:
 * rows that do not (columns of a wider tensor from an odd one on) have another kernel, whose calls refuse it. They go without a plan.
 *
 * @param pageTable [R, Pmax], i32: gives sizes, nothing of it is read
 * @param rows [B], i32: the row of each sequence in the page table; B is at most 16384
 * @param cuSeqlensQ [B + 1], i32: the first query of each sequence, then T; a sequence without queries is skipped
 * @param contextLens [B], i32: the keys of each sequence; its queries are the last of them, or see `queryOffsets`
 * @returns [bytes], u8, for calls on this stream; what is in it is the business of those ops
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @throws ExecutionError, from the next wait on the stream: a row, length or cuSeqlensQ out of range; a query 2^30
 *   tokens or more away from the first key; a sequence of more queries than `maxQueries`; an `out` of another size
 * @see native/core/attention_plan.h for the size; native/cuda/attention/plan.cuh
 */
export const attentionPlan = op(
  "attentionPlan",
  { pageTable: tensor, rows: tensor, cuSeqlensQ: tensor, contextLens: tensor },
  optionsOf<AttentionPlanOptions>({
    numQueries: required(integer({ max: largestAxis })),
    numHeads: required(integer({ max: 65536 })),
    numKvHeads: required(integer({ min: 1, max: 65536 })),
    headDim: required(integer()),
    valueDim: integer(),
    latent: integer(),
    pageSize: required(integer({ min: 1 })),
    window: integer(),
    maxQueries: integer(),
    queryOffsets: tensor,
    dtype: required(floatDType),
    kvDtype: kvDType,
    out: tensor,
  }),
  (
    stream: Stream,
    pageTable: Tensor,
    rows: Tensor,
    cuSeqlensQ: Tensor,
    contextLens: Tensor,
    options: AttentionPlanOptions,
  ): Tensor => {
    const { numQueries, numHeads, numKvHeads, headDim, pageSize, dtype } = options;
    const { latent = 0, window = 0, maxQueries = 0, kvDtype = dtype } = options;
    const valueDim = options.valueDim ?? (latent > 0 ? latent : headDim);
    const bytes = native.attentionPlanBytes(
      stream.device.processors,
      numQueries,
      Math.min(rows.numel, mostSequences), // the addon refuses more
      Math.floor(numHeads / numKvHeads),
      numKvHeads,
      (pageTable.shape.at(-1) ?? 0) * pageSize,
      maxQueries,
    );
    const out = options.out ?? stream.empty("u8", [bytes]);
    stream.run(
      native.ops.attentionPlan,
      ...([pageTable, rows, cuSeqlensQ, contextLens, options.queryOffsets ?? null, out] as const),
      ...([numQueries, numHeads, numKvHeads, headDim, valueDim, latent, pageSize] as const),
      ...([window, maxQueries, dtypeNumber(dtype), dtypeNumber(kvDtype)] as const),
    );
    return out;
  },
);
