// Contract: kvStore and qkNormRopeStore keep keys and values as codes of 8 bits with a factor for each head of each token, or of latents,
// which qkNormRopeStore stores as the values of one head, for each 128 numbers; the same ones on every device, and they write nothing else.
import { describe, expect, test } from "vitest";
import type { Tensor } from "../../lib/device/tensor.js";
import { kvStore } from "../../lib/ops/kvStore.js";
import { qkNormRopeStore } from "../../lib/ops/qkNormRopeStore.js";
import { kvStore as store } from "../reference/kvStore.js";
import { type CodeDType, codeValue, latentsToCodes, toCodes } from "../reference/kvCodes.js";
import { expectSame } from "../support/compare.js";
import { describeOp, type OpCase, type OpContext, openTestDevice } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface CodesCase extends OpCase {
  readonly T: number;
  readonly Hkv: number;
  readonly Dh: number;
  readonly Dv: number;
  readonly P: number;
  readonly Ps: number;
  readonly dtype: FloatDType;
  readonly pages: CodeDType;
  readonly skipEvery?: number;
  /** k, v and the pages are views into wider rows. */
  readonly strided?: boolean;
  readonly exponents?: readonly [number, number];
  /** Elements that are set in some heads. */
  readonly special?: readonly number[];
}

const small = { T: 5, Hkv: 2, Dh: 64, Dv: 64, P: 4, Ps: 4, dtype: "bf16", pages: "i8" } as const;

const cases: readonly CodesCase[] = (["i8", "fp8e4m3"] as const).flatMap((pages): CodesCase[] => {
  const base = { ...small, pages };
  return [
    { name: "smallest", ...base, T: 1, Hkv: 1, Dh: 1, Dv: 1, P: 1, Ps: 1 },
    { name: "no tokens", ...base, T: 0 },
    { name: "bf16", ...base },
    { name: "f32, Dv differs", ...base, dtype: "f32", Dv: 24 },
    { name: "f16", ...base, dtype: "f16", Dh: 128, Dv: 128 },
    { name: "tails below two vectors", ...base, Dh: 31, Dv: 17 },
    { name: "the widest heads", ...base, Dh: 512, Dv: 510, T: 3 },
    { name: "odd page size, many tokens", ...base, T: 300, P: 120, Ps: 3, Hkv: 3 },
    { name: "skipped tokens", ...base, T: 9, skipEvery: 2 },
    { name: "all tokens skipped", ...base, skipEvery: 1 },
    { name: "strided rows", ...base, strided: true },
    { name: "strided rows, f32", ...base, Dh: 19, dtype: "f32", strided: true },
    { name: "huge and tiny elements of a head", ...base, exponents: [-120, 120] },
    { name: "a span of 2^12", ...base, dtype: "f32", exponents: [-12, 0] }, // subnormal e4m3
    { name: "tiny heads", ...base, dtype: "f32", exponents: [-140, -98] },
    { name: "NaN", ...base, special: [NaN] },
    { name: "infinities", ...base, special: [Infinity, -Infinity] },
    { name: "zeros", ...base, special: [0, -0], exponents: [-1, 0] },
  ];
});

interface Stored {
  readonly x: Float64Array;
  readonly width: number;
  readonly tensor: Tensor;
  readonly pages: Tensor;
  readonly scales: Tensor;
}

/** What lies in the pages before: it has to stay where nothing is stored. */
const before = { code: 77, scale: 0.25 };

function makePages(context: OpContext, c: CodesCase, width: number, groups = 1) {
  const { P, Ps, Hkv, pages } = c;
  const fill = (dtype: CodeDType | "f32", last: number, value: number) => {
    const size = P * Ps * Hkv * last;
    const data =
      dtype === "f32"
        ? new Float32Array(size).fill(value)
        : dtype === "i8"
          ? new Int8Array(size).fill(value)
          : new Uint8Array(size).fill(value);
    return context.stream.fromArray(dtype, [P, Ps, Hkv, last], data);
  };
  if (!c.strided)
    return {
      pages: fill(pages, width, before.code),
      scales: fill("f32", groups, before.scale).reshape([P, Ps, Hkv * groups]),
    };
  const [codes, scales] = [fill(pages, width + 5, before.code), fill("f32", 3 * groups, before.scale)];
  return {
    pages: codes.slice(-1, 3, width + 3),
    scales: scales.reshape([P, Ps, Hkv * groups * 3]).slice(-1, 1, Hkv * groups + 1),
  };
}

