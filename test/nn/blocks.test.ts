// Contract: every block of lib/nn adds to the residual stream what its composition in float64 adds, in every activation dtype: here
// norms, feed-forward parts and mixtures of experts; attention.test.ts and decoder.test.ts have the others.
import { expect, test } from "vitest";
import type { FloatDType } from "../../lib/device/dtype.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { gatedMlpBlock, plainMlpBlock } from "../../lib/nn/mlp.js";
import { moeBlock } from "../../lib/nn/moe.js";
import { layerNormBlock, rmsNormBlock } from "../../lib/nn/norm.js";
import type { Block } from "../../lib/nn/part.js";
import { type LinearWeight, packLinear } from "../../lib/ops/packLinear.js";
import * as reference from "../reference/blocks.js";
import { layerNorm } from "../reference/layerNorm.js";
import { rmsNorm } from "../reference/rmsNorm.js";
import { BlockWeights } from "../support/blockWeights.js";
import { expectClose } from "../support/compare.js";
import { describeOp, inEachDType, openTestDevice, type OpContext } from "../support/devices.js";
import { Random } from "../support/random.js";
import { runBlock } from "../support/runBlock.js";

const norms = inEachDType([
  { name: "rms norm", T: 3, D: 40, bias: false },
  { name: "rms norm, one token", T: 1, D: 7, bias: false },
  { name: "layer norm", T: 3, D: 40, bias: true },
]);

describeOp("norm blocks", norms, async (context, { T, D, bias, dtype }) => {
  const random = new Random(T * D);
  const weights = new BlockWeights(context, random, dtype);
  const [weight, shift] = [weights.vector(D, 1), weights.vector(D)];
  const x = random.normal(T * D, { std: 0.05 }); // small, so that eps counts
  const config = { eps: 1e-3, dtype };
  const block = bias
    ? layerNormBlock(config, { weight: weight.tensor, bias: shift.tensor })
    : rmsNormBlock(config, { weight: weight.tensor });
  const out = block(context.stream, context.tensor("f32", [T, D], x));
  expect(out.dtype).toBe(dtype);
  const expected = bias
    ? layerNorm(x, weight.values, shift.values, { T, D }, config)
    : rmsNorm(x, weight.values, { T, D }, config).out;
  expectClose(await context.read(out), expected, { dtype, shape: [T, D], reduction: D });
});

/** Runs a block on random x [T, D] over a residual stream that is not zero, and compares what that has become. */
async function expectAdded(
  context: OpContext,
  random: Random,
  block: Block,
  expected: (x: Float64Array) => Float64Array,
  {
    T,
    D,
    dtype,
    ops,
    reduction,
  }: { T: number; D: number; dtype: FloatDType; ops: number; reduction: number },
): Promise<void> {
  const x = random.normal(T * D, { dtype });
  const before = random.normal(T * D, { std: 0.25 }); // smaller than what is added: that sets the tolerance
  const residual = context.tensor("f32", [T, D], before);
  runBlock(context.stream, block, context.tensor(dtype, [T, D], x), residual);
  expectClose(await context.read(residual), reference.sum(before, expected(x)), {
    ...{ dtype: "f32", shape: [T, D], intermediate: dtype, reduction, ops },
  });
}

const gated = inEachDType<{
  T: number;
  D: number;
  F: number;
  activation: reference.Activation;
  bias: boolean;
}>([
  { name: "silu", T: 3, D: 24, F: 40, activation: "silu", bias: false },
  { name: "silu, biases", T: 5, D: 40, F: 24, activation: "silu", bias: true },
  { name: "gelu", T: 3, D: 24, F: 40, activation: { gelu: "none" }, bias: false },
  { name: "gelu by tanh, biases", T: 2, D: 24, F: 40, activation: { gelu: "tanh" }, bias: true },
  { name: "one token, whole pieces", T: 1, D: 64, F: 128, activation: "silu", bias: false },
]);

describeOp("gatedMlpBlock", gated, async (context, { T, D, F, activation, bias, dtype }) => {
  const random = new Random(T * D + F);
  const weights = new BlockWeights(context, random, dtype);
  const { gate, up, down } = weights.gated(D, F, bias);
  const gateUp = weights.stacked([gate, up], activation === "silu");
  const block = gatedMlpBlock(
    { activation },
    {
      ...{ gateUp: gateUp.weight, gateUpBias: gateUp.bias },
      ...{ down: weights.packed(down), downBias: weights.biasOf(down) },
    },
  );
  await expectAdded(context, random, block, (x) => reference.gatedMlp(x, { gate, up, down }, activation), {
    ...{ T, D, dtype, ops: 3, reduction: Math.max(D, F) },
  });
});

