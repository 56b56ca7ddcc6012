/**
 * Contract: mlaAttention is causal attention over latents in pages, whose first R columns are the values. What a query does not see,
 * NaN included, changes nothing in its row; a plan changes nothing; a row's bits do not depend on what is batched beside it.
 */
import { expect } from "vitest";
import { attentionPlan } from "../../lib/ops/attentionPlan.js";
import { mlaAttention } from "../../lib/ops/mlaAttention.js";
import { mlaAttention as reference } from "../reference/mlaAttention.js";
import { attentionTolerance } from "../support/attentionCases.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, onKernel, type OpCase, type OpContext } from "../support/devices.js";
import { blindQueries, type Plant } from "../support/hiddenKeys.js";
import { latentCall, type LatentShape, sequenceTensors, mixedLengths } from "../support/latentCalls.js";

interface MlaCase extends OpCase, LatentShape {
  /** q, the latents and the result are views into wider rows. */
  readonly strided?: boolean;
  /** Queries stand so many tokens farther back than the ends of their sequences. */
  readonly offset?: number;
}

const small = { lengths: [[9, 9]], Hq: 2, R: 48, Dr: 32, Ps: 4, dtype: "bf16" } as const;
const large = { ...small, Hq: 16, R: 512, Dr: 64, Ps: 64 } as const;
const dtypes = ["f32", "bf16", "f16"] as const;
const slow = { simt: "too slow on the emulator" };

const cases: readonly MlaCase[] = [
  { name: "smallest", ...small, lengths: [[1, 1]], Hq: 1, R: 16, Dr: 16, Ps: 1, dtype: "f32" },
  { name: "no sequences", ...small, lengths: [] },
  {
    name: "only sequences without queries",
    ...small,
    lengths: [
      [0, 5],
      [0, 0],
    ],
  },
  ...dtypes.flatMap((dtype): MlaCase[] => [
    { name: `a prompt, ${dtype}`, ...small, dtype },
    { name: `decodes, prompts, chunks, ${dtype}`, ...small, dtype, lengths: mixedLengths },
    { name: `a decode of several spans, ${dtype}`, ...small, dtype, Hq: 4, lengths: [[1, 1100]] },
    { name: `strided rows, ${dtype}`, ...small, dtype, strided: true, lengths: [[6, 20]] },
    { name: `pages of 7, ${dtype}`, ...small, dtype, Ps: 7, lengths: [[20, 150]] },
  ]),
  { name: "q f32, latents bf16", ...small, dtype: "f32", pages: "bf16", lengths: mixedLengths },
  { name: "q bf16, latents f32", ...small, pages: "f32", lengths: mixedLengths },
  { name: "a chunk of several spans", ...small, lengths: [[20, 1700]] },
  { name: "pages larger than a tile", ...small, Ps: 100, lengths: [[3, 250]] },
  { name: "R 64, Dr 32", ...small, R: 64, lengths: mixedLengths },
  { name: "R 16, Dr 240", ...small, R: 16, Dr: 240, lengths: mixedLengths },
  // Packed rows, heads times queries: around those of the smallest tiles, of a CPU's direct products and of its items.
  ...[1, 8, 9, 16, 17, 20, 64, 65, 128].map((Hq) => ({
    ...{ ...small, name: `${Hq} heads`, Hq },
    lengths: [
      [1, 70],
      [2, 20],
    ] as const,
  })),
  { name: "keys behind the queries' own", ...small, offset: 5, lengths: mixedLengths },
  { name: "queries behind the keys", ...small, offset: -5, lengths: mixedLengths },
  ...dtypes.flatMap((dtype): MlaCase[] => [
    { name: `R 512, Dr 64, ${dtype}`, ...large, dtype, lengths: [[1, 70]] },
    {
      name: `R 512, Dr 64, few heads, ${dtype}`,
      ...large,
      dtype,
      Hq: 3,
      lengths: [
        [1, 67],
        [3, 30],
      ],
    },
  ]),
  { name: "R 256, Dr 32", ...large, R: 256, Dr: 32, lengths: [[2, 70]] },
  { name: "R 288, Dr 16, pages of 7", ...large, R: 288, Dr: 16, Ps: 7, lengths: [[2, 70]] },
  { name: "R 512, Dr 64, mixedLengths", ...large, lengths: mixedLengths, skip: slow },
  { name: "R 512, Dr 64, decode of several spans", ...large, lengths: [[1, 2100]], skip: slow },
  { name: "R 512, Dr 64, 128 heads", ...large, Hq: 128, lengths: [[1, 300]], skip: slow },
];

