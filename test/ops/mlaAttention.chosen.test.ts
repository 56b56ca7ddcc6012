/**
 * Contract: mlaAttention with `indices` attends to the tokens that they name, and reads no other. Where these are all that a query sees,
 * it gives the bits of the same kernel without indices.
 */
import { expect } from "vitest";
import { mlaAttention } from "../../lib/ops/mlaAttention.js";
import { mlaAttention as reference } from "../reference/mlaAttention.js";
import { attentionTolerance } from "../support/attentionCases.js";
import { type ChosenShape, chooseTokens, choices, farToken } from "../support/chosenTokens.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, inEachDType, onKernel, type OpCase, type OpContext } from "../support/devices.js";
import { latentCall, sequenceTensors, mixedLengths } from "../support/latentCalls.js";

interface ChosenCase extends OpCase, ChosenShape {
  /** q, the latents, indices and the result are views into wider rows. */
  readonly strided?: boolean;
}

const few = [
  [1, 70],
  [3, 30],
] as const;
const small = { lengths: mixedLengths, Hq: 2, R: 48, Dr: 32, Ps: 4, dtype: "bf16", topK: 20 } as const;
const large = { ...small, Hq: 16, R: 512, Dr: 64, Ps: 64, lengths: [[1, 90]] } as const;
const slow = { simt: "too slow on the emulator" };

const cases: readonly ChosenCase[] = [
  {
    ...{ name: "smallest", lengths: [[1, 1]], Hq: 1, R: 16, Dr: 16, Ps: 1, dtype: "f32" },
    ...{ topK: 1, choice: "some" },
  },
  { name: "no sequences", ...small, lengths: [], choice: "some" },
  {
    name: "only sequences without queries",
    ...{ ...small, choice: "some" },
    lengths: [
      [0, 5],
      [0, 0],
    ],
  },
  ...choices.map((choice) => ({ name: `${choice} of the tokens`, ...small, choice })),
  ...choices.map((choice) => ({ name: `${choice}, f32`, ...small, dtype: "f32" as const, choice, topK: 70 })),
  ...inEachDType<Omit<ChosenCase, "dtype">>([
    { name: "strided rows", ...small, choice: "some", strided: true, lengths: few },
    { name: "pages of 7", ...small, choice: "gaps", Ps: 7, lengths: [[20, 150]] },
    { name: "R 512, Dr 64", ...large, choice: "some" },
  ]),
  { name: "q f32, latents bf16", ...small, dtype: "f32", pages: "bf16", choice: "some" },
  { name: "q bf16, latents f32", ...small, pages: "f32", choice: "shuffled" },
  ...[1, 2, 63, 64, 65, 129].map((topK) => ({
    ...{ name: `top ${topK}`, ...small, topK, choice: "some" as const, lengths: [[5, 200]] as const },
  })),
  // Around those of the smallest tiles, of a CPU's direct products and of its items.
  ...[1, 8, 9, 16, 17, 40, 128, 130].map((Hq) => ({
    ...{ ...small, name: `${Hq} heads`, Hq, choice: "gaps" as const, lengths: few },
  })),
  { name: "several spans", ...small, topK: 1200, choice: "some", lengths: [[2, 1500]] },
  { name: "several spans with gaps", ...small, Hq: 20, topK: 1200, choice: "gaps", lengths: [[1, 1300]] },
  { name: "keys behind the queries' own", ...small, offset: 5, choice: "some" },
  { name: "queries behind the keys", ...small, offset: -5, choice: "some" },
  { name: "R 512, Dr 64, 128 heads", ...large, Hq: 128, topK: 300, choice: "some", skip: slow },
  { name: "R 512, Dr 64, spans", ...large, topK: 2048, choice: "some", lengths: [[2, 5000]], skip: slow },
];

