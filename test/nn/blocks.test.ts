// Contract: every block of lib/nn adds to the residual stream what its composition in float64 adds, in every activation dtype: here
// norms and dense feed-forward parts; moe.test.ts, attention.test.ts and decoder.test.ts have the others.
import { expect, test } from "vitest";
import { gatedMlpBlock, plainMlpBlock } from "../../lib/nn/mlp.js";
import { layerNormBlock, rmsNormBlock } from "../../lib/nn/norm.js";
import { type LinearWeight, packLinear } from "../../lib/ops/packLinear.js";
import * as reference from "../reference/blocks.js";
import { layerNorm } from "../reference/layerNorm.js";
import { rmsNorm } from "../reference/rmsNorm.js";
import { BlockWeights } from "../support/blockWeights.js";
import { expectClose } from "../support/compare.js";
import { describeOp, inEachDType, openTestDevice } from "../support/devices.js";
import { Random } from "../support/random.js";
import { expectAdded } from "../support/expectAdded.js";

const norms = inEachDType([
  { name: "rms norm", T: 3, D: 40, bias: false },
  { name: "rms norm, one token", T: 1, D: 7, bias: false },
  { name: "layer norm", T: 3, D: 40, bias: true },
  { name: "layer norm without a bias", T: 3, D: 40, bias: null },
]);

describeOp("norm blocks", norms, async (context, { T, D, bias, dtype }) => {
  const random = new Random(T * D);
  const weights = new BlockWeights(context, random, dtype);
  const [weight, shift] = [weights.vector(D, 1), weights.vector(D)];
  const x = random.normal(T * D, { std: 0.05 }); // small, so that eps counts
  const config = { eps: 1e-3, dtype };
  const block =
    bias === false
      ? rmsNormBlock(config, { weight: weight.tensor })
      : layerNormBlock(config, { weight: weight.tensor, bias: bias ? shift.tensor : undefined });
  const out = block(context.stream, context.tensor("f32", [T, D], x));
  expect(out.dtype).toBe(dtype);
  const expected =
    bias !== false
      ? layerNorm(x, weight.values, bias ? shift.values : null, { T, D }, config)
      : rmsNorm(x, weight.values, { T, D }, config).out;
  expectClose(await context.read(out), expected, { dtype, shape: [T, D], reduction: D });
});

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

const plain = inEachDType<{ T: number; D: number; F: number; approximate: "tanh" | "none"; bias?: boolean }>([
  { name: "erf", T: 3, D: 24, F: 40, approximate: "none" },
  { name: "tanh", T: 4, D: 40, F: 96, approximate: "tanh" },
  { name: "without biases", T: 4, D: 40, F: 96, approximate: "tanh", bias: false },
]);

describeOp("plainMlpBlock", plain, async (context, { T, D, F, approximate, bias = true, dtype }) => {
  const random = new Random(T * D + F);
  const weights = new BlockWeights(context, random, dtype);
  const [up, down] = [weights.matrix(F, D, bias), weights.matrix(D, F, bias)];
  const block = plainMlpBlock(
    { approximate },
    {
      ...{ up: weights.packed(up), upBias: weights.biasOf(up) },
      ...{ down: weights.packed(down), downBias: weights.biasOf(down) },
    },
  );
  await expectAdded(context, random, block, (x) => reference.plainMlp(x, { up, down }, approximate), {
    ...{ T, D, dtype, ops: 3, reduction: Math.max(D, F) },
  });
});
