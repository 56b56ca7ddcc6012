import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { required, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

/** Tokens per block of the scratch, shared with native/ops/sample/sample.h. */
const block = 64;

/** What stands in the columns of `floats` and of `ints`: SampleFloat and SampleInt of native/ops/sample/sample.h. */
export const sampleColumns = {
  floats: ["temperature", "topP", "minP", "repetitionPenalty", "presencePenalty", "frequencyPenalty"],
  ints: ["topK", "seedLow", "seedHigh", "poolRow", "promptLength", "minLength"],
} as const;

export interface SampleOptions {
  /**
   * [B, 6], f32: temperature (0: greedy), topP (>= 1: off), minP (0: off), repetitionPenalty (1: off), presencePenalty (0:
   * off), frequencyPenalty (0: off).
   */
  readonly floats: Tensor;
  /**
   * [B, 6], i32: topK (0: off), seedLow, seedHigh, poolRow (row of tokenPool, -1: no penalties), promptLength, minLength (of the
   * sequence; suppressedIds are not chosen at positions below it).
   */
  readonly ints: Tensor;
  /** [B], i32: position of the token that is sampled, which is how many the sequence has so far. */
  readonly positions: Tensor;
  /** [R, L], i32: the tokens of each request so far. Needed once a poolRow is not -1. */
  readonly tokenPool?: Tensor | undefined;
  /** [B, Nb], i32: tokens whose logits get a bias; -1 pads. */
  readonly biasIds?: Tensor | undefined;
  /** [B, Nb], f32: what is added to them. */
  readonly biasValues?: Tensor | undefined;
  /** [B, Ns], i32: tokens that are not chosen while positions[b] < minLength; -1 pads. */
  readonly suppressedIds?: Tensor | undefined;
  /** [B, ceil(V/32)], i32: token v is allowed if bit v mod 32 of word floor(v/32) is 1. */
  readonly bitmask?: Tensor | undefined;
  /** Where to write the result, [B] i32. */
  readonly out?: Tensor | undefined;
  /**
   * [B], i32: where to write what is wrong with each row, a `RowStatus`. notFinite is about the logits as they come, noChoice about
   * what mask, biases and suppressed tokens leave of them. Default: nowhere.
   */
  readonly status?: Tensor | undefined;
}

/**
 * Chooses one token per row. In this order:
 * 1. tokens without their bit in the bitmask become -inf; biases are added (never reviving those); while positions[b] < minLength,
 *    suppressedIds become -inf;
 * 2. penalties over tokenPool[poolRow, 0..positions[b]): every token there, l > 0 ? l / repetition : l * repetition; tokens at
 *    index >= promptLength, l -= presence + frequency * occurrences; pool ids outside [0, V) count for nothing;
 * 3. temperature 0: the argmax, lowest id first; else l /= temperature;
 * 4. topK keeps the K largest, then minP keeps p >= minP * max p, then topP the shortest prefix by descending p that sums to
 *    topP, each over what the one before kept; equal logits rank by lower id; the best token always stays;
 * 5. draw: argmax over the kept of l + g, g = -log(-log(u)), u = ((w >>> 8) + 0.5) * 2^-24, w the first word of Philox4x32-10
 *    with key (seedLow, seedHigh) and counter (positions[b], token, 0, 0).
 *
 * A row depends on nothing but its own inputs: the same request draws the same tokens alone and in a batch. -inf and NaN
 * are never chosen, +inf counts as the largest finite number; a row in which nothing can be chosen gives 0.
 *
 * @param logits [B, V], f32 | bf16 | f16, V >= 1; the last axis is contiguous
 * @returns [B], i32
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument. Bias ids outside [0, V), suppressed ids
 *   too while they count, pool rows and positions outside the pool are execution errors.
 * @see Maddison, Tarlow, Minka: A* Sampling, arXiv 1411.0030, section 2; Holtzman et al., arXiv 1904.09751 (top-p); Nguyen et
 *   al., arXiv 2407.01082 (min-p); Keskar et al., arXiv 1909.05858 (repetition penalty); native/ops/sample
 */
export const sample = op(
  "sample",
  { logits: tensor },
  optionsOf<SampleOptions>({
    floats: required(tensor),
    ints: required(tensor),
    positions: required(tensor),
    tokenPool: tensor,
    biasIds: tensor,
    biasValues: tensor,
    suppressedIds: tensor,
    bitmask: tensor,
    out: tensor,
    status: tensor,
  }),
  (stream: Stream, logits: Tensor, options: SampleOptions): Tensor => {
    const {
      floats,
      ints,
      positions,
      tokenPool = null,
      biasIds = null,
      biasValues = null,
      suppressedIds = null,
      bitmask = null,
    } = options;
    const B = logits.size(0);
    const V = logits.size(-1);
    const processed = stream.empty("f32", [B, Math.ceil(V / block) * (block + 1)]);
    const counts = tokenPool && stream.empty("i32", [B, V]);
    const out = options.out ?? stream.empty("i32", [B]);
    stream.run(
      native.ops.sample,
      ...[logits, floats, ints, positions, tokenPool, biasIds, biasValues, suppressedIds, bitmask],
      ...[processed, counts, out, options.status ?? null],
    );
    return out;
  },
);
