// Contract: latent attention, with the matrices of keys and values absorbed, adds what its definition in float64 adds, in which every head
// has keys and values of its own; whether a sequence runs at once or in chunks, alone or beside others. It caches latents and rotated keys.
// With an indexer, whose keys it caches as well, each query attends to the tokens that the indexer chooses. Where W_uk is there for it,
// sequences for which that is cheaper are up-projected, and so many heads at once as fit.
import { expect } from "vitest";
import { byteLength } from "../../lib/device/dtype.js";
import { indexer } from "../../lib/nn/indexer.js";
import { ropeTable } from "../../lib/nn/ropeTable.js";
import { latentAttentionBlock } from "../../lib/nn/mla.js";
import { copy } from "../../lib/ops/copy.js";
import { emptyGroupedWeight, packExpert } from "../../lib/ops/packLinear.js";
import { type Matrix, sum } from "../reference/blocks.js";
import { latentAttention } from "../reference/latentAttention.js";
import { expectCached, gather, placesOf } from "../support/blockSteps.js";
import { BlockWeights } from "../support/blockWeights.js";
import { expectClose } from "../support/compare.js";
import { describeOp, inEachDType, type OpCase } from "../support/devices.js";
import { PageTable, poisonedState, stepInputs } from "../support/pagedSteps.js";
import { Random } from "../support/random.js";
import { runBlock } from "../support/runBlock.js";

interface LatentCase extends OpCase {
  /** For each step the tokens of each sequence; 0: it is not part of the step. */
  readonly steps: readonly (readonly number[])[];
  readonly D: number;
  readonly H: number;
  readonly Dn: number;
  readonly Dr: number;
  readonly Dv: number;
  readonly R: number;
  /** 0: queries are made from x itself. */
  readonly Rq: number;
  /** Default 1 / sqrt(Dn + Dr). */
  readonly scale?: number;
  readonly index?: { readonly Hi: number; readonly Di: number; readonly topK: number };
  /** Of each step the attention that runs, in order: "mla", or "flash" of what is up-projected. Left out: W_uk is not there for it. */
  readonly forms?: readonly string[];
  /** Numbers that fit at once of what is up-projected. Default: all. */
  readonly upProjected?: number;
}

const small = { D: 40, H: 3, Dn: 32, Dr: 16, Dv: 16, R: 48, Rq: 24 } as const;
const cases: readonly LatentCase[] = [
  { name: "one head", steps: [[5]], ...small, H: 1 },
  { name: "a decode after a prompt", steps: [[18], [1], [1]], ...small },
  { name: "queries without latents", steps: [[9], [2]], ...small, Rq: 0 },
  { name: "another scale", steps: [[8]], ...small, scale: 0.7 },
  { name: "values wider than keys", steps: [[8], [3]], ...small, Dn: 16, Dv: 48 },
  {
    name: "in chunks, sequences side by side",
    steps: [
      [17, 3],
      [2, 1],
      [0, 14],
      [1, 1],
    ],
    ...{ ...small, D: 64, H: 4, R: 64 },
  },
];

// With these widths up-projection is cheaper for n tokens behind c while 48 c < n c + n (n + 1) / 2.
const upProjected: readonly LatentCase[] = [
  {
    name: "a prompt up-projected, then decodes",
    steps: [[18], [1], [1]],
    ...small,
    forms: ["flash", "mla", "mla"],
  },
  {
    name: "chunks up-projected behind cached tokens",
    steps: [[17], [40], [2], [16]],
    ...small,
    forms: ["flash", "flash", "mla", "mla"],
  },
  {
    name: "a context of whole pages, up-projected",
    steps: [[16], [48]],
    ...small,
    forms: ["flash", "flash"],
  },
  {
    name: "queries without latents, up-projected",
    steps: [[9], [2]],
    ...small,
    Rq: 0,
    forms: ["flash", "mla"],
  },
  {
    name: "values wider than keys, up-projected",
    steps: [[20], [1]],
    ...small,
    Dn: 16,
    Dv: 48,
    forms: ["flash", "mla"],
  },
  { name: "matrices too wide to gain anything", steps: [[20]], ...small, Dn: 64, Dv: 32, forms: ["mla"] },
  {
    name: "decodes between prompts, and before one behind cached tokens",
    steps: [
      [0, 17, 0],
      [20, 1, 33],
      [1, 1, 64],
    ],
    ...{ ...small, D: 64, H: 4, R: 64, Dn: 48, Dv: 32, forms: ["flash", "flash mla flash", "mla flash"] },
  },
  {
    name: "two heads up-projected, then the third",
    ...{ steps: [[18]], ...small, upProjected: 32 * (64 + 2 * 64), forms: ["flash flash"] },
  },
  {
    name: "two sequences that do not fit together, one head at a time",
    ...{ steps: [[18, 20]], ...small, H: 2, upProjected: 32 * (64 + 64) },
    forms: ["flash flash flash flash"],
  },
  {
    name: "a context too long to be up-projected, beside one that is not",
    ...{
      steps: [[18, 16, 3]],
      ...small,
      upProjected: 31 * (64 + 64),
      forms: ["mla flash flash flash flash"],
    },
  },
];