function inputs(context: OpContext, c: CodesCase) {
  const { T, Hkv, Dh, Dv, P, Ps, dtype, skipEvery = 0, special } = c;
  const random = new Random(11);
  const slots = random
    .permutation(P * Ps)
    .subarray(0, T)
    .slice();
  if (skipEvery > 0) for (let t = 0; t < T; t += skipEvery) slots[t] = -1;
  const sides = [Dh, Dv].map((width): Stored => {
    const count = T * Hkv * width;
    const x = c.exponents
      ? random.magnitudes(count, ...c.exponents, dtype)
      : random.normal(count, { dtype, outliers: 0.02 });
    if (special)
      for (let row = 0; row < T * Hkv; row += 3)
        for (let d = row % width; d < width; d += 11) x[row * width + d] = special[d % special.length]!;
    const shape = [T, Hkv, width];
    const tensor = c.strided
      ? context.stridedRows(dtype, shape, x, { before: 3, after: 5 })
      : context.tensor(dtype, shape, x);
    return { x, width, tensor, ...makePages(context, c, width) };
  });
  return { slots, k: sides[0]!, v: sides[1]! };
}

async function expectCodes(
  context: OpContext,
  c: CodesCase,
  side: Stored,
  slots: Int32Array,
  toCodesOf = toCodes,
) {
  const { P, Ps, Hkv, pages } = c;
  const { x, width } = side;
  const { codes, scales } = toCodesOf(pages, x, width);
  const groups = side.scales.size(2) / Hkv;
  const blank = (count: number, value: number) => new Float64Array(count).fill(value);
  const rows = P * Ps * Hkv;
  const expected = {
    codes: store(codes, blank(rows * width, before.code), slots, { P, Ps, Hkv, Dh: width }),
    scales: store(scales, blank(rows * groups, before.scale), slots, { P, Ps, Hkv, Dh: groups }),
  };
  const shape = side.scales.shape;
  expectSame(await context.read(side.scales), expected.scales, { shape, label: "scales" });
  expectSame(await context.read(side.pages), expected.codes, { shape: [P, Ps, Hkv, width], label: "codes" });
}

describeOp("kvStore of codes", cases, async (context, c) => {
  const { slots, k, v } = inputs(context, c);
  kvStore(context.stream, k.tensor, v.tensor, k.pages, v.pages, context.integers([c.T], slots), {
    ...{ kScales: k.scales, vScales: v.scales },
  });
  for (const side of [k, v]) await expectCodes(context, c, side, slots);
});

const rotated = cases.filter((c) => c.Dh % 2 === 0);

// What it keeps as floats of the dtype of k is what it makes codes of.
describeOp("qkNormRopeStore of codes", rotated, async (context, c) => {
  const { T, Hkv, Dh, Dv, P, Ps, dtype } = c;
  const { stream } = context;
  const { slots, k, v } = inputs(context, c);
  const R = Math.min(Dh, 32);
  const random = new Random(5);
  const weight = context.tensor("f32", [Dh], random.normal(Dh));
  const options = {
    positions: context.integers([T], random.tokenIds(T, 40)),
    table: context.tensor("f32", [40, R], random.normal(40 * R)),
    slots: context.integers([T], slots),
    ...(c.special || c.exponents ? {} : { kWeight: weight }),
  };
  const q = context.tensor(dtype, [T, 1, Dh], random.normal(T * Dh, { dtype }));
  const zeros = (width: number) =>
    context.tensor(dtype, [P, Ps, Hkv, width], new Float64Array(P * Ps * Hkv * width));
  const floats = { kPages: zeros(Dh), vPages: zeros(Dv) };
  qkNormRopeStore(stream, q, k.tensor, v.tensor, { ...options, ...floats });
  qkNormRopeStore(stream, q, k.tensor, v.tensor, {
    ...{ ...options, kPages: k.pages, vPages: v.pages, kScales: k.scales, vScales: v.scales },
  });
  const stored = await context.read(floats.kPages);
  const row = Hkv * Dh;
  const keys = new Float64Array(T * row);
  for (const [t, slot] of slots.entries())
    if (slot >= 0) keys.set(stored.subarray(slot * row, (slot + 1) * row), t * row);
  await expectCodes(context, c, { ...k, x: keys }, slots);
  await expectCodes(context, c, v, slots);
});

const latents = cases
  .filter(({ name }) => !/heads|^tails|^bf16|^f16/.test(name))
  .flatMap((c) => [512, 144, 16].map((Dv) => ({ ...c, Hkv: 1, Dh: 32, Dv })));

