/**
 * Contract: mlaAttention over latents that are kept as codes is attention over what the codes stand for and the rotated keys beside them,
 * to all tokens and to chosen ones. What a query does not see, codes and factors that are anything, changes nothing in its row; a plan
 * changes nothing; a row's bits depend neither on what is batched beside it nor, on a CPU, on the chunk that it comes in.
 */
import { expect, test } from "vitest";
import type { DType } from "../../lib/device/dtype.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { attentionPlan } from "../../lib/ops/attentionPlan.js";
import { mlaAttention } from "../../lib/ops/mlaAttention.js";
import type { CodeDType } from "../reference/kvCodes.js";
import { mlaAttention as reference } from "../reference/mlaAttention.js";
import { type ChosenShape, chooseTokens } from "../support/chosenTokens.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, type OpCase, type OpContext, openTestDevice } from "../support/devices.js";
import { blindQueries, type Plant } from "../support/hiddenKeys.js";
import {
  codesOf,
  latentCall,
  type LatentShape,
  mixedLengths,
  sequenceTensors,
} from "../support/latentCalls.js";

/** `pages`: dtype of the rotated keys. */
interface CodesCase extends OpCase, LatentShape, Partial<Pick<ChosenShape, "topK" | "choice">> {
  readonly codes: CodeDType;
  /** Every code there is, 0x7f and -128 too, whatever it stands for. */
  readonly all?: boolean;
  /** q, codes, factors, rotated keys and the result are views into wider rows. */
  readonly strided?: boolean;
  readonly offset?: number;
}

const small = { lengths: [[9, 9]], Hq: 2, R: 48, Dr: 32, Ps: 4, dtype: "bf16", codes: "fp8e4m3" } as const;
const large = { ...small, Hq: 16, R: 512, Dr: 64, Ps: 64, lengths: [[1, 70]] } as const;
const few = [
  [1, 70],
  [3, 30],
] as const;
const slow = { simt: "too slow on the emulator" };

const cases: readonly CodesCase[] = [
  { name: "smallest", ...small, lengths: [[1, 1]], Hq: 1, R: 16, Dr: 16, Ps: 1, dtype: "f32" },
  { name: "no sequences", ...small, lengths: [] },
  { name: "only sequences without queries", ...small, lengths: [[0, 5]] },
  ...(["i8", "fp8e4m3"] as const).flatMap((codes) =>
    (["f32", "bf16", "f16"] as const).flatMap((dtype): CodesCase[] => [
      { name: "decodes, prompts, chunks", ...small, codes, dtype, lengths: mixedLengths },
      { name: "strided rows", ...small, codes, dtype, R: 144, strided: true, lengths: [[6, 20]] },
      { name: "R 512, Dr 64", ...large, codes, dtype },
      { name: "every code", ...small, codes, dtype, R: 272, all: true, lengths: few },
      { name: "chosen tokens", ...small, codes, dtype, lengths: few, topK: 20, choice: "gaps" },
    ]),
  ),
  { name: "q f32, rotated keys bf16", ...small, dtype: "f32", pages: "bf16", lengths: mixedLengths },
  { name: "q bf16, rotated keys f32", ...small, pages: "f32", lengths: mixedLengths },
  { name: "q bf16, rotated keys f16", ...small, pages: "f16", lengths: mixedLengths },
  // Groups: one of fewer, one, the second of 16 and of 112, two, four.
  ...[16, 128, 144, 240, 256, 512].map((R) => ({ ...small, name: `R ${R}`, R, lengths: few })),
  { name: "a decode of several spans", ...small, Hq: 4, lengths: [[1, 1100]] },
  { name: "a chunk of several spans", ...small, lengths: [[20, 1700]] },
  { name: "pages of 7", ...small, Ps: 7, lengths: [[20, 150]] },
  { name: "pages larger than a tile", ...small, Ps: 100, lengths: [[3, 250]] },
  // Packed rows: around those of a CPU's direct products and of its items.
  ...[1, 8, 9, 40, 128, 130].map((Hq) => ({ ...small, name: `${Hq} heads`, Hq, R: 144, lengths: few })),
  { name: "keys behind the queries' own", ...small, offset: 5, lengths: mixedLengths },
  { name: "queries behind the keys", ...small, offset: -5, lengths: mixedLengths },
  { name: "R 512, Dr 64, mixedLengths", ...large, lengths: mixedLengths, skip: slow },
  { name: "R 512, Dr 64, 128 heads", ...large, Hq: 128, lengths: [[1, 300]], skip: slow },
  { name: "chosen tokens, shuffled", ...small, lengths: mixedLengths, topK: 20, choice: "shuffled" },
  { name: "chosen tokens, none", ...small, lengths: few, topK: 20, choice: "none" },
  { name: "chosen tokens, spans", ...small, topK: 1200, choice: "some", lengths: [[2, 1500]] },
  { name: "chosen tokens, R 512, Dr 64", ...large, lengths: few, topK: 40, choice: "some" },
];