const chosen = cases
  .filter(({ Rq }) => Rq > 0)
  .flatMap((one): (LatentCase & { readonly dtype: "f32" })[] => {
    const with_ = (Hi: number, Di: number, topK: number) => ({
      ...{ ...one, name: `${one.name}, ${Hi} index heads of ${Di} choose ${topK}`, dtype: "f32" as const },
      index: { Hi, Di, topK },
    });
    return [with_(2, 32, 3), with_(5, 64, 7)]; // in f32: rounding to 16 bits chooses others
  });

const index = { Hi: 2, Di: 32, topK: 20 };
const chosenUpProjected: readonly (LatentCase & { readonly dtype: "f32" })[] = [
  {
    name: "contexts up to topK up-projected, longer ones chosen",
    steps: [
      [18, 0, 0],
      [1, 0, 20],
      [3, 12, 1],
    ],
    ...{ ...small, dtype: "f32", index, forms: ["flash", "mla flash", "mla flash mla"] },
  },
];

const tables = [...inEachDType([...cases, ...upProjected]), ...chosen, ...chosenUpProjected];
describeOp("latentAttentionBlock", tables, async (context, c) => {
  const { D, H, Dn, Dr, Dv, R, Rq, dtype, scale = 1 / Math.sqrt(Dn + Dr), index } = c;
  const { stream } = context;
  const random = new Random(D + c.steps.length);
  const lengths = c.steps[0]!.map((_, row) => c.steps.reduce((total, step) => total + step[row]!, 0));
  const weights = weightsOf(new BlockWeights(context, random, dtype), c, Math.max(...lengths));
  const eps = 1e-3;
  const indexed = index && {
    ...{ numHeads: index.Hi, headDim: index.Di, rotatedDim: Dr, topK: index.topK },
    ...{ normEps: 2 * eps, dtype },
  };
  const block = latentAttentionBlock(
    {
      ...{ numHeads: H, plainDim: Dn, rotatedDim: Dr, valueDim: Dv, rank: R, queryRank: Rq },
      ...{ normEps: eps, dtype, scale },
      upProjectedBytes: c.upProjected && byteLength(dtype, c.upProjected),
    },
    c.forms ? weights.device : { ...weights.device, keys: undefined },
    indexed && indexer(indexed, weights.indexer!),
  );
  const inputs = lengths.map((length) => ({
    x: random.normal(length * D, { dtype }),
    residual: random.normal(length * D, { std: 0.25 }), // smaller than what is added: that sets the tolerance
  }));
  const expected = inputs.map(({ x }) =>
    latentAttention(x, weights.reference, {
      ...{ H, Dn, Dr, Dv, R, scale, eps, index: index && { topK: index.topK, eps: 2 * eps } },
    }),
  );
  for (const { chosen } of expected) if (chosen) expect(chosen.margin).toBeGreaterThan(1e-5); // sums of f32 err less
  const pages = new PageTable(lengths);
  using state = poisonedState(stream, [block.state!], pages);
  const [kept] = state.layers;

  const done = lengths.map(() => 0);
  for (const [index, step] of c.steps.entries()) {
    const places = placesOf(step, done);
    const T = step.reduce((total, count) => total + count, 0);
    const before = gather(places, (row) => inputs[row]!.residual, D);
    const residual = context.tensor("f32", [T, D], before);
    const x = gather(places, (row) => inputs[row]!.x, D);
    const stepped = stepInputs(stream, places, pages);
    const cache = { ...stepped.groups[0]!, state: kept! };
    const trace = stream.trace();
    runBlock(stream, block, context.tensor(dtype, [T, D], x), residual, { inputs: stepped, cache });
    const ran = (await trace.end()).flatMap(({ op }) => forms.get(op) ?? []);
    expect(ran.join(" ")).toBe(c.forms?.[index] ?? "mla");
    const added = gather(places, (row) => expected[row]!.out, D);
    expectClose(await context.read(residual), sum(before, added), {
      ...{ dtype: "f32", shape: [T, D], intermediate: dtype, label: `step ${index}` },
      ...{ reduction: Math.max(D, Rq, R, H * Dv, ...lengths), ops: 8 },
    });
  }
  const latent = kept!["latent"]!;
  const tensor = copy(stream, latent, stream.empty(dtype, latent.shape));
  await expectCached(context, { pages, lengths, dtype, D, width: R + Dr }, [
    { label: "latents", tensor, values: expected.map(({ cached }) => cached) },
  ]);
  if (!index) return;
  const keys = kept!["indexKeys"]!;
  await expectCached(context, { pages, lengths, dtype, D, width: index.Di }, [
    {
      label: "index keys",
      tensor: copy(stream, keys, stream.empty(dtype, keys.shape)),
      values: expected.map(({ chosen }) => chosen!.keys),
    },
  ]);
});