// Their rotated keys stay floats, in a dtype that need not be that of the keys which are given.
describeOp("qkNormRopeStore of latents as codes", latents, async (context, c) => {
  const { T, Dh, Dv, P, Ps, dtype } = c;
  const { stream } = context;
  const { slots, k, v } = inputs(context, c);
  const given = { ...v, ...makePages(context, c, Dv, Math.ceil(Dv / 128)) };
  const random = new Random(5);
  const options = {
    positions: context.integers([T], random.tokenIds(T, 40)),
    table: context.tensor("f32", [40, Dh], random.normal(40 * Dh)),
    slots: context.integers([T], slots),
  };
  const q = context.tensor(dtype, [T, 1, Dh], random.normal(T * Dh, { dtype }));
  const keys = () => context.tensor("f32", [P, Ps, 1, Dh], new Float64Array(P * Ps * Dh));
  const [kPages, beside] = [keys(), keys()];
  const vPages = context.tensor("f32", [P, Ps, 1, Dv], new Float64Array(P * Ps * Dv));
  qkNormRopeStore(stream, q, k.tensor, v.tensor, { ...options, kPages, vPages });
  qkNormRopeStore(stream, q, k.tensor, v.tensor, {
    ...{ ...options, kPages: beside, vPages: given.pages, vScales: given.scales },
  });
  expectSame(await context.read(beside), await context.read(kPages), { shape: kPages.shape, label: "keys" });
  await expectCodes(context, c, given, slots, latentsToCodes);
});

describe("codes", () => {
  const device = openTestDevice();

  test("every e4m3 value is its own code", async () => {
    const stream = device.createStream();
    const values = Float32Array.from({ length: 0x7f }, (_, code) => codeValue("fp8e4m3", code));
    const x = stream.fromArray("f32", [1, 1, 0x7f], values);
    const [pages, vPages] = [0, 1].map(() => device.empty("fp8e4m3", [1, 1, 1, 0x7f])) as [Tensor, Tensor];
    const [scales, vScales] = [0, 1].map(() => device.empty("f32", [1, 1, 1])) as [Tensor, Tensor];
    const slots = stream.fromArray("i32", [1], Int32Array.of(0));
    kvStore(stream, x, x, pages, vPages, slots, { kScales: scales, vScales });
    expect(await scales.read(stream)).toEqual(Float32Array.of(1));
    expect(await pages.read(stream)).toEqual(Uint8Array.from({ length: 0x7f }, (_, code) => code));
  });

  test("a head of values has one scale or one for each 128 elements, several heads one each", () => {
    const stream = device.createStream();
    const store = (heads: number, scales: number) => () => {
      const x = device.empty("f32", [1, heads, 16]);
      const v = device.empty("f32", [1, heads, 144]);
      const [position, slots] = [device.empty("i32", [1]), device.empty("i32", [1])];
      qkNormRopeStore(stream, x, x, v, {
        ...{ positions: position, slots, table: device.empty("f32", [1, 16]) },
        ...{ kPages: device.empty("f32", [1, 1, heads, 16]), vPages: device.empty("i8", [1, 1, heads, 144]) },
        vScales: device.empty("f32", [1, 1, scales]),
      });
    };
    const message =
      "qkNormRopeStore: vScales: expected one for each head Hkv, or of a single head one for each";
    expect(store(1, 3)).toThrow(message);
    expect(store(2, 4)).toThrow(message);
    expect(store(2, 1)).toThrow(message);
  });

  test("pages of codes need scales, others take none", () => {
    const stream = device.createStream();
    const x = device.empty("f32", [3, 2, 8]);
    const codes = device.empty("i8", [2, 4, 2, 8]);
    const floats = device.empty("f32", [2, 4, 2, 8]);
    const scales = device.empty("f32", [2, 4, 2]);
    const slots = device.empty("i32", [3]);
    const call = (pages: Tensor, options: { readonly kScales?: Tensor; readonly vScales?: Tensor }) => () =>
      kvStore(stream, x, x, pages, pages, slots, options);
    expect(call(codes, {})).toThrow("kvStore: kScales: expected a tensor, because the pages hold codes");
    expect(call(codes, { kScales: scales })).toThrow(/vScales: expected a tensor/);
    expect(call(floats, { kScales: scales })).toThrow(
      /kScales: expected none, because the pages hold no codes/,
    );
    expect(call(codes, { kScales: scales, vScales: device.empty("f32", [2, 4, 1]) })).toThrow(/vScales: /);
    expect(call(codes, { kScales: scales, vScales: device.empty("bf16", [2, 4, 2]) })).toThrow(/vScales: /);
    expect(() =>
      kvStore(stream, x, x, codes, device.empty("fp8e4m3", [2, 4, 2, 8]), slots, {
        kScales: scales,
        vScales: scales,
      }),
    ).toThrow(/vPages: /);
  });
});
