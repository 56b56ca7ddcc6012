// Contract: the attention block adds what its composition in float64 adds, whether a sequence runs at once or in chunks, alone or
// beside others, and it caches exactly the keys and values of its tokens: after norm and rotation, in their slots, nowhere else.
import { attentionBlock } from "../../lib/nn/attention.js";
import { ropeTable } from "../../lib/nn/ropeTable.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { copy } from "../../lib/ops/copy.js";
import { attention, type Matrix, sum } from "../reference/blocks.js";
import { BlockWeights } from "../support/blockWeights.js";
import { expectClose } from "../support/compare.js";
import { describeOp, inEachDType, type OpCase } from "../support/devices.js";
import { expectCached, gather, placesOf } from "../support/blockSteps.js";
import { PageTable, poisonedState, stepInputs } from "../support/pagedSteps.js";
import { Random } from "../support/random.js";
import { runBlock } from "../support/runBlock.js";

interface AttentionCase extends OpCase {
  /** For each step the tokens of each sequence; 0: it is not part of the step. */
  readonly steps: readonly (readonly number[])[];
  readonly D: number;
  readonly Hq: number;
  readonly Hkv: number;
  readonly Dh: number;
  /** Default 1 / sqrt(Dh). */
  readonly scale?: number;
  readonly softcap?: number;
  readonly window?: number;
  /** R; 0: positions do not enter. */
  readonly rotated: number;
  readonly headNorms?: boolean;
  /** Norms of queries and keys over all heads of a token together. */
  readonly allHeadsNorms?: boolean;
  readonly bias?: boolean;
  readonly sinks?: boolean;
  /** Of queries, keys and values. */
  readonly clip?: number;
}

const grouped = { D: 40, Hq: 4, Hkv: 2, Dh: 16, rotated: 16 } as const;
const cases: readonly AttentionCase[] = [
  { name: "one head, no positions", steps: [[5]], D: 24, Hq: 1, Hkv: 1, Dh: 16, rotated: 0 },
  { name: "rotated", steps: [[7]], ...grouped },
  { name: "a decode after a prompt", steps: [[18], [1], [1]], ...grouped },
  { name: "half of a head rotated", steps: [[9]], ...grouped, rotated: 8 },
  { name: "norms of heads", steps: [[6], [1]], ...grouped, headNorms: true },
  { name: "norms of all heads", steps: [[6], [1]], ...grouped, allHeadsNorms: true },
  { name: "norms of all heads, no positions", steps: [[6, 3]], ...grouped, rotated: 0, allHeadsNorms: true },
  { name: "clamped", steps: [[6], [1]], ...grouped, clip: 0.7 },
  { name: "clamped behind norms of all heads", steps: [[6]], ...grouped, allHeadsNorms: true, clip: 0.7 },
  { name: "biases", steps: [[6], [3]], ...grouped, bias: true },
  { name: "sinks", steps: [[6], [1]], ...grouped, sinks: true },
  { name: "sinks and a window", steps: [[9], [9], [1]], ...grouped, sinks: true, window: 5 },
  { name: "a window, in chunks", steps: [[9], [9], [1]], ...grouped, window: 5 },
  { name: "a window of one token", steps: [[4]], ...grouped, window: 1 },
  { name: "another scale", steps: [[8]], ...grouped, scale: 0.7 },
  { name: "capped scores", steps: [[8], [2]], ...grouped, scale: 2, softcap: 0.9 },
  { name: "one key head", steps: [[8], [2]], D: 24, Hq: 3, Hkv: 1, Dh: 16, rotated: 16 },
  {
    name: "everything, sequences side by side",
    steps: [
      [17, 3],
      [2, 1],
      [0, 14],
      [1, 1],
    ],
    ...{ D: 64, Hq: 4, Hkv: 2, Dh: 32, rotated: 32 },
    ...{ headNorms: true, bias: true, window: 12 },
  },
];

