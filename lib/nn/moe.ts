/**
 * Mixture of experts: every token runs through the K experts that its router chooses, and through one that all share, if there is
 * one. Tokens are grouped by expert, so the cost is that of the chosen experts, and the same tokens give the same bits in any batch.
 */
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { groupedLinear } from "../ops/groupedLinear.js";
import { linear } from "../ops/linear.js";
import { moeCombine } from "../ops/moeCombine.js";
import { emptyPermutation } from "../ops/moePermute.js";
import { moeRoute, type MoeRouteOptions } from "../ops/moeRoute.js";
import type { GroupedWeight, LinearWeight } from "../ops/packLinear.js";
import type { SwigluClamp } from "../ops/siluMul.js";
import type { Block, Into } from "./part.js";

/** How K experts of a token are chosen and weighted. */
export type MoeChoice = Pick<
  MoeRouteOptions,
  "topK" | "scores" | "renormalize" | "scale" | "groups" | "topGroups" | "groupBest"
>;

export interface MoeConfig extends MoeChoice {
  /** E */
  readonly numExperts: number;
  /** Of gate and up of the chosen experts. Default: as they are. */
  readonly clamp?: SwigluClamp | undefined;
  /** Those whose weights are there, where ranks share them. Default: all. */
  readonly experts?: { readonly start: number; readonly count: number };
}

export interface MoeWeights {
  /** [E, D]; of a shared expert with a gate [E + 1, D]: its last row is the gate */
  readonly router: LinearWeight;
  /** [E] f32, with a row of a gate [E + 1]: a part of the logits */
  readonly routerBias?: Tensor | undefined;
  /** [E] f32, added to the scores to choose, never to the weights */
  readonly correctionBias?: Tensor | undefined;
  /** For each expert that is there [2F, D] with swiglu: gate, then up */
  readonly gateUp: GroupedWeight;
  /** For each expert that is there [2F], f32 */
  readonly gateUpBias?: Tensor | undefined;
  /** For each expert that is there [D, F] */
  readonly down: GroupedWeight;
  /** For each expert that is there [D], f32 */
  readonly downBias?: Tensor | undefined;
  readonly shared?: SharedExpert | undefined;
}

/** The expert that every token runs through; several of them are one that is as wide as all. */
export interface SharedExpert {
  /** [2F', D] with swiglu: gate, then up; ranks that share the experts have rows of both */
  readonly gateUp: LinearWeight;
  /** [D, F'] */
  readonly down: LinearWeight;
  /** Its result counts sigmoid(last row of the router * x) times; else as it is. */
  readonly hasGate: boolean;
}

/**
 *     shared(x) + sum over k of weight[k] * down_e(silu(gate_e(x)) * up_e(x)),  e = experts[k], of the experts that are there;
 *     with `clamp` see siluMul
 *
 * in this order: the residual stream, the shared expert, the chosen ones by k.
 */
export function moeBlock(config: MoeConfig, weights: MoeWeights): Block {
  const { numExperts, experts, clamp, ...choice } = config;
  const { correctionBias: bias, shared } = weights;

  const run: Block["run"] = (stream, { x, join, tap }) => {
    const logits = linear(stream, x, weights.router, { bias: weights.routerBias, dtype: "f32" }); // [T, E (+ 1)]; f32 keeps near ties apart
    const permutation = emptyPermutation(stream, x.size(0), config.topK, numExperts);
    const scores = shared?.hasGate ? logits.slice(1, 0, numExperts) : logits;
    const routing = moeRoute(stream, scores, { ...choice, bias, permutation }); // [T, K]
    tap("experts", routing.experts);
    const { order, inverse, offsets: all } = permutation;
    const own = experts && all.slice(0, experts.start, experts.start + experts.count + 1); // rows of others stay as they are
    const offsets = own ?? all;
    const hidden = groupedLinear(stream, x, weights.gateUp, offsets, {
      ...{ order, topK: config.topK, bias: weights.gateUpBias, clamp },
    }); // [T * K, F]
    const outputs = groupedLinear(stream, hidden, weights.down, offsets, { bias: weights.downBias }); // [T * K, D]
    const addShared = shared && sharedExpert(stream, x, shared, logits);
    join((into) => {
      addShared?.(into);
      const { out, residual } = addShared ? { out: into.out, residual: into.out } : into;
      moeCombine(stream, outputs, inverse, routing.weights, { offsets: own, out, residual });
    });
  };
  return {
    ranks: "ep",
    taps: { experts: { dtype: "i32", shape: [config.topK], ids: numExperts } },
    run,
  };
}

/** @param logits [T, ...]: the last column is that of its gate, if it has one @returns adds what it makes of x [T, D] */
function sharedExpert(
  stream: Stream,
  x: Tensor,
  { gateUp, down, hasGate }: SharedExpert,
  logits: Tensor,
): (into: Into) => void {
  const hidden = linear(stream, x, gateUp); // [T, F']
  if (!hasGate) return (into) => linear(stream, hidden, down, { ...into });
  const output = linear(stream, hidden, down, { dtype: "f32" }); // [T, D]
  // A choice of 1 among 1, whose weight is the sigmoid.
  const permutation = emptyPermutation(stream, x.size(0), 1, 1);
  const lastColumn = logits.slice(1, logits.size(1) - 1, logits.size(1));
  const { weights } = moeRoute(stream, lastColumn, {
    ...{ topK: 1, scores: "sigmoid", renormalize: false, permutation },
  });
  return (into) => moeCombine(stream, output, permutation.inverse, weights, { ...into });
}
