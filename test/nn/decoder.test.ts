// Contract: the decoder is what stands around its parts, as the same composition in float64: embeddings and positions, which norm
// stands where, that all parts read and write one residual stream, the last norm, the head; and taps, of every layer.
import { expect, test } from "vitest";
import type { Tensor } from "../../lib/device/tensor.js";
import { decoder, type Layer } from "../../lib/nn/decoder.js";
import { gatedMlpBlock } from "../../lib/nn/mlp.js";
import { layerNormBlock, type NormBlock, rmsNormBlock } from "../../lib/nn/norm.js";
import { type Block, type Branch, type Part, preNorm } from "../../lib/nn/part.js";
import { add } from "../../lib/ops/add.js";
import { copy } from "../../lib/ops/copy.js";
import { gatedMlp, product, sum } from "../reference/blocks.js";
import { embedding } from "../reference/embedding.js";
import { layerNorm } from "../reference/layerNorm.js";
import { rmsNorm } from "../reference/rmsNorm.js";
import { softcap } from "../reference/softcap.js";
import { BlockWeights } from "../support/blockWeights.js";
import { expectClose } from "../support/compare.js";
import { describeOp, inEachDType } from "../support/devices.js";
import type { CopyTap } from "../../lib/nn/tap.js";
import { allocatePages, PageTable, stepInputs } from "../support/pagedSteps.js";
import { Random } from "../support/random.js";

/** What stands around the two blocks of a layer. */
interface Frame {
  readonly isGpt: boolean;
  /** One part with two branches; else two parts. */
  readonly isParallel?: boolean;
  /** Behind the sum of each part. */
  readonly hasPostNorm?: boolean;
  /** Of the embeddings. */
  readonly inputFactor?: number;
  /** Of the logits. */
  readonly cap?: number;
  /** Of each part. */
  readonly factor?: number;
}

const plain = { tokens: [3, 0, 17, 5], isGpt: false };
const cases = inEachDType<Frame & { readonly tokens: readonly number[] }>([
  { name: "rms norms", ...plain },
  { name: "layer norms and learned positions", tokens: [9, 9, 1], isGpt: true },
  { name: "scaled embeddings", ...plain, inputFactor: 12 },
  { name: "scaled embeddings, and positions that are not", tokens: [9, 9, 1], isGpt: true, inputFactor: 0.3 },
  { name: "branches that read the same", ...plain, isParallel: true },
  { name: "norms behind the sum", tokens: [7, 2], isGpt: false, isParallel: true, hasPostNorm: true },
  { name: "norms before and behind each block", ...plain, hasPostNorm: true },
  { name: "capped logits", ...plain, cap: 0.8 },
  { name: "a factor", ...plain, factor: 0.22 },
  { name: "a factor on the sum of two branches", ...plain, isParallel: true, factor: -1.5 },
  { name: "a factor behind norms", tokens: [7, 2], isGpt: false, hasPostNorm: true, factor: 0.5 },
  { name: "a factor behind a norm of the sum", ...plain, isParallel: true, hasPostNorm: true, factor: 3 },
]);

const [V, D, F, eps] = [24, 40, 32, 1e-5];
type Reference = (x: Float64Array) => Float64Array;

function norm(
  weights: BlockWeights,
  hasBias: boolean,
  dtype = weights.dtype,
): { readonly block: NormBlock; readonly expected: Reference } {
  const [weight, bias] = [weights.vector(D, 1), weights.vector(D)];
  const config = { eps, dtype };
  const shape = (x: Float64Array) => ({ T: x.length / D, D });
  return hasBias
    ? {
        block: layerNormBlock(config, { weight: weight.tensor, bias: bias.tensor }),
        expected: (x) => layerNorm(x, weight.values, bias.values, shape(x), config),
      }
    : {
        block: rmsNormBlock(config, { weight: weight.tensor }),
        expected: (x) => rmsNorm(x, weight.values, shape(x), config).out,
      };
}

/** A part that looks at no other token, in the place of attention as well: this is about the frame. */
function part(weights: BlockWeights) {
  const matrices = weights.gated(D, F);
  const gateUp = weights.stacked([matrices.gate, matrices.up], true).weight;
  const down = weights.packed(matrices.down);
  return {
    block: gatedMlpBlock({ activation: "silu" }, { gateUp, down }),
    expected: (x: Float64Array) => gatedMlp(x, matrices, "silu"),
  };
}

/** A layer of two parts, or of one with two branches, and what it makes of the residual stream. */
function layerOf(weights: BlockWeights, { isGpt, isParallel, hasPostNorm, factor }: Frame) {
  const [first, attention] = [norm(weights, isGpt), part(weights)];
  const [second, mlp] = [norm(weights, isGpt), part(weights)];
  const observed: Block = {
    taps: { activation: { dtype: weights.dtype, shape: [D] } },
    run(stream, call) {
      mlp.block.run(stream, call);
      call.tap("activation", call.x);
    },
  };
  const branches = [
    { norm: first.block, block: attention.block, expected: (x) => attention.expected(first.expected(x)) },
    { norm: second.block, block: observed, expected: (x) => mlp.expected(second.expected(x)) },
  ] satisfies (Branch & { readonly expected: Reference })[];
  const parts = (isParallel ? [branches] : branches.map((branch) => [branch])).map((own) => {
    const post = hasPostNorm ? norm(weights, isGpt, "f32") : undefined;
    const expected: Reference = (x) => {
      const added = own.map((branch) => branch.expected(x)).reduce(sum);
      return sum(
        x,
        (post ? post.expected(added) : added).map((value) => value * (factor ?? 1)),
      );
    };
    return { part: { branches: own, postNorm: post?.block, factor } satisfies Part, expected };
  });
  return {
    layer: parts.map(({ part }) => part) satisfies Layer,
    expected: (x: Float64Array) => parts.reduce((stream, part) => part.expected(stream), x),
  };
}