/** The result of a case, and what it should be. */
async function attend(context: OpContext, c: MlaCase, plant: Plant, clean = false) {
  const { lengths, Hq, R, Dr, Ps, dtype, pages = dtype, offset } = c;
  const call = latentCall(c, plant, clean);
  const { stream } = context;
  const views = (of: typeof dtype, shape: number[], values: Float64Array) =>
    c.strided
      ? context.stridedRows(of, shape, values, { before: 5, after: 4 })
      : context.tensor(of, shape, values);
  const queryOffsets = offset === undefined ? undefined : new Int32Array(lengths.length).fill(offset);
  const inputs = [
    views(dtype, [call.T, Hq, R + Dr], call.q),
    views(pages, [call.P, Ps, R + Dr], call.latents),
    ...sequenceTensors((shape, values) => context.integers(shape, values), call),
  ] as const;
  const options = {
    ...{ latent: R, scale: call.scale },
    queryOffsets: queryOffsets && context.integers([lengths.length], queryOffsets),
  };
  const lse = stream.empty("f32", [call.T, Hq]);
  const out = c.strided
    ? context.stridedRows(dtype, [call.T, Hq, R], new Float64Array(call.T * Hq * R), { before: 6, after: 3 })
    : stream.empty(dtype, [call.T, Hq, R]);
  mlaAttention(stream, ...inputs, { ...options, lse, out });
  const run = (plan?: ReturnType<typeof attentionPlan>) =>
    mlaAttention(stream, ...inputs, { ...options, plan });
  const { q, latents, pageTable, rows, cu, contextLens, sizes, scale } = call;
  const expected = reference(q, latents, pageTable, rows, cu, contextLens, sizes, { scale, queryOffsets });
  return { call, inputs, options, out, lse, run, expected };
}

function tolerances(context: OpContext, { dtype, pages, lengths, R, Dr, Hq }: MlaCase, T: number) {
  const reduction = Math.max(0, ...lengths.map(([, length]) => length)) + R + Dr;
  return attentionTolerance(context, { dtype, keys: pages, shape: [T, Hq, R], reduction });
}

const onTiles = cases.filter(
  ({ dtype, pages = dtype, R, strided }) => dtype === "bf16" && pages === dtype && R < 256 && !strided,
);

const onLatents = cases.filter(
  ({ dtype, pages = dtype, strided }) => dtype !== "f32" && pages === dtype && !strided,
);
const onKernels = [
  ...onKernel("mlaAttention", "tiles", onTiles),
  ...onKernel("mlaAttention", "latents", onLatents),
];

describeOp("mlaAttention", [...cases, ...onKernels], async (context, c) => {
  const { out, lse, run, expected, call, inputs, options } = await attend(context, c, "none");
  const { stream } = context;
  const tolerance = tolerances(context, c, call.T);
  expectClose(await context.read(out), expected.out, tolerance);
  // Not through the context, whose reads are the recorded bits.
  const sums = Float64Array.from(await lse.readFloat32(stream));
  const { reduction } = tolerance;
  expectClose(sums, expected.lse, { dtype: "f32", shape: [call.T, c.Hq], reduction, label: "lse" });
  const [, , pageTable, rows, cu, contextLens] = inputs;
  if (c.strided) return; // a plan is one for aligned rows
  const plan = attentionPlan(stream, pageTable, rows, cu, contextLens, {
    ...{
      numQueries: call.T,
      numHeads: c.Hq,
      numKvHeads: 1,
      headDim: c.R + c.Dr,
      latent: c.R,
      pageSize: c.Ps,
    },
    ...{ dtype: c.dtype, kvDtype: c.pages ?? c.dtype, queryOffsets: options.queryOffsets },
  });
  const bits = await out.readFloat32(stream);
  expectSame(await run(plan).readFloat32(stream), bits, { shape: tolerance.shape, label: "planned" });
});