/** The result of a case, and what it should be. */
function attend(context: OpContext, c: CodesCase, plant: Plant = "none", clean = false) {
  const { lengths, Hq, R, Dr, Ps, dtype, pages = dtype, offset, topK, choice } = c;
  const { stream } = context;
  const call = latentCall(c, plant, clean);
  const indices = topK && choice && chooseTokens({ ...c, topK, choice }, call);
  const kept = codesOf(call, c.codes, c.all);
  const views = (of: typeof dtype, shape: number[], values: Float64Array) =>
    c.strided
      ? context.stridedRows(of, shape, values, { before: 5, after: 4 })
      : context.tensor(of, shape, values);
  const queryOffsets = offset === undefined ? undefined : new Int32Array(lengths.length).fill(offset);
  const { P, T, scale } = call;
  const inputs = [
    views(dtype, [T, Hq, R + Dr], call.q),
    codeTensor(context, c, [P, Ps, R], kept.codes),
    ...sequenceTensors((shape, values) => context.integers(shape, values), call),
  ] as const;
  const options = {
    ...{ latent: R, scale },
    latentScales: views("f32", [P, Ps, kept.groups], kept.scales),
    rotatedPages: views(pages, [P, Ps, Dr], kept.rotated),
    queryOffsets: queryOffsets && context.integers([lengths.length], queryOffsets),
    indices: indices ? context.integers([T, topK], indices) : undefined,
  };
  const lse = stream.empty("f32", [T, Hq]);
  const out = c.strided
    ? context.stridedRows(dtype, [T, Hq, R], new Float64Array(T * Hq * R), { before: 6, after: 3 })
    : stream.empty(dtype, [T, Hq, R]);
  mlaAttention(stream, ...inputs, { ...options, lse, out });
  const { q, pageTable, rows, cu, contextLens, sizes } = call;
  const expected = reference(q, kept.values, pageTable, rows, cu, contextLens, sizes, {
    ...{ scale, queryOffsets, indices: indices || undefined },
  });
  return { call, inputs, options, out, lse, expected };
}

function codeTensor({ stream }: OpContext, c: CodesCase, shape: number[], codes: Float64Array): Tensor {
  const ArrayType = c.codes === "i8" ? Int8Array : Uint8Array;
  if (!c.strided) return stream.fromArray(c.codes, shape, ArrayType.from(codes));
  const [width, pad] = [shape.at(-1)!, 9];
  const wide = new ArrayType((codes.length / width) * (width + pad)).fill(99);
  codes.forEach((code, i) => (wide[Math.floor(i / width) * (width + pad) + 3 + (i % width)] = code));
  return stream.fromArray(c.codes, [...shape.slice(0, -1), width + pad], wide).slice(-1, 3, width + 3);
}

/** A CPU that multiplies bf16 rounds what codes stand for to it, and probabilities. */
function tolerances(context: OpContext, c: CodesCase, T: number) {
  const { dtype, pages = dtype, lengths, R, Dr, Hq } = c;
  const reduction = Math.max(0, ...lengths.map(([, length]) => length)) + R + Dr;
  const isRounded = context.deviceName === "cpu" && dtype === "bf16" && pages === "bf16";
  const rounding = isRounded ? ({ intermediate: "bf16", ops: 2 } as const) : {};
  return { dtype, shape: [T, Hq, R], reduction, ...rounding };
}

describeOp("mlaAttention of codes", cases, async (context, c) => {
  const { out, lse, expected, call, inputs, options } = attend(context, c);
  const { stream } = context;
  const tolerance = tolerances(context, c, call.T);
  const got = await context.read(out);
  expectClose(got, expected.out, tolerance);
  const sums = Float64Array.from(await lse.readFloat32(stream));
  expectClose(sums, expected.lse, { ...tolerance, dtype: "f32", shape: [call.T, c.Hq], label: "lse" });
  if (options.indices) return; // which have no plan
  const [, , pageTable, rows, cu, contextLens] = inputs;
  const sizes = { numQueries: call.T, numHeads: c.Hq, numKvHeads: 1, headDim: c.R + c.Dr, pageSize: c.Ps };
  const plan = attentionPlan(stream, pageTable, rows, cu, contextLens, {
    ...{ ...sizes, latent: c.R, dtype: c.dtype, kvDtype: c.codes, queryOffsets: options.queryOffsets },
  });
  const planned = await mlaAttention(stream, ...inputs, { ...options, plan }).readFloat32(stream);
  expectSame(Float64Array.from(planned), got, { shape: tolerance.shape, label: "planned" });
});

const hidden = (["i8", "fp8e4m3"] as const).flatMap((codes): CodesCase[] => [
  { name: "few queries", ...small, codes, lengths: [[3, 17], ...mixedLengths] },
  { name: "many queries, f32", ...small, codes, dtype: "f32", Hq: 20, R: 144, lengths: [[40, 129]] },
  { name: "spans, f16", ...small, codes, dtype: "f16", lengths: [[5, 1060]] },
  { name: "R 512, Dr 64", ...large, codes, lengths: [[3, 70]] },
]);