describeOp("decoder", cases, async (context, { tokens, dtype, ...frame }) => {
  const { stream } = context;
  const T = tokens.length;
  const weights = new BlockWeights(context, new Random(T), dtype);
  const { isGpt, inputFactor, cap } = frame;
  const layers = [0, 1].map(() => layerOf(weights, frame));
  const [table, places] = [weights.table(V, D), weights.table(T, D)];
  const [finalNorm, head] = [norm(weights, isGpt), weights.matrix(V, D)];
  const model = decoder({
    width: D,
    input: {
      ...{ embedding: table.tensor, positions: isGpt ? places.tensor : undefined, factor: inputFactor },
    },
    layers: layers.map(({ layer }) => layer),
    output: { finalNorm: finalNorm.block, head: weights.packed(head), cap },
  });
  expect(model.state).toEqual([]);

  const inputs = stepInputs(stream, [{ row: 0, tokens, start: 0 }], new PageTable([T]));
  using state = allocatePages(stream.device, model.state, 1);
  const taps = model.taps.map((point): CopyTap => {
    return { ...point, out: stream.empty(point.dtype, [T, ...point.shape]) };
  });
  const hidden = model.forward(stream, inputs, state, taps);
  const scores = model.logits(stream, hidden);

  let x: Float64Array = embedding(Int32Array.from(tokens), table.values, { V, D });
  x = x.map((value) => value * (inputFactor ?? 1));
  if (isGpt) x = sum(x, places.values);
  const residuals = layers.map((layer) => (x = layer.expected(x)));
  const expected = finalNorm.expected(x);
  const tolerance = { intermediate: dtype, reduction: D, ops: 4 * 4 + 2 } as const; // a norm and three more, four times
  expect([hidden.dtype, scores.dtype]).toEqual([dtype, "f32"]);
  expect(taps.map(({ name, layer }) => `${name} ${layer}`)).toEqual(
    [0, 1].flatMap((layer) => [`activation ${layer}`, `hidden ${layer}`]),
  );
  for (const [layer, residual] of residuals.entries()) {
    const { out } = taps[2 * layer + 1]!;
    const values = Float64Array.from(await out.readFloat32(stream));
    expectClose(values, residual, { dtype, shape: [T, D], label: `hidden ${layer}`, ...tolerance });
  }
  expectClose(await context.read(hidden), expected, { dtype, shape: [T, D], label: "hidden", ...tolerance });
  const logits = product(expected, head);
  expectClose(await context.read(scores), cap === undefined ? logits : softcap(logits, { cap }), {
    ...{ dtype: "f32", shape: [T, V], label: "logits" },
    ...tolerance,
  });
});

describeOp("decoder: plans", [{ name: "two windows, three layers" }], async (context) => {
  const { stream, device } = context;
  const weights = new BlockWeights(context, new Random(3), "f32");
  const made: string[] = [];
  const read: Tensor[] = [];
  const layerWith = (signature: string, value: number): Layer => {
    const block: Block = {
      plan: {
        signature,
        make: () => {
          made.push(signature);
          return stream.fromArray("f32", [D], new Float32Array(D).fill(value));
        },
      },
      run(_, { x, plan, join }) {
        stream.fromArray("f32", [4 * D], new Float32Array(4 * D)); // memory of the layer
        const kept = device.empty("f32", [D]);
        copy(stream, plan as Tensor, kept);
        read.push(kept);
        join(({ out }) => add(stream, out, x, { out }));
      },
    };
    return [preNorm(norm(weights, false).block, block)];
  };
  const model = decoder({
    width: D,
    input: { embedding: weights.table(V, D).tensor },
    layers: [layerWith("all", 1), layerWith("window", 2), layerWith("all", 3)],
    output: { finalNorm: norm(weights, false).block, head: weights.packed(weights.matrix(V, D)) },
  });
  const inputs = stepInputs(stream, [{ row: 0, tokens: [1, 2], start: 0 }], new PageTable([2]));
  using state = allocatePages(device, model.state, 1);
  model.forward(stream, inputs, state);
  expect(made).toEqual(["all", "window"]);
  const values = await Promise.all(read.map((tensor) => context.read(tensor)));
  expect(values).toEqual([1, 2, 1].map((value) => new Float64Array(D).fill(value)));
});

test.each([NaN, Infinity, "2" as unknown as number])(
  "a factor of %o is refused before any step",
  (factor) => {
    const layers = [[], [{ branches: [] }, { branches: [], factor }]];
    expect(() => decoder({ width: D, layers, firstLayer: 4 })).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: expect.stringContaining(
          "a part of layer 5: factor: expected a finite number, got ",
        ) as string,
      }),
    );
  },
);
