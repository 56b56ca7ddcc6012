import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { integer, required, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface LogprobsOptions {
  /** N, how many of the best tokens to report: 0 to 256, at most V. */
  readonly topN: number;
  /** [B], i32: where to write what is wrong with each row, a `RowStatus`. Default: nowhere. */
  readonly status?: Tensor | undefined;
}

/** Natural-log probabilities. */
export interface Logprobs {
  /** [B], f32: of the chosen tokens */
  readonly chosen: Tensor;
  /** [B, N], i32: the best tokens, best first; equal logits by lower id */
  readonly topIds: Tensor;
  /** [B, N], f32: of those */
  readonly topValues: Tensor;
}

/**
 * Log-probabilities of one chosen token per row and of the row's best tokens.
 *
 *     logprob[v] = logits[v] - log(sum over w of exp(logits[w]))
 *
 * NaN counts as -inf and +inf as the largest finite number; -inf has log-probability -inf, also in a row of nothing else.
 *
 * @param logits [B, V], f32 | bf16 | f16, V >= 1; the last axis is contiguous
 * @param ids [B], i32: the chosen tokens; an id outside [0, V) is an execution error
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see native/ops/logprobs
 */
export const logprobs = op(
  "logprobs",
  { logits: tensor, ids: tensor },
  optionsOf<LogprobsOptions>({ topN: required(integer({ max: 256 })), status: tensor }),
  (stream: Stream, logits: Tensor, ids: Tensor, options: LogprobsOptions): Logprobs => {
    const B = logits.size(0);
    const chosen = stream.empty("f32", [B]);
    const topIds = stream.empty("i32", [B, options.topN]);
    const topValues = stream.empty("f32", [B, options.topN]);
    stream.run(native.ops.logprobs, logits, ids, chosen, topIds, topValues, options.status ?? null);
    return { chosen, topIds, topValues };
  },
);
