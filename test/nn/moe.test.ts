// Contract: a mixture of experts adds to the residual stream what its composition in float64 adds, in every activation dtype: however
// experts are chosen, with biases and clamped gates, with a shared expert, with and without its gate, and where some of the experts are
// elsewhere.
import { expect } from "vitest";
import type { Tensor } from "../../lib/device/tensor.js";
import { type MoeChoice, moeBlock } from "../../lib/nn/moe.js";
import type { Block } from "../../lib/nn/part.js";
import type { SwigluClamp } from "../../lib/ops/siluMul.js";
import * as reference from "../reference/blocks.js";
import { BlockWeights } from "../support/blockWeights.js";
import { describeOp, inEachDType } from "../support/devices.js";
import { expectAdded } from "../support/expectAdded.js";
import { Random } from "../support/random.js";

interface MoeCase extends Omit<MoeChoice, "topK"> {
  readonly T: number;
  readonly D: number;
  readonly F: number;
  readonly E: number;
  readonly K: number;
  /** Biases of the choice, so large that they decide. */
  readonly hasBias?: boolean;
  /** Of the router and of the experts. */
  readonly biases?: boolean;
  readonly clamp?: SwigluClamp;
  /** F of the shared expert. */
  readonly shared?: number;
  readonly hasGate?: boolean;
  /** The experts that are there; all if left out. */
  readonly own?: { readonly start: number; readonly count: number };
}

const softmax = { scores: "softmax", renormalize: false } as const;
const renormalized = { scores: "softmax", renormalize: true } as const;
const sigmoid = { scores: "sigmoid", renormalize: true } as const;

const cases = inEachDType<MoeCase>([
  { name: "top 2, renormalised", T: 6, D: 24, F: 20, E: 5, K: 2, ...renormalized },
  { name: "top 3", T: 4, D: 24, F: 20, E: 6, K: 3, ...softmax },
  { name: "sigmoid", T: 4, D: 40, F: 24, E: 4, K: 2, ...sigmoid },
  {
    ...{ name: "experts elsewhere", T: 6, D: 24, F: 20, E: 5, K: 2, ...renormalized },
    own: { start: 1, count: 3 },
  },
  { name: "one token, top 1", T: 1, D: 64, F: 64, E: 8, K: 1, ...softmax },
  { name: "a bias of the choice", T: 5, D: 24, F: 20, E: 6, K: 2, ...sigmoid, hasBias: true },
  { name: "biases", T: 5, D: 24, F: 20, E: 6, K: 2, ...renormalized, biases: true },
  { name: "clamped", T: 5, D: 24, F: 20, E: 6, K: 2, ...renormalized, clamp: { limit: 1, alpha: 1.702 } },
  {
    ...{ name: "biases, clamped, experts elsewhere", T: 6, D: 24, F: 20, E: 5, K: 2, ...renormalized },
    ...{ biases: true, clamp: { limit: 1.5, alpha: 1.702 }, own: { start: 1, count: 3 } },
  },
  { name: "a factor", T: 4, D: 24, F: 20, E: 5, K: 2, ...sigmoid, scale: 2.5 },
  { name: "groups", T: 6, D: 24, F: 20, E: 8, K: 2, ...sigmoid, groups: 4, topGroups: 2, hasBias: true },
  { name: "a shared expert", T: 5, D: 24, F: 20, E: 5, K: 2, ...sigmoid, scale: 2.5, shared: 36 },
  { name: "a shared expert, one token", T: 1, D: 40, F: 24, E: 4, K: 2, ...softmax, shared: 24 },
  {
    ...{ name: "a shared expert with a gate", T: 6, D: 24, F: 20, E: 5, K: 2, ...softmax },
    ...{ shared: 40, hasGate: true },
  },
  {
    ...{ name: "a shared expert with a gate, one token", T: 1, D: 24, F: 20, E: 8, K: 4, ...softmax },
    ...{ shared: 20, hasGate: true },
  },
  {
    ...{ name: "a shared expert with a gate, more tokens than one launch groups", T: 515, D: 8, F: 4 },
    ...{ E: 3, K: 1, ...softmax, shared: 4, hasGate: true },
  },
  {
    ...{ name: "a shared expert, experts elsewhere", T: 6, D: 24, F: 20, E: 5, K: 2, ...renormalized },
    ...{ shared: 20, own: { start: 1, count: 3 } },
  },
]);

describeOp("moeBlock", cases, async (context, c) => {
  const { T, D, F, E, K, own, dtype } = c;
  const random = new Random(T * D + E);
  const weights = new BlockWeights(context, random, dtype);
  const router = weights.matrix(E, D, c.biases);
  const experts = Array.from({ length: E }, () => weights.gated(D, F, c.biases));
  const shared = c.shared !== undefined && {
    ...weights.gated(D, c.shared),
    ...(c.hasGate && { outputGate: weights.matrix(1, D) }),
  };
  const bias = c.hasBias ? weights.vector(E) : undefined;
  const { start, count } = own ?? { start: 0, count: E };
  const { scores, renormalize, scale, groups, topGroups } = c;
  const choice = { scores, renormalize, scale, groups, topGroups };
  const there = experts.slice(start, start + count);
  const block = moeBlock(
    { numExperts: E, topK: K, clamp: c.clamp, ...choice, ...(own && { experts: own }) },
    {
      ...weights.experts({ router, experts: there, ...(shared && { shared }) }),
      correctionBias: bias?.tensor,
    },
  );
  const none = { ...experts[0]!.down, values: new Float64Array(D * F), bias: undefined }; // what experts elsewhere add
  const here = experts.map((expert) => (there.includes(expert) ? expert : { ...expert, down: none }));
  const [seen, chosen]: [Int32Array[], Int32Array[]] = [[], []];
  const tap = (name: string, ids: Tensor): void => {
    if (name === "experts") void context.readIntegers(ids).then((values) => seen.push(values));
  };
  const observed: Block = { run: (stream, call) => block.run(stream, { ...call, tap }) };
  const expected = (x: Float64Array): Float64Array => {
    const result = reference.moe(
      x,
      { router, experts: here, ...(shared && { shared }) },
      { K, clamp: c.clamp, ...choice, ...(bias && { bias: bias.values }) },
    );
    chosen.push(result.experts);
    return result.out;
  };
  await expectAdded(context, random, observed, expected, {
    ...{ T, D, dtype, ops: shared ? 5 : 4, reduction: Math.max(D, F, c.shared ?? 0) },
  });
  expect(seen).toEqual(chosen);
});
