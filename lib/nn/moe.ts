/**
 * Mixture of experts: every token runs through the K experts that its router chooses. Tokens are grouped by expert, so the
 * cost is that of the chosen experts, and the same tokens give the same bits in any batch.
 */
import { groupedLinear } from "../ops/groupedLinear.js";
import { linear } from "../ops/linear.js";
import { moeCombine } from "../ops/moeCombine.js";
import { emptyPermutation } from "../ops/moePermute.js";
import { moeRoute } from "../ops/moeRoute.js";
import type { GroupedWeight, LinearWeight } from "../ops/packLinear.js";
import type { Block } from "./part.js";

export interface MoeConfig {
  /** E */
  readonly numExperts: number;
  /** Those whose weights are there, where ranks share them. Default: all. */
  readonly experts?: { readonly start: number; readonly count: number };
  /** K */
  readonly topK: number;
  /** How a router logit becomes a score. */
  readonly scores: "softmax" | "sigmoid";
  /** Divide the K weights of a token by their sum. */
  readonly renormalize: boolean;
}

export interface MoeWeights {
  /** [E, D] */
  readonly router: LinearWeight;
  /** For each expert that is there [2F, D] with swiglu: gate, then up */
  readonly gateUp: GroupedWeight;
  /** For each expert that is there [D, F] */
  readonly down: GroupedWeight;
}

/** sum over k of weight[k] * down_e(silu(gate_e(x)) * up_e(x)),  e = experts[k], of the experts that are there */
export function moeBlock(config: MoeConfig, weights: MoeWeights): Block {
  const { numExperts, experts, ...choice } = config;

  const run: Block["run"] = (stream, { x, join, tap }) => {
    const scores = linear(stream, x, weights.router, { dtype: "f32" }); // [T, E]; f32 keeps near ties apart
    const permutation = emptyPermutation(stream, x.size(0), config.topK, numExperts);
    const routing = moeRoute(stream, scores, { ...choice, permutation }); // [T, K]
    tap("experts", routing.experts);
    const { order, inverse, offsets: all } = permutation;
    const own = experts && all.slice(0, experts.start, experts.start + experts.count + 1); // rows of others stay as they are
    const offsets = own ?? all;
    const hidden = groupedLinear(stream, x, weights.gateUp, offsets, { order, topK: config.topK }); // [T * K, F]
    const outputs = groupedLinear(stream, hidden, weights.down, offsets); // [T * K, D]
    join((into) => moeCombine(stream, outputs, inverse, routing.weights, { offsets: own, ...into }));
  };
  return {
    ranks: "ep",
    taps: { experts: { dtype: "i32", shape: [config.topK] } },
    run,
  };
}