test("gatedMlpBlock refuses a weight that is packed for another activation", async () => {
  await using device = openTestDevice();
  const stream = device.createStream();
  const [both, down] = [stream.empty("f32", [8, 4]), packLinear(stream, stream.empty("f32", [4, 4]))];
  const [gated, apart] = [true, false].map((swiglu) => packLinear(stream, both, { swiglu })) as [
    LinearWeight,
    LinearWeight,
  ];
  expect(() => gatedMlpBlock({ activation: "silu" }, { gateUp: apart, down })).toThrow(
    "gatedMlpBlock: gateUp: expected a weight packed with swiglu, got one without",
  );
  expect(() => gatedMlpBlock({ activation: { gelu: "none" } }, { gateUp: gated, down })).toThrow(
    "gatedMlpBlock: gateUp: expected a weight packed without swiglu, got one with",
  );
});

const plain = inEachDType<{ T: number; D: number; F: number; approximate: "tanh" | "none" }>([
  { name: "erf", T: 3, D: 24, F: 40, approximate: "none" },
  { name: "tanh", T: 4, D: 40, F: 96, approximate: "tanh" },
]);

describeOp("plainMlpBlock", plain, async (context, { T, D, F, approximate, dtype }) => {
  const random = new Random(T * D + F);
  const weights = new BlockWeights(context, random, dtype);
  const [up, down] = [weights.matrix(F, D, true), weights.matrix(D, F, true)];
  const block = plainMlpBlock(
    { approximate },
    {
      ...{ up: weights.packed(up), upBias: weights.biasOf(up)! },
      ...{ down: weights.packed(down), downBias: weights.biasOf(down)! },
    },
  );
  await expectAdded(context, random, block, (x) => reference.plainMlp(x, { up, down }, approximate), {
    ...{ T, D, dtype, ops: 3, reduction: Math.max(D, F) },
  });
});

interface MoeCase {
  readonly T: number;
  readonly D: number;
  readonly F: number;
  readonly E: number;
  readonly K: number;
  readonly scores: "softmax" | "sigmoid";
  readonly renormalize: boolean;
  /** The experts that are there; all if left out. */
  readonly own?: { readonly start: number; readonly count: number };
}

const sparse = inEachDType<MoeCase>([
  { name: "top 2, renormalised", T: 6, D: 24, F: 20, E: 5, K: 2, scores: "softmax", renormalize: true },
  { name: "top 3", T: 4, D: 24, F: 20, E: 6, K: 3, scores: "softmax", renormalize: false },
  { name: "sigmoid", T: 4, D: 40, F: 24, E: 4, K: 2, scores: "sigmoid", renormalize: true },
  {
    ...{ name: "experts elsewhere", T: 6, D: 24, F: 20, E: 5, K: 2, scores: "softmax", renormalize: true },
    own: { start: 1, count: 3 },
  },
  { name: "one token, top 1", T: 1, D: 64, F: 64, E: 8, K: 1, scores: "softmax", renormalize: false },
]);

describeOp("moeBlock", sparse, async (context, c) => {
  const { T, D, F, E, K, scores, renormalize, own, dtype } = c;
  const random = new Random(T * D + E);
  const weights = new BlockWeights(context, random, dtype);
  const router = weights.matrix(E, D);
  const experts = Array.from({ length: E }, () => weights.gated(D, F));
  const { start, count } = own ?? { start: 0, count: E };
  const block = moeBlock(
    { numExperts: E, topK: K, scores, renormalize, ...(own && { experts: own }) },
    weights.experts(router, experts.slice(start, start + count)),
  );
  const none = { ...experts[0]!.down, values: new Float64Array(D * F) }; // what experts elsewhere add
  const here = experts.map((expert, e) =>
    e >= start && e < start + count ? expert : { ...expert, down: none },
  );
  const [seen, chosen]: [Int32Array[], Int32Array[]] = [[], []];
  const tap = (name: string, ids: Tensor): void => {
    if (name === "experts") void context.readIntegers(ids).then((values) => seen.push(values));
  };
  const observed: Block = { run: (stream, call) => block.run(stream, { ...call, tap }) };
  const expected = (x: Float64Array): Float64Array => {
    const result = reference.moe(x, { router, experts: here }, { K, scores, renormalize });
    chosen.push(result.experts);
    return result.out;
  };
  await expectAdded(context, random, observed, expected, {
    ...{ T, D, dtype, ops: 4, reduction: Math.max(D, F) },
  });
  expect(seen).toEqual(chosen);
});
