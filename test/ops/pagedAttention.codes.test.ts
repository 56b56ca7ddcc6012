// Contract: pagedAttention over pages of codes is attention over the values that the codes stand for; what a query does not see, codes and
// factors that are anything, changes nothing in its row; and a row has the same bits however its prompt was chunked.
import { describe, expect, test } from "vitest";
import { Device } from "../../lib/device/device.js";
import { attentionPlan } from "../../lib/ops/attentionPlan.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { type CodeDType, fromCodes, toCodes } from "../reference/kvCodes.js";
import { pagedAttention as reference } from "../reference/pagedAttention.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, onKernel, type OpCase, OpContext, openTestDevice } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import type { Lengths } from "../support/hiddenKeys.js";
import { Random } from "../support/random.js";
import { someOf } from "../support/seed.js";

interface CodesCase extends OpCase {
  readonly lengths: readonly Lengths[];
  readonly Hq: number;
  readonly Hkv: number;
  readonly Dh: number;
  readonly Dv: number;
  readonly Ps: number;
  readonly dtype: FloatDType;
  readonly pages: CodeDType;
  readonly window?: number;
  readonly scale?: number;
  readonly softcap?: number;
  readonly sinks?: boolean;
  /** The pages are views into wider rows. */
  readonly strided?: boolean;
  /** The value before the last of each sequence is NaN, which shows in the rows that see it and in no other. */
  readonly plant?: boolean;
  /** Standard deviation of keys and values. Default 1. */
  readonly std?: number;
}

const small = { Hq: 2, Hkv: 1, Dh: 64, Dv: 64, Ps: 16 } as const;
const kinds: Lengths[] = [
  [1, 5],
  [0, 9],
  [40, 40],
  [1, 64],
  [4, 70],
  [33, 130],
  [0, 0],
];

const cases = (["i8", "fp8e4m3"] as const).flatMap((pages) =>
  (["bf16", "f32"] as const).flatMap((dtype): CodesCase[] => {
    const base = { ...small, dtype, pages, lengths: kinds };
    return [
      { name: "smallest", ...base, Hq: 1, Dh: 16, Dv: 16, Ps: 1, lengths: [[1, 1]] },
      { name: "no tokens", ...base, lengths: [] },
      { name: "decode, several spans", ...base, Hq: 4, Hkv: 2, lengths: [[1, 2100]] },
      { name: "chunk, several spans", ...base, Hq: 4, Hkv: 2, lengths: [[20, 1100]] },
      { name: "sequences of all kinds", ...base },
      {
        name: "heads of 128, a group of 5",
        ...base,
        Hq: 10,
        Hkv: 2,
        Dh: 128,
        Dv: 128,
        lengths: [
          [1, 70],
          [9, 90],
        ],
      },
      { name: "heads of 80, values of 48", ...base, Dh: 80, Dv: 48 },
      {
        name: "heads of 256",
        ...base,
        Dh: 256,
        Dv: 256,
        lengths: [
          [1, 90],
          [20, 40],
        ],
      },
      { name: "odd page size", ...base, Ps: 7, lengths: [[20, 150]] },
      {
        name: "window",
        ...base,
        window: 50,
        lengths: [
          [1, 400],
          [70, 200],
        ],
      },
      { name: "negative scale", ...base, scale: -0.2 },
      { name: "softcap and sinks", ...base, softcap: 2, scale: 0.5, sinks: true },
      { name: "strided pages", ...base, strided: true },
      { name: "NaN among the values", ...base, plant: true },
      { name: "small values", ...base, std: 1e-4 },
      {
        name: "more heads than an item has rows",
        ...base,
        Hq: 144,
        Hkv: 144,
        Dh: 16,
        Dv: 16,
        lengths: [[1, 20]],
      },
    ];
  }),
);
const others: CodesCase[] = [
  { name: "f16", ...small, dtype: "f16", pages: "i8", lengths: kinds },
  { name: "f16, small values", ...small, dtype: "f16", pages: "fp8e4m3", std: 1e-4, lengths: kinds },
];

