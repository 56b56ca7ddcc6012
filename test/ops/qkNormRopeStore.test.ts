// Contract: qkNormRopeStore normalises and rotates queries in place and stores keys, normalised and rotated, and values in their
// slots and nowhere else; on the CPU with the bits of the three ops that it stands for.
import { describe, expect, test } from "vitest";
import { ExecutionError } from "../../lib/errors.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { kvStore } from "../../lib/ops/kvStore.js";
import { qkNormRopeStore, type QkNormRopeStoreOptions } from "../../lib/ops/qkNormRopeStore.js";
import { rmsNorm } from "../../lib/ops/rmsNorm.js";
import { rope } from "../../lib/ops/rope.js";
import { qkNormRopeStore as reference, type QkNormRopeStoreSizes } from "../reference/qkNormRopeStore.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, type OpCase, type OpContext, openTestDevice } from "../support/devices.js";
import { roundTo, type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface PrepareCase extends OpCase, QkNormRopeStoreSizes {
  readonly dtype: FloatDType;
  readonly pages: FloatDType;
  /** Which heads are normalised. Default both. */
  readonly norms?: "q" | "k" | "none";
  /** Every how many tokens one is not stored (slot -1). */
  readonly skipEvery?: number;
  /** q, k and v are views into wider rows, as is the table. */
  readonly strided?: boolean;
  readonly exponents?: readonly [number, number];
  readonly eps?: number;
}

const Lmax = 40;
const sizes = { T: 5, Hq: 4, Hkv: 2, Dh: 64, Dv: 64, R: 64, P: 4, Ps: 4 } as const;
const small = { ...sizes, dtype: "bf16", pages: "bf16" } as const;

const cases: readonly PrepareCase[] = [
  { name: "smallest", ...small, T: 1, Hq: 1, Hkv: 1, Dh: 2, Dv: 1, R: 2, P: 1, Ps: 1 },
  { name: "no tokens", ...small, T: 0 },
  { name: "f32", ...small, dtype: "f32", pages: "f32" },
  { name: "bf16", ...small },
  { name: "f16", ...small, dtype: "f16", pages: "f16" },
  { name: "f32 to bf16", ...small, dtype: "f32" },
  { name: "bf16 to f32", ...small, pages: "f32" },
  { name: "f16 to bf16", ...small, dtype: "f16" },
  { name: "without norms", ...small, norms: "none" },
  { name: "without norms, to f32", ...small, norms: "none", pages: "f32" },
  { name: "the norm of q alone", ...small, norms: "q" },
  { name: "the norm of k alone", ...small, norms: "k" },
  { name: "partial rotation", ...small, R: 24 },
  { name: "partial rotation, f32", ...small, R: 24, dtype: "f32", pages: "f32" },
  { name: "half of 5, heads of 17", ...small, Dh: 17, Dv: 15, R: 10 },
  { name: "half of 15, heads of 30", ...small, Dh: 30, Dv: 31, R: 30, dtype: "f16" },
  {
    name: "heads of 128, many tokens",
    ...small,
    T: 70,
    Hq: 3,
    Hkv: 3,
    Dh: 128,
    Dv: 128,
    R: 128,
    P: 40,
    Ps: 2,
  },
  { name: "heads of 192, values of 128", ...small, Dh: 192, Dv: 128, R: 64 },
  { name: "the widest heads", ...small, Dh: 512, Dv: 520, R: 512, T: 3 },
  { name: "the widest heads, odd", ...small, Dh: 511, Dv: 513, R: 510, T: 3 },
  { name: "one key head, many query heads", ...small, T: 20, Hq: 17, Hkv: 1, P: 7, Ps: 3 },
  { name: "skipped tokens", ...small, T: 9, skipEvery: 2 },
  { name: "all tokens skipped", ...small, skipEvery: 1 },
  { name: "strided rows", ...small, strided: true },
  { name: "strided rows, converted", ...small, Dh: 19, Dv: 9, R: 18, dtype: "f32", strided: true },
  { name: "huge", ...small, dtype: "f32", pages: "f32", exponents: [30, 60] },
  { name: "tiny", ...small, exponents: [-50, -20], eps: 1e-30 },
  { name: "another eps", ...small, eps: 0.5 },
];

describeOp("qkNormRopeStore", cases, async (context, c) => {
  const { T, Hq, Hkv, Dh, Dv, P, Ps, dtype, pages, norms, eps = 1e-6 } = c;
  const { given, host } = inputs(context, c);
  const { q, k, v, options } = given;
  qkNormRopeStore(context.stream, q, k, v, options);

  const expected = reference(host.heads, host.weights, host.tables, host.pages, host.slots, c, { eps });
  const normalised = norms !== "none";
  const tolerance = { reduction: normalised ? Dh : 2, intermediate: dtype, ops: 2 } as const;
  expectClose(await context.read(q), expected.q, { dtype, shape: [T, Hq, Dh], ...tolerance });
  const [kPages, vPages] = [options.kPages, options.vPages];
  expectClose(await context.read(kPages), expected.kPages, {
    ...{ dtype: pages, shape: [P, Ps, Hkv, Dh], ...tolerance },
  });
  const stored = host.slots.some((slot) => slot >= 0) ? roundTo(pages, expected.vPages) : expected.vPages;
  expectSame(await context.read(vPages), stored, { shape: [P, Ps, Hkv, Dv] });
  expectSame(await context.read(k), host.heads.k, { shape: [T, Hkv, Dh] });
  expectSame(await context.read(v), host.heads.v, { shape: [T, Hkv, Dv] });
});

describeOp(
  "qkNormRopeStore has the bits of rmsNorm, rope and kvStore",
  cases.map((c) => ({
    ...c,
    skip: { ...c.skip, simt: "sums of another order", cuda: "sums of another order" },
  })),
  async (context, c) => {
    const { stream } = context;
    const [together, apart] = [inputs(context, c).given, inputs(context, c).given];
    qkNormRopeStore(stream, together.q, together.k, together.v, together.options);
    const { q, k, v, options } = apart;
    const { eps = 1e-6, qWeight, kWeight } = options;
    if (qWeight) rmsNorm(stream, q, qWeight, { eps, out: q });
    if (kWeight) rmsNorm(stream, k, kWeight, { eps, out: k });
    rope(stream, q, k, options.positions, options.table);
    kvStore(stream, k, v, options.kPages, options.vPages, options.slots);
    for (const of of [(g: Given) => g.q, (g: Given) => g.options.kPages, (g: Given) => g.options.vPages]) {
      const [actual, expected] = [of(together), of(apart)];
      expectSame(await context.read(actual), await context.read(expected), { shape: actual.shape });
    }
  },
);

describeOp<PrepareCase>(
  "qkNormRopeStore rounds where the separate ops store",
  [{ name: "bf16 to f32 pages hold keys of bf16", ...small, pages: "f32" }],
  async (context, c) => {
    const { q, k, v, options } = inputs(context, c).given;
    qkNormRopeStore(context.stream, q, k, v, options);
    const stored = await context.read(options.kPages);
    const rows = await context.readIntegers(options.slots);
    for (const slot of rows) {
      const token = stored.subarray(slot * c.Hkv * c.Dh, (slot + 1) * c.Hkv * c.Dh);
      expectSame(token, roundTo("bf16", token), { shape: [c.Hkv, c.Dh] });
    }
  },
);

interface Given {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly options: QkNormRopeStoreOptions;
}

/** The same values in each call. */
function inputs(context: OpContext, c: PrepareCase) {
  const { T, Hq, Hkv, Dh, Dv, R, P, Ps, dtype, norms = "both", skipEvery = 0 } = c;
  const random = new Random(12);
  const values = (count: number, as: FloatDType) =>
    c.exponents ? random.magnitudes(count, ...c.exponents, as) : random.normal(count, { dtype: as });
  const heads = {
    q: values(T * Hq * Dh, dtype),
    k: values(T * Hkv * Dh, dtype),
    v: values(T * Hkv * Dv, dtype),
  };
  const pages = { k: values(P * Ps * Hkv * Dh, c.pages), v: values(P * Ps * Hkv * Dv, c.pages) };
  const weight = (of: "q" | "k") =>
    norms === "both" || norms === of ? random.normal(Dh, { dtype: "f32" }) : undefined;
  const weights = { q: weight("q"), k: weight("k") };
  const table = new Float64Array(Lmax * R).map(() => Math.fround(random.uniform(-1, 1)));
  const positions = random.tokenIds(T, Lmax);
  const slots = random
    .permutation(P * Ps)
    .subarray(0, T)
    .slice();
  if (skipEvery > 0) for (let t = 0; t < T; t += skipEvery) slots[t] = -1;

  const strided = (as: FloatDType, shape: readonly number[], x: Float64Array) =>
    c.strided ? context.stridedRows(as, shape, x, { before: 3, after: 5 }) : context.tensor(as, shape, x);
  const vector = (x: Float64Array | undefined) => x && context.tensor("f32", [Dh], x);
  const given: Given = {
    q: strided(dtype, [T, Hq, Dh], heads.q),
    k: strided(dtype, [T, Hkv, Dh], heads.k),
    v: strided(dtype, [T, Hkv, Dv], heads.v),
    options: {
      ...{ positions: context.integers([T], positions), table: strided("f32", [Lmax, R], table) },
      ...{ kPages: context.tensor(c.pages, [P, Ps, Hkv, Dh], pages.k) },
      ...{ vPages: context.tensor(c.pages, [P, Ps, Hkv, Dv], pages.v) },
      ...{
        slots: context.integers([T], slots),
        qWeight: vector(weights.q),
        kWeight: vector(weights.k),
        eps: c.eps,
      },
    },
  };
  return { given, host: { heads, weights, tables: { positions, table }, pages, slots } };
}

describe("qkNormRopeStore: errors", () => {
  const device = openTestDevice();
  const zeros = (dtype: "f32" | "bf16" | "i32", ...shape: number[]) => device.empty(dtype, shape);

  test("bad arguments name the argument", () => {
    const stream = device.createStream();
    const [q, x] = [zeros("f32", 3, 4, 16), zeros("f32", 3, 2, 16)];
    const pages = zeros("f32", 2, 4, 2, 16);
    const good = {
      ...{ positions: zeros("i32", 3), table: zeros("f32", 8, 16), slots: zeros("i32", 3) },
      ...{ kPages: pages, vPages: pages },
    };
    const call =
      (changes: Partial<QkNormRopeStoreOptions>, k = x, v = x) =>
      () =>
        qkNormRopeStore(stream, q, k, v, { ...good, ...changes });
    expect(call({}, zeros("f32", 3, 2, 8))).toThrow(/^qkNormRopeStore: k: /);
    expect(call({}, x, zeros("bf16", 3, 2, 16))).toThrow(/^qkNormRopeStore: v: /);
    expect(call({ qWeight: zeros("f32", 8) })).toThrow(/^qkNormRopeStore: qWeight: /);
    expect(call({ kWeight: zeros("bf16", 16) })).toThrow(/^qkNormRopeStore: kWeight: /);
    expect(call({ positions: zeros("i32", 2) })).toThrow(/^qkNormRopeStore: positions: /);
    expect(call({ table: zeros("f32", 8, 18) })).toThrow(/^qkNormRopeStore: table: /);
    expect(call({ table: zeros("f32", 8, 15) })).toThrow(/^qkNormRopeStore: table: .*even/);
    expect(call({ vPages: zeros("f32", 2, 5, 2, 16) })).toThrow(/^qkNormRopeStore: vPages: /);
    expect(call({ slots: zeros("f32", 3) })).toThrow(/^qkNormRopeStore: slots: /);
    expect(call({ eps: 0 })).toThrow(/^qkNormRopeStore: eps: /);
    const wide = zeros("f32", 3, 4, 514);
    const widePages = zeros("f32", 2, 4, 4, 514);
    expect(() =>
      qkNormRopeStore(stream, wide, wide, wide, { ...good, kPages: widePages, vPages: widePages }),
    ).toThrow(/^qkNormRopeStore: q: .*at most 512/);
  });

  test.each([
    ["positions", 40],
    ["positions", -1],
    ["slots", -2],
    ["slots", 8],
    ["slots", 2147483647],
  ] as const)("%s of %i poison the stream", async (name, value) => {
    const stream = device.createStream();
    const x = zeros("f32", 1, 2, 8);
    const pages = zeros("f32", 2, 4, 2, 8);
    const bad = stream.fromArray("i32", [1], Int32Array.of(value));
    const zero = stream.fromArray("i32", [1], Int32Array.of(0));
    const options = {
      positions: zero,
      slots: zero,
      table: zeros("f32", 40, 8),
      kPages: pages,
      vPages: pages,
    };
    qkNormRopeStore(stream, x, x, x, { ...options, [name]: bad });
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(`${name}[0] = ${value} is outside`);
  });
});