describeOp("attentionBlock", inEachDType(cases), async (context, c) => {
  const { D, Hq, Hkv, Dh, dtype, window = 0, scale = 1 / Math.sqrt(Dh), softcap, clip } = c;
  const { headNorms = false, allHeadsNorms = false } = c;
  const { stream } = context;
  const random = new Random(D + c.steps.length);
  const lengths = c.steps[0]!.map((_, row) => c.steps.reduce((total, step) => total + step[row]!, 0));
  const weights = weightsOf(new BlockWeights(context, random, dtype), c, Math.max(...lengths));
  const shape = { Hq, Hkv, Dh, scale, softcap, clip, window, eps: 1e-3, normsAllHeads: allHeadsNorms };
  const all = (total: number) => ({ total, start: 0, count: total, isCopy: false });
  const block = attentionBlock(
    {
      numHeads: Hq,
      numKvHeads: Hkv,
      headDim: Dh,
      dtype,
      scale,
      softcap,
      clip,
      window,
      ...((headNorms || allHeadsNorms) && { qkNormEps: shape.eps }),
      ...(allHeadsNorms && { normedHeads: { q: all(Hq), k: all(Hkv) } }),
    },
    weights.device,
  );
  const inputs = lengths.map((length) => ({
    x: random.normal(length * D, { dtype }),
    residual: random.normal(length * D, { std: 0.25 }), // smaller than what is added: that sets the tolerance
  }));
  const expected = inputs.map(({ x }) => attention(x, weights.reference, shape));
  const pages = new PageTable(lengths);
  using state = poisonedState(stream, [block.state!], pages);
  const [kept] = state.layers;

  const done = lengths.map(() => 0);
  for (const [index, step] of c.steps.entries()) {
    const places = placesOf(step, done);
    const T = step.reduce((total, count) => total + count, 0);
    const rows = (of: (row: number) => Float64Array): Float64Array => gather(places, of, D);
    const residual = context.tensor(
      "f32",
      [T, D],
      rows((row) => inputs[row]!.residual),
    );
    const x = context.tensor(
      dtype,
      [T, D],
      rows((row) => inputs[row]!.x),
    );
    const stepped = stepInputs(stream, places, pages);
    const cache = { ...stepped.groups[0]!, state: kept! };
    runBlock(stream, block, x, residual, { inputs: stepped, cache });
    const added = rows((row) => expected[row]!.out);
    expectClose(
      await context.read(residual),
      sum(
        rows((row) => inputs[row]!.residual),
        added,
      ),
      {
        ...{ dtype: "f32", shape: [T, D], intermediate: dtype, label: `step ${index}` },
        ...{ reduction: Math.max(D, Hq * Dh, ...lengths), ops: 5 },
      },
    );
  }
  await expectCached(context, { pages, lengths, dtype, D, width: Hkv * Dh }, [
    { label: "keys", tensor: packed(stream, kept!["k"]!), values: expected.map(({ keys }) => keys) },
    { label: "values", tensor: packed(stream, kept!["v"]!), values: expected.map(({ values }) => values) },
  ]);
});

/** A copy that can be read. */
function packed(stream: Stream, pages: Tensor): Tensor {
  return copy(stream, pages, stream.empty(pages.dtype, pages.shape));
}

function weightsOf(weights: BlockWeights, c: AttentionCase, longest: number) {
  const { D, Hq, Hkv, Dh, rotated, bias = false, headNorms = false, allHeadsNorms = false } = c;
  const [q, k, v] = [Hq, Hkv, Hkv].map((H) => weights.matrix(H * Dh, D, bias)) as [Matrix, Matrix, Matrix];
  const output = weights.matrix(D, Hq * Dh, bias);
  const [ofQ, ofK] = allHeadsNorms ? [Hq * Dh, Hkv * Dh] : [Dh, Dh];
  const [qNorm, kNorm] = [weights.vector(ofQ, 1), weights.vector(ofK, 1)];
  const hasNorms = headNorms || allHeadsNorms;
  const options = { rotaryDim: rotated, theta: 100, maxLength: longest, maxPositionEmbeddings: longest };
  const table = rotated > 0 ? Float64Array.from(ropeTable(options).table) : undefined;
  const qkv = weights.stacked([q, k, v]);
  const sinks = c.sinks ? weights.vector(Hq, 1) : undefined;
  return {
    reference: {
      ...{ q, k, v, output },
      ...(hasNorms && { qNorm: qNorm.values, kNorm: kNorm.values }),
      ...(table && { angles: { table, R: rotated } }),
      sinks: sinks?.values,
    },
    device: {
      ...{ qkv: qkv.weight, qkvBias: qkv.bias },
      ...{ output: weights.packed(output), outputBias: weights.biasOf(output) },
      ...(hasNorms && { qNorm: qNorm.tensor, kNorm: kNorm.tensor }),
      ...(table && { ropeTable: weights.context.tensor("f32", [longest, rotated], table) }),
      sinks: sinks?.tensor,
    },
  };
}