/** Pages scattered at random; tokens that nobody sees have codes of every kind and NaN as their factor. */
function makePages(random: Random, c: CodesCase) {
  const { lengths, Hkv, Dh, Dv, Ps, pages, window = 0, std = 1 } = c;
  const counts = lengths.map(([, length]) => Math.ceil(length / Ps));
  const [Pmax, R] = [Math.max(1, ...counts) + 1, lengths.length + 2];
  const P = counts.reduce((sum, count) => sum + count, 0) + 3;
  const order = random.permutation(P);
  const rows = random.permutation(R).slice(0, lengths.length);
  const table = new Int32Array(R * Pmax).fill(-1);
  const seen = new Uint8Array(P * Ps);
  let next = 0;
  for (const [b, [queries, length]] of lengths.entries()) {
    const first = window > 0 ? Math.max(length - queries - window + 1, 0) : 0;
    for (let i = 0; i < counts[b]!; i++) {
      const page = order[next++]!;
      if ((i + 1) * Ps > first) table[rows[b]! * Pmax + i] = page;
      for (let j = Math.max(i * Ps, first); j < Math.min((i + 1) * Ps, length); j++)
        if (queries > 0) seen[page * Ps + (j % Ps)] = 1;
    }
  }
  const side = (width: number) => {
    const kept = toCodes(pages, random.normal(P * Ps * Hkv * width, { std }), width);
    for (let row = 0; row < P * Ps * Hkv; row++) {
      if (seen[Math.floor(row / Hkv)]) continue;
      kept.scales[row] = NaN;
      for (let d = 0; d < width; d++)
        kept.codes[row * width + d] = pages === "i8" ? ((row + d) % 256) - 128 : (row + d) % 256;
    }
    return kept;
  };
  const [k, v] = [side(Dh), side(Dv)];
  if (c.plant)
    for (const [b, [, length]] of lengths.entries()) {
      const j = length - 2; // which the last two queries see
      const page = table[rows[b]! * Pmax + Math.floor(j / Ps)]!;
      if (j >= 0 && page >= 0)
        v.scales.fill(NaN, (page * Ps + (j % Ps)) * Hkv, (page * Ps + (j % Ps) + 1) * Hkv);
    }
  return { P, R, Pmax, rows, table, k, v };
}

function codeTensor(context: OpContext, c: CodesCase, shape: readonly number[], codes: Float64Array) {
  const ArrayType = c.pages === "i8" ? Int8Array : Uint8Array;
  if (!c.strided) return context.stream.fromArray(c.pages, shape, ArrayType.from(codes));
  const [width, pad] = [shape.at(-1)!, 16];
  const wide = new ArrayType((codes.length / width) * (width + pad)).fill(99);
  codes.forEach((code, i) => (wide[Math.floor(i / width) * (width + pad) + (i % width)] = code));
  return context.stream.fromArray(c.pages, [...shape.slice(0, -1), width + pad], wide).slice(-1, 0, width);
}

function inputs(context: OpContext, c: CodesCase) {
  const { lengths, Hq, Hkv, Dh, Dv, Ps, dtype } = c;
  const random = new Random(4);
  const { P, R, Pmax, rows, table, k, v } = makePages(random, c);
  const cu = Int32Array.from([
    0,
    ...lengths.map(
      (
        (sum) =>
        ([queries]) =>
          (sum += queries)
      )(0),
    ),
  ]);
  const lens = Int32Array.from(lengths, ([, length]) => length);
  const T = cu.at(-1)!;
  const q = random.normal(T * Hq * Dh, { dtype, std: 1 / (c.std ?? 1) });
  const scales = (of: Float64Array) =>
    c.strided
      ? context.stridedRows("f32", [P, Ps, Hkv], of, { before: 1, after: 2 })
      : context.tensor("f32", [P, Ps, Hkv], of);
  const tensors = [
    context.tensor(dtype, [T, Hq, Dh], q),
    codeTensor(context, c, [P, Ps, Hkv, Dh], k.codes),
    codeTensor(context, c, [P, Ps, Hkv, Dv], v.codes),
    context.integers([R, Pmax], table),
    context.integers([rows.length], rows),
    context.integers([cu.length], cu),
    context.integers([lens.length], lens),
  ] as const;
  const options = { kScales: scales(k.scales), vScales: scales(v.scales) };
  return { T, q, k, v, table, rows, cu, lens, Pmax, tensors, options };
}

