import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import {
  type MoePermutation,
  type MoeRouting,
  choice,
  flag,
  integer,
  number,
  permutation,
  required,
  routing,
  tensor,
} from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export type { MoeRouting } from "./argumentKinds.js";

/** The order is shared with native/ops/moe_route/moe_route.h; the index crosses the boundary. */
const scoreFunctions = ["softmax", "sigmoid"] as const;

export interface MoeRouteOptions {
  /** K, the number of experts of a token. */
  readonly topK: number;
  /** How a logit becomes a score: softmax over all E experts, or sigmoid of each. */
  readonly scores: (typeof scoreFunctions)[number];
  /** Divide the K weights of a token by their sum (scores that sum to 0 stay 0). */
  readonly renormalize: boolean;
  /** Multiplies every weight, last. Default 1. */
  readonly scale?: number | undefined;
  /** [E], f32. Added to the scores to choose, never to the weights. */
  readonly bias?: Tensor | undefined;
  /** Number of equal runs of experts, a divisor of E. Default 1. */
  readonly groups?: number | undefined;
  /** Only experts of that many best groups can be chosen. Default 1. */
  readonly topGroups?: number | undefined;
  /**
   * A group's score is the sum of so many of its best choices: 2 of DeepSeek-V3, 1 of DeepSeek-V2 (arXiv 2405.04434, section 2.2.2). A
   * group of one expert has one. Default 2.
   */
  readonly groupBest?: number | undefined;
  /** Where to write the pairs grouped by expert as well, as `moePermute` does; `emptyPermutation` allocates it. */
  readonly permutation?: MoePermutation | undefined;
  /** Where to write the result. */
  readonly out?: MoeRouting | undefined;
}

/**
 * Chooses K experts per token and their weights.
 *
 *     score = softmax(logits) | sigmoid(logits);   experts = topK(score + bias);   weights = score[experts] (/ sum) * scale
 *
 * Experts come in descending order of score + bias, equal ones by lower index. A NaN choice ranks last, and the weights of
 * a row with NaN are NaN; the experts are always K different ids in [0, E).
 *
 * @param logits [T, E], f32 | bf16 | f16, E <= 4096; the last axis is contiguous
 * @returns weights [T, K] f32 and experts [T, K] i32
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see DeepSeek-V3 Technical Report, arXiv 2412.19437, equations 12 to 16; Mixtral of Experts, arXiv 2401.04088;
 *   native/ops/moe_route
 */
export const moeRoute = op(
  "moeRoute",
  { logits: tensor },
  optionsOf<MoeRouteOptions>({
    topK: required(integer({ min: 1, max: 4096 })),
    scores: required(choice(...scoreFunctions)),
    renormalize: required(flag),
    scale: number,
    bias: tensor,
    groups: integer({ min: 1 }),
    topGroups: integer({ min: 1 }),
    groupBest: integer({ min: 1, max: 2 }),
    permutation,
    out: routing,
  }),
  (stream: Stream, logits: Tensor, options: MoeRouteOptions): MoeRouting => {
    const { topK, scores, renormalize, scale = 1, bias = null, groups = 1, topGroups = 1 } = options;
    const { permutation: pairs, groupBest = 2 } = options;
    const shape = [logits.size(0), topK];
    const { weights, experts } = options.out ?? {
      weights: stream.empty("f32", shape),
      experts: stream.empty("i32", shape),
    };
    const scoreFunction = scoreFunctions.indexOf(scores);
    stream.run(
      native.ops.moeRoute,
      ...[logits, bias, weights, experts],
      ...[scoreFunction, renormalize, scale, groups, topGroups, groupBest],
      ...[pairs?.order ?? null, pairs?.inverse ?? null, pairs?.offsets ?? null],
    );
    return { weights, experts };
  },
);