describeOp("mlaAttention of codes: hidden NaN", hidden, async (context, c) => {
  const clean = await context.read(attend(context, c, "none", true).out);
  for (const plant of ["middle", "last"] as const) {
    const { out, expected, call } = attend(context, c, plant);
    const got = await context.read(out);
    const label = `${plant} token planted`;
    expectClose(got, expected.out, { ...tolerances(context, c, call.T), label });
    const blind = blindQueries(c.lengths, { causal: true, window: 0 }, plant);
    const size = c.Hq * c.R;
    const rows = (values: Float64Array) => values.filter((_, i) => blind[Math.floor(i / size)]);
    expectSame(rows(got), rows(clean), { shape: [rows(clean).length], label });
  }
});

const others = [1, 2, 3, 1].map((queries, i) => [queries, 40 + 70 * i] as const);
const beside: readonly CodesCase[] = [
  { name: "decode", ...small, lengths: [[1, 700], ...others] },
  { name: "chunk, f32", ...small, dtype: "f32", Hq: 5, codes: "i8", lengths: [[2, 330], ...others] },
  { name: "R 512, Dr 64", ...large, lengths: [[1, 150], ...others] },
  { name: "chosen tokens", ...small, topK: 20, choice: "some", lengths: [[1, 90], ...others] },
];

describeOp("mlaAttention of codes: a row has the same bits beside others", beside, async (context, c) => {
  const { call, inputs, options, out } = attend(context, c);
  const [q, latents, pageTable, rows, cu, contextLens] = inputs;
  const mine = c.lengths[0]![0];
  const first = [rows.slice(0, 0, 1), cu.slice(0, 0, 2), contextLens.slice(0, 0, 1)] as const;
  const own = { ...options, indices: options.indices?.slice(0, 0, mine) };
  const alone = mlaAttention(context.stream, q.slice(0, 0, mine), latents, pageTable, ...first, own);
  const expected = Float64Array.from(await alone.readFloat32(context.stream));
  expectSame(await context.read(out.slice(0, 0, mine)), expected, { shape: [mine, c.Hq, c.R] });
  expect(call.T).toBeGreaterThan(mine);
});

const inChunks: readonly CodesCase[] = [
  { name: "spans", ...small, Hq: 20, lengths: [[20, 600]] },
  { name: "f32", ...small, dtype: "f32", R: 144, lengths: [[20, 300]] },
];

describeOp("mlaAttention of codes: a row has the same bits in every chunk", inChunks, async (context, c) => {
  const { call, inputs, options, out } = attend(context, c);
  const [q, latents, pageTable, rows, , contextLens] = inputs;
  const whole = await context.read(out);
  for (const queries of [7, 1]) {
    const cu = context.integers([2], [0, queries]);
    const some = q.slice(0, call.T - queries, call.T);
    const part = mlaAttention(context.stream, some, latents, pageTable, rows, cu, contextLens, options);
    const got = Float64Array.from(await part.readFloat32(context.stream));
    expectSame(got, whole.subarray(-got.length), { shape: part.shape, label: `${queries} queries` });
  }
});

test("codes need factors and rotated keys, floats take none", () => {
  const device = openTestDevice();
  const stream = device.createStream();
  const sequence = [[1, 2], [1], [2], [1]].map((shape) => device.empty("i32", shape)) as [
    ...[Tensor, Tensor, Tensor, Tensor],
  ];
  const attend = (dtype: DType, width: number, options: object) => () =>
    mlaAttention(stream, device.empty("f32", [1, 2, 176]), device.empty(dtype, [2, 4, width]), ...sequence, {
      ...{ latent: 144, scale: 1, ...options },
    });
  const latentScales = device.empty("f32", [2, 4, 2]);
  const rotatedPages = device.empty("bf16", [2, 4, 32]);
  const both = { latentScales, rotatedPages };
  expect(attend("i8", 144, { rotatedPages })).toThrow(
    "mlaAttention: latentScales: expected a tensor, because",
  );
  expect(attend("fp8e4m3", 144, { latentScales })).toThrow(/rotatedPages: expected a tensor, because/);
  expect(attend("f32", 176, { latentScales })).toThrow(/latentScales: expected none, because/);
  expect(attend("f32", 176, { rotatedPages })).toThrow(/rotatedPages: expected none, because/);
  expect(attend("u8", 144, both)).toThrow(/latentPages: expected dtype f32 or/);
  expect(attend("i8", 176, both)).toThrow(
    /latentPages: expected codes of the width R that latent says, got 176/,
  );
  expect(attend("i8", 144, { ...both, rotatedPages: device.empty("f32", [2, 4, 16]) })).toThrow(
    /rotatedPages: expected the columns of q behind those of a latent, Dr, got 16/,
  );
  expect(attend("i8", 144, { ...both, rotatedPages: device.empty("i8", [2, 4, 32]) })).toThrow(
    /rotatedPages: /,
  );
  for (const wrong of [device.empty("f32", [2, 4, 1]), device.empty("bf16", [2, 4, 2])])
    expect(attend("i8", 144, { ...both, latentScales: wrong })).toThrow(/latentScales: expected/);
});