function attend(context: OpContext, c: ChosenCase) {
  const { lengths, Hq, R, Dr, Ps, dtype, pages = dtype, topK, offset } = c;
  const call = latentCall(c);
  const { T, P } = call;
  const indices = chooseTokens(c, call);
  const queryOffsets = offset === undefined ? undefined : new Int32Array(lengths.length).fill(offset);
  const views = (of: typeof dtype, shape: number[], values: Float64Array) =>
    c.strided
      ? context.stridedRows(of, shape, values, { before: 5, after: 4 })
      : context.tensor(of, shape, values);
  const inputs = [
    views(dtype, [T, Hq, R + Dr], call.q),
    views(pages, [P, Ps, R + Dr], call.latents),
    ...sequenceTensors((shape, values) => context.integers(shape, values), call),
  ] as const;
  const wide = new Int32Array(T * (topK + 3)).fill(farToken);
  for (let t = 0; t < T; t++) wide.set(indices.subarray(t * topK, (t + 1) * topK), t * (topK + 3) + 2);
  const options = {
    ...{ latent: R, scale: call.scale },
    queryOffsets: queryOffsets && context.integers([lengths.length], queryOffsets),
    indices: c.strided
      ? context.integers([T, topK + 3], wide).slice(1, 2, topK + 2)
      : context.integers([T, topK], indices),
  };
  const lse = context.stream.empty("f32", [T, Hq]);
  const out = mlaAttention(context.stream, ...inputs, { ...options, lse });
  const { q, latents, pageTable, rows, cu, contextLens, sizes, scale } = call;
  const expected = reference(q, latents, pageTable, rows, cu, contextLens, sizes, {
    ...{ scale, queryOffsets, indices },
  });
  const tolerance = attentionTolerance(context, {
    ...{ dtype, keys: pages, shape: [T, Hq, R], reduction: topK + R + Dr },
  });
  return { call, inputs, options, out, lse, expected, tolerance };
}

describeOp("mlaAttention of chosen tokens", cases, async (context, c) => {
  const { out, lse, expected, tolerance, call } = attend(context, c);
  expectClose(await context.read(out), expected.out, tolerance);
  const sums = Float64Array.from(await lse.readFloat32(context.stream));
  const { reduction } = tolerance;
  expectClose(sums, expected.lse, { dtype: "f32", shape: [call.T, c.Hq], reduction, label: "lse" });
});

const dense = inEachDType<Omit<ChosenCase, "dtype">>([
  { name: "as many columns as tokens", ...small, choice: "all", topK: 300 },
  { name: "more columns than tokens", ...small, Hq: 20, choice: "all", topK: 500 },
  { name: "a decode of several spans", ...small, choice: "all", topK: 1100, lengths: [[1, 1100]] },
]);

describeOp(
  "mlaAttention of all tokens, named: the bits of attention without indices",
  [
    ...dense.map((c) => ({ ...c, skip: { simt: "takes other kernels", cuda: "takes other kernels" } })),
    ...onKernel("mlaAttention", "any", dense),
    ...onKernel(
      "mlaAttention",
      "latents",
      dense.filter(({ dtype }) => dtype !== "f32"),
    ),
  ],
  async (context, c) => {
    const { out, inputs, options, tolerance } = attend(context, c);
    const { latent, scale } = options;
    const whole = await mlaAttention(context.stream, ...inputs, { latent, scale }).readFloat32(
      context.stream,
    );
    expect(whole.every(Number.isFinite)).toBe(true);
    expectSame(await context.read(out), Float64Array.from(whole), { shape: tolerance.shape });
  },
);

const beside: readonly ChosenCase[] = [
  { name: "decode", ...small, choice: "some", lengths: [[1, 90], ...mixedLengths] },
  { name: "spans", ...small, dtype: "f32", choice: "some", topK: 600, lengths: [[1, 700], ...mixedLengths] },
];

describeOp(
  "mlaAttention of chosen tokens: a row has the same bits beside others",
  beside,
  async (context, c) => {
    const { inputs, options, out } = attend(context, c);
    const [q, latents, pageTable, rows, cu, contextLens] = inputs;
    const sequence = [rows.slice(0, 0, 1), cu.slice(0, 0, 2), contextLens.slice(0, 0, 1)] as const;
    const { latent, scale, indices } = options;
    const own = { latent, scale, indices: indices.slice(0, 0, 1) };
    const alone = mlaAttention(context.stream, q.slice(0, 0, 1), latents, pageTable, ...sequence, own);
    const expected = Float64Array.from(await alone.readFloat32(context.stream));
    expectSame(await context.read(out.slice(0, 0, 1)), expected, { shape: [1, c.Hq, c.R] });
  },
);