const forms = new Map([
  ["mlaAttention", "mla"],
  ["flashAttention", "flash"],
]);

function weightsOf(weights: BlockWeights, c: LatentCase, longest: number) {
  const { D, H, Dn, Dr, Dv, R, Rq } = c;
  const latents = weights.matrix(R + Dr, D);
  const queryLatents = Rq > 0 ? weights.matrix(Rq, D) : undefined;
  const queries = weights.matrix(H * (Dn + Dr), Rq || D);
  const up = weights.matrix(H * (Dn + Dv), R);
  const output = weights.matrix(D, H * Dv);
  const [queryNorm, latentNorm] = [weights.vector(Rq, 1), weights.vector(R, 1)];
  const options = { rotaryDim: Dr, theta: 100, maxLength: longest, maxPositionEmbeddings: longest };
  const table = Float64Array.from(ropeTable(options).table);
  const heads = (start: number, end: number, width: number, matrix: Matrix): Matrix[] =>
    Array.from({ length: H }, (_, h) => rowsOf(matrix, h * width + start, h * width + end));
  const parts = [...heads(0, Dn, Dn + Dr, queries), ...heads(Dn, Dn + Dr, Dn + Dr, queries)];
  const grouped = (matrices: readonly Matrix[]) => {
    const { N: outputs, K: inputs } = matrices[0]!;
    const shape = { experts: H, outputs, inputs, dtype: weights.dtype, swiglu: false };
    const group = emptyGroupedWeight(weights.context.stream, shape);
    matrices.forEach(({ values }, h) => {
      const matrix = weights.context.tensor(weights.dtype, [outputs, inputs], values);
      packExpert(weights.context.stream, group, h, matrix);
    });
    return group;
  };
  const ropeAngles = weights.context.tensor("f32", [longest, Dr], table);
  const indexed = c.index && indexWeightsOf(weights, c, c.index);
  return {
    indexer: indexed && { ...indexed.device, ropeTable: ropeAngles },
    reference: {
      indexer: indexed?.reference,
      ...{ queries, latents, up, output, latentNorm: latentNorm.values, angles: { table, R: Dr } },
      queryLatents: queryLatents && { matrix: queryLatents, norm: queryNorm.values },
    },
    device: {
      latents: weights.stacked(queryLatents ? [queryLatents, latents] : [latents]).weight,
      queries: weights.stacked(parts).weight,
      queryNorm: queryLatents && queryNorm.tensor,
      latentNorm: latentNorm.tensor,
      absorbedKeys: grouped(heads(0, Dn, Dn + Dv, up).map(turned)),
      keys: grouped(heads(0, Dn, Dn + Dv, up)),
      values: grouped(heads(Dn, Dn + Dv, Dn + Dv, up)),
      ropeTable: ropeAngles,
      output: weights.packed(output),
    },
  };
}

function indexWeightsOf(
  weights: BlockWeights,
  { D, Rq }: LatentCase,
  { Hi, Di }: { Hi: number; Di: number },
) {
  const [queries, keys, ofHeads] = [
    weights.matrix(Hi * Di, Rq),
    weights.matrix(Di, D),
    weights.matrix(Hi, D),
  ];
  const [norm, bias] = [weights.vector(Di, 1), weights.vector(Di)];
  return {
    reference: { queries, keys, weights: ofHeads, keyNorm: norm.values, keyNormBias: bias.values },
    device: {
      ...{ queries: weights.packed(queries), keys: weights.packed(keys), weights: weights.packed(ofHeads) },
      ...{ keyNorm: norm.tensor, keyNormBias: bias.tensor },
    },
  };
}

/** Rows [start, end). */
function rowsOf({ values, K }: Matrix, start: number, end: number): Matrix {
  return { values: values.slice(start * K, end * K), N: end - start, K };
}

function turned({ values, N, K }: Matrix): Matrix {
  const across = Float64Array.from(values, (_, i) => values[(i % N) * K + Math.floor(i / N)]!);
  return { values: across, N: K, K: N };
}