async function compare(context: OpContext, c: CodesCase): Promise<void> {
  const { Hq, Hkv, Dh, Dv, Ps, dtype, pages, window = 0, scale = Dh ** -0.5, softcap = 0 } = c;
  const { T, q, k, v, table, rows, cu, lens, Pmax, tensors, options } = inputs(context, c);
  const sinks = c.sinks ? Float64Array.from({ length: Hq }, (_, h) => 4 * h - 1) : undefined;
  const scores = { window, scale, softcap, sinks: sinks && context.tensor("f32", [Hq], sinks) };
  const lse = context.stream.empty("f32", [T, Hq]);
  const out = pagedAttention(context.stream, ...tensors, { ...options, ...scores, lse });
  const plan = attentionPlan(context.stream, ...([tensors[3], tensors[4], tensors[5], tensors[6]] as const), {
    ...{ numQueries: T, numHeads: Hq, numKvHeads: Hkv, headDim: Dh, valueDim: Dv, pageSize: Ps, window },
    ...{ dtype, kvDtype: pages },
  });
  const planned = pagedAttention(context.stream, ...tensors, { ...options, ...scores, plan });

  const [keys, values] = [fromCodes(pages, k, Dh), fromCodes(pages, v, Dv)];
  const sizes = { Hq, Hkv, Dh, Dv, Ps, Pmax };
  const expected = reference(q, keys, values, table, rows, cu, lens, sizes, {
    window,
    scale,
    softcap,
    sinks,
  });
  const reduction = Math.max(0, ...lens) + Dh;
  const tolerance = { dtype, shape: [T, Hq, Dv], reduction, intermediate: dtype } as const;
  expectClose(await context.read(out), expected.out, tolerance);
  const sums = Float64Array.from(await lse.readFloat32(context.stream));
  expectClose(sums, expected.lse, { dtype: "f32", shape: [T, Hq], reduction, label: "lse" });
  expectSame(await planned.readFloat32(context.stream), await out.readFloat32(context.stream), {
    ...{ shape: tolerance.shape, label: "with a plan" },
  });
}

describeOp("pagedAttention of codes", [...someOf(cases, cases.length / 2), ...others], compare);
const halves = cases.filter(({ dtype }) => dtype === "bf16");
const kinds16 = halves.filter(({ name }) => name === "sequences of all kinds");
describeOp(
  "pagedAttention of codes",
  [
    ...onKernel("pagedAttention", "any", someOf(halves, halves.length / 2)),
    ...onKernel("pagedAttention", "tiles", kinds16),
  ],
  compare,
);

describe("pagedAttention of codes", () => {
  const hasCpu = Device.available().includes("cpu"); // on a GPU the number of queries chooses the tile
  test.skipIf(!hasCpu).each(cases.filter(({ name }) => name === "chunk, several spans"))(
    "a row has the same bits in every chunk: %o",
    async (c) => {
      const whole: Float32Array[] = [];
      for (const queries of [20, 7, 1]) {
        const device = Device.open("cpu", { threads: 2 });
        const stream = device.createStream();
        const { tensors, options } = inputs(new OpContext("cpu", device, stream), c);
        const [q, ...others] = tensors;
        const some = q.slice(0, 20 - queries, 20);
        const cu = stream.fromArray("i32", [2], Int32Array.of(0, queries));
        const [kPages, vPages, pageTable, rows, , lens] = others;
        const out = pagedAttention(stream, some, kPages, vPages, pageTable, rows, cu, lens, options);
        const last = await out.slice(0, queries - 1, queries).readFloat32(stream);
        whole.push(last);
        await device.dispose();
      }
      for (const one of whole) expectSame(one, whole[0]!, { shape: [c.Hq, c.Dv] });
    },
  );

  test("pages of codes need scales, others take none", () => {
    const device = openTestDevice();
    const stream = device.createStream();
    const ints = (...shape: number[]) => device.empty("i32", shape);
    const q = device.empty("f32", [1, 2, 16]);
    const scales = device.empty("f32", [2, 4, 1]);
    const call = (dtype: "i8" | "fp8e4m3" | "f32" | "u8", options: object) => () => {
      const pages = device.empty(dtype, [2, 4, 1, 16]);
      return pagedAttention(stream, q, pages, pages, ints(1, 2), ints(1), ints(2), ints(1), options);
    };
    expect(call("i8", {})).toThrow(
      "pagedAttention: kScales: expected a tensor, because the pages hold codes",
    );
    expect(call("fp8e4m3", { kScales: scales })).toThrow(/vScales: expected a tensor/);
    expect(call("f32", { vScales: scales })).toThrow(/vScales: expected none/);
    expect(call("u8", {})).toThrow(/kPages: expected dtype f32 or/);
    const other = device.empty("f32", [2, 4, 2]);
    expect(call("i8", { kScales: other, vScales: scales })).toThrow(/kScales: expected \[P=2/);
  });
});