const masked = dtypes.flatMap((dtype): MlaCase[] => [
  { name: `few queries, ${dtype}`, ...small, dtype, lengths: [[3, 17], ...mixedLengths] },
  { name: `many queries, ${dtype}`, ...small, dtype, Hq: 20, lengths: [[40, 129]] },
  { name: `spans, ${dtype}`, ...small, dtype, lengths: [[5, 1060]] },
  { name: `R 512, Dr 64, ${dtype}`, ...large, dtype, lengths: [[3, 70]] },
]);
const hidden: readonly MlaCase[] = [
  ...masked,
  ...onKernel(
    "mlaAttention",
    "tiles",
    masked.filter(({ dtype, R }) => dtype === "bf16" && R < 512),
  ),
  ...onKernel(
    "mlaAttention",
    "latents",
    masked.filter(({ dtype }) => dtype !== "f32"),
  ),
];

describeOp("mlaAttention: hidden NaN", hidden, async (context, c) => {
  const plain = await attend(context, c, "none", true);
  const clean = await context.read(plain.out);
  for (const plant of ["middle", "last"] as const) {
    const { out, expected, call } = await attend(context, c, plant);
    const got = await context.read(out);
    const label = `${plant} token planted`;
    expectClose(got, expected.out, { ...tolerances(context, c, call.T), label });
    if (context.deviceName !== "cpu") continue; // a GPU computes spoilt rows anew
    const blind = blindQueries(c.lengths, { causal: true, window: 0 }, plant);
    const size = c.Hq * c.R;
    const rows = (values: Float64Array) => values.filter((_, i) => blind[Math.floor(i / size)]);
    expectSame(rows(got), rows(clean), { shape: [rows(clean).length], label });
  }
});

const others = Array.from({ length: 9 }, (_, i) => [1 + (i % 3), 40 + 70 * i] as const);
const beside: readonly MlaCase[] = [
  { name: "decode", ...small, lengths: [[1, 700], ...others] },
  { name: "decode, f32", ...small, Hq: 5, dtype: "f32", lengths: [[2, 330], ...others] },
  { name: "draft", ...small, Hq: 20, R: 64, lengths: [[4, 1100], ...others] },
  { name: "R 512, Dr 64", ...large, lengths: [[1, 150], ...others.slice(0, 3)] },
];
const besideOthers = [
  ...beside,
  ...onKernel(
    "mlaAttention",
    "latents",
    beside.filter(({ dtype }) => dtype === "bf16"),
  ),
];

describeOp(
  "mlaAttention: a row has the same bits beside other sequences",
  besideOthers,
  async (context, c) => {
    const { call, inputs, options, out } = await attend(context, c, "none");
    const [q, latents, pageTable, rows, cu, contextLens] = inputs;
    const mine = c.lengths[0]![0];
    const first = [rows.slice(0, 0, 1), cu.slice(0, 0, 2), contextLens.slice(0, 0, 1)] as const;
    const alone = mlaAttention(context.stream, q.slice(0, 0, mine), latents, pageTable, ...first, options);
    const expected = await alone.readFloat32(context.stream);
    const together = await context.read(out.slice(0, 0, mine));
    expectSame(together, Float64Array.from(expected), { shape: [mine, c.Hq, c.R] });
    expect(call.T).toBeGreaterThan(mine);
  },
);
