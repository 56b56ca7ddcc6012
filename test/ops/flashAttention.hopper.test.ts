/**
 * Contract: the Hopper kernel of flashAttention, which loads a tile of keys as one box, is right wherever sequences begin and end:
 * what no query sees is NaN, in front of the first sequence, between sequences and behind the last one. It gives the bits that
 * pagedAttention gives, alone or beside others, however queries and keys are copied, and in a graph that is replayed. On the emulated GPU.
 */
import { describe, expect, test } from "vitest";
import { native } from "../../lib/device/native.js";
import type { Stream } from "../../lib/device/stream.js";
import { Tensor } from "../../lib/device/tensor.js";
import { flashAttention } from "../../lib/ops/flashAttention.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { flashAttention as reference } from "../reference/flashAttention.js";
import { expectClose, expectSame } from "../support/compare.js";
import { openTestDevice, withEnvironment } from "../support/devices.js";
import { type FloatDType, toStorage } from "../support/dtype.js";
import { Random } from "../support/random.js";
import { starts } from "../support/starts.js";

const onSimt = describe.skipIf(native.runLastBlocks === undefined);

interface Call {
  readonly lengths: readonly (readonly [queries: number, keys: number])[];
  readonly Hq?: number;
  readonly Hkv?: number;
  readonly Dh?: number;
  readonly Dv?: number;
  readonly causal?: boolean;
  readonly window?: number;
  readonly scale?: number;
  readonly dtype?: "bf16" | "f16";
  readonly out?: FloatDType;
  /** Keys of nobody in front of the first sequence and behind the last one. */
  readonly around?: readonly [before: number, behind: number];
}

type Layout = (dtype: FloatDType, shape: readonly number[], values: Float64Array, stream: Stream) => Tensor;
const packed: Layout = (dtype, shape, values, stream) =>
  stream.fromArray(dtype, shape, toStorage(dtype, values));
/** 16 columns of each head's row in front, in rows that are 8 heads wider. */
const inWiderRows: Layout = (dtype, [rows = 0, heads = 0, width = 0], values, stream) => {
  const whole = new Float64Array(rows * (heads + 8) * (width + 16)).fill(NaN);
  for (let i = 0; i < rows * heads; i++) {
    const at = (Math.floor(i / heads) * (heads + 8) + (i % heads)) * (width + 16) + 16;
    whole.set(values.subarray(i * width, (i + 1) * width), at);
  }
  const all = packed(dtype, [rows, heads + 8, width + 16], whole, stream);
  return all.slice(1, 0, heads).slice(2, 16, width + 16);
};

/** Everything of a call on the host: keys and values are NaN where no query sees them. */
function inputs({ lengths, Hq = 2, Hkv = 1, Dh = 64, Dv = 64, window = 0, dtype = "bf16", ...c }: Call) {
  const [before, behind] = c.around ?? [3, 70];
  const cuQ = starts(lengths.map(([queries]) => queries));
  const cuK = starts(
    lengths.map(([, keys]) => keys),
    before,
  );
  const [T, S] = [cuQ.at(-1)!, cuK.at(-1)! + behind];
  const causal = c.causal ?? true;
  const isSeen = new Array<boolean>(S).fill(false);
  for (const [b, [queries, keys]] of lengths.entries()) {
    if (queries === 0) continue;
    const first = window > 0 ? Math.max(keys - queries - window + 1, 0) : 0;
    isSeen.fill(true, cuK[b]! + first, cuK[b + 1]);
  }
  const keysOf = (width: number, seed: number) => {
    const row = Hkv * width;
    const values = new Float64Array(S * row).fill(NaN);
    values.set(new Random(seed).normal((S - before - behind) * row, { dtype }), before * row);
    return values.map((value, i) => (isSeen[Math.floor(i / row)] ? value : NaN));
  };
  const q = new Random(42).normal(T * Hq * Dh, { dtype });
  const [k, v] = [keysOf(Dh, 43), keysOf(Dv, 44)];
  const masks = { causal, window, scale: c.scale ?? 0.2 };
  return { ...{ q, k, v, cuQ, cuK, T, S, Hq, Hkv, Dh, Dv, dtype, masks }, out: c.out ?? dtype };
}
type Inputs = ReturnType<typeof inputs>;

async function withHopper<Result>(run: (stream: Stream) => Promise<Result>): Promise<Result> {
  await using device = openTestDevice();
  const kernels = "flashAttention:hopper,pagedAttention:hopper";
  return await run(withEnvironment({ WARPLOOP_KERNEL: kernels }, () => device.createStream()));
}

const integers = (stream: Stream, values: Int32Array) => stream.fromArray("i32", [values.length], values);

/** The result and lse of a call. */
function attend(call: Call, { layout = packed, from = inputs(call) } = {}) {
  return withHopper(async (stream) => {
    const { q, k, v, T, S, Hq, Hkv, Dh, Dv, dtype } = from;
    const lse = stream.empty("f32", [T, Hq]);
    const out = stream.empty(from.out, [T, Hq, Dv]);
    const tensors = [
      layout(dtype, [T, Hq, Dh], q, stream),
      layout(dtype, [S, Hkv, Dh], k, stream),
      layout(dtype, [S, Hkv, Dv], v, stream),
    ] as const;
    const sequences = { cuSeqlensQ: integers(stream, from.cuQ), cuSeqlensK: integers(stream, from.cuK) };
    flashAttention(stream, ...tensors, { ...from.masks, ...sequences, lse, out });
    return { out: await out.readFloat32(stream), lse: await lse.readFloat32(stream) };
  });
}

function referenceOf({ q, k, v, cuQ, cuK, masks, ...sizes }: Inputs) {
  return reference(q, k, v, sizes, { ...masks, cuSeqlensQ: cuQ, cuSeqlensK: cuK });
}

async function expectRight(call: Call, layout = packed): Promise<void> {
  const from = inputs(call);
  const { out, lse } = await attend(call, { layout, from });
  const expected = referenceOf(from);
  const reduction = Math.max(...call.lengths.map(([, keys]) => keys)) + from.Dh;
  const [shape, dtype] = [[from.T, from.Hq, from.Dv], from.out];
  expectClose(out, expected.out, { dtype, intermediate: from.dtype, shape, reduction });
  if (call.scale === 0) return; // the kernel takes the least scale that has a sign
  expectClose(lse, expected.lse, { dtype: "f32", shape: shape.slice(0, 2), reduction, label: "lse" });
}

/** Rows for one consumer, for both, for several tiles; tiles that end with the sequence and in it; gaps of NaN between them. */
const lengths: Call["lengths"] = [
  [17, 17],
  [0, 9],
  [70, 133],
  [40, 300],
  [0, 64],
  [20, 129],
  [150, 260],
  [30, 0],
  [90, 60],
  [18, 128],
];
const two: Call["lengths"] = [
  [20, 90],
  [70, 300],
];

onSimt("flashAttention on the Hopper kernel", () => {
  test.each(
    [true, false].flatMap((causal) => [0, 1, 50, 128].map((window) => ({ causal, window, lengths }))),
  )("masks: %o", async (call) => expectRight(call));

  test.each([0, 1, 63, 64, 127, 128, 129].flatMap((first) => [0, 1, 128].map((behind) => [first, behind])))(
    "%i keys in front of the first sequence, %i behind the last",
    async (first, behind) => expectRight({ lengths: two, around: [first, behind] }),
  );

  test.each([1, 2, 3, 4, 5, 8, 16, 20].map((G) => ({ Hq: 2 * G, Hkv: 2 })))(
    "groups: %o",
    async (heads) =>
    expectRight({ ...heads, lengths: [[20, 90], [3, 140], [30, 30]] }), // prettier-ignore
  );

  test.each([
    [64, 64],
    [128, 128],
    [192, 128],
    [256, 256],
    [80, 48],
    [16, 240],
  ])("head widths: %i, %i", async (Dh, Dv) => expectRight({ lengths: two, Dh, Dv, window: 100 }));

  test.each([0.2, 0, -0.2])("a scale of %f, both consumers", async (scale) =>
    expectRight({ lengths, scale, window: 50 }),
  );

  test.each(["f32", "bf16", "f16"] as const)("results of %s", async (out) =>
    expectRight({ lengths: two, dtype: "f16", out }),
  );

  test("views into wider rows and heads", async () => {
    await expectRight({ lengths, Hq: 6, Hkv: 2, window: 50 }, inWiderRows);
  });
  test("blocks with several items, of one consumer and of both", async () => {
    const mixed = Array.from(
      { length: 60 },
      (_, i) => [i % 3 === 1 ? 70 : 9 + (i % 20), 70 + 5 * i] as const,
    );
    await expectRight({ lengths: mixed, Hq: 8, Hkv: 4, window: 40 }); // 320 items for 132 blocks
  });
});

/** The same call with its keys in pages of 16 tokens, without those of nobody. */
function attendPaged({ lengths: all }: Call, { q, k, v, cuQ, cuK, T, Hq, Hkv, Dh, Dv, masks }: Inputs) {
  const Ps = 16;
  const pagesOf = all.map(([, keys]) => Math.ceil(keys / Ps));
  const [first, Pmax, B] = [starts(pagesOf), Math.max(...pagesOf), all.length];
  const P = first.at(-1)!;
  const table = Int32Array.from({ length: B * Pmax }, (_, i) => first[Math.floor(i / Pmax)]! + (i % Pmax));
  const inPages = (values: Float64Array, width: number) => {
    const pages = new Float64Array(P * Ps * width).fill(NaN);
    for (const [b, [, keys]] of all.entries()) {
      const from = cuK[b]! * width;
      pages.set(values.subarray(from, from + keys * width), first[b]! * Ps * width);
    }
    return pages;
  };
  const rows = Int32Array.from({ length: B }, (_, b) => b);
  const contexts = Int32Array.from(all, ([, keys]) => keys);
  return withHopper((stream) => {
    const out = pagedAttention(
      stream,
      packed("bf16", [T, Hq, Dh], q, stream),
      packed("bf16", [P, Ps, Hkv, Dh], inPages(k, Hkv * Dh), stream),
      packed("bf16", [P, Ps, Hkv, Dv], inPages(v, Hkv * Dv), stream),
      stream.fromArray("i32", [B, Pmax], table),
      ...([rows, cuQ, contexts].map((values) => integers(stream, values)) as [Tensor, Tensor, Tensor]),
      { scale: masks.scale },
    );
    return out.readFloat32(stream);
  });
}

onSimt("flashAttention on the Hopper kernel, bits", () => {
  test("are those of pagedAttention", async () => {
    const call: Call = { lengths: lengths.filter(([queries, keys]) => queries > 0 && queries <= keys) };
    const from = inputs(call);
    const { out } = await attend(call, { from });
    expectSame(out, await attendPaged(call, from), { shape: [from.T, from.Hq, from.Dv] });
  });

  test("do not depend on what lies behind a sequence, nor on where it begins", async () => {
    const shape = [90, 2, 64];
    const ends = await attend({ lengths: two, around: [0, 0] });
    const places = [5, 64, 130].map((before) => [before, 200 - before] as const);
    for (const around of places)
      expectSame((await attend({ lengths: two, around })).out, ends.out, { shape });
  });

  test("of a row are the same where blocks share its keys and where one has them all", async () => {
    const mine = [30, 1400] as const;
    const from = inputs({ lengths: [mine], around: [0, 0] });
    const alone = await attend({ lengths: [mine] }, { from });
    const times = 13;
    const repeat = (values: Float64Array) =>
      Float64Array.from({ length: times * values.length }, (_, i) => values[i % values.length]!);
    const cu = (count: number) => starts(new Array<number>(times).fill(count));
    const many = {
      ...from,
      q: repeat(from.q),
      k: repeat(from.k),
      v: repeat(from.v),
      cuQ: cu(30),
      cuK: cu(1400),
    };
    const beside = await attend({ lengths: [mine] }, { from: { ...many, T: times * 30, S: times * 1400 } });
    for (let b = 0; b < times; b++)
      expectSame(beside.out.subarray(b * alone.out.length, (b + 1) * alone.out.length), alone.out, {
        shape: [30, 2, 64],
      });
  });
});

onSimt("flashAttention on the Hopper kernel, bits", () => {
  test("are the same where the driver makes no map: heads that share memory", async () => {
    const [call, Hkv] = [{ lengths: two, Hq: 4, Hkv: 2 }, 2];
    const from = inputs(call);
    const first = (values: Float64Array) => values.filter((_, i) => i % (Hkv * 64) < 64);
    const doubled = (values: Float64Array) =>
      values.map((_, i) => values[Math.floor(i / (Hkv * 64)) * Hkv * 64 + (i % 64)]!);
    const shared: Layout = (dtype, shape, values, stream) => {
      if (shape[1] !== Hkv) return packed(dtype, shape, values, stream);
      const { memory, byteOffset } = packed(dtype, [shape[0]!, 64], first(values), stream);
      return Tensor.strided(memory, dtype, shape, [64, 0, 1], byteOffset);
    };
    const inBoxes = await attend(call, { from: { ...from, k: doubled(from.k), v: doubled(from.v) } });
    const inRows = await attend(call, { from, layout: shared });
    expectSame(inRows.out, inBoxes.out, { shape: [90, 4, 64] });
  });

  test("are those of a call in a graph that is replayed with other lengths", async () => {
    const calls = [{ lengths }, { lengths: [...lengths].reverse() }, { lengths }] as const;
    const [some, ...others] = calls.map((call) => inputs(call));
    const { T, S, Hq, Hkv, Dh, Dv, dtype, masks } = some!;
    await withHopper(async (stream) => {
      const q = packed(dtype, [T, Hq, Dh], some!.q, stream);
      const k = packed(dtype, [S, Hkv, Dh], some!.k, stream);
      const v = packed(dtype, [S, Hkv, Dv], some!.v, stream);
      const [cuSeqlensQ, cuSeqlensK] = [integers(stream, some!.cuQ), integers(stream, some!.cuK)];
      const out = stream.empty(dtype, [T, Hq, Dv]);
      using graph = stream.capture(() => {
        flashAttention(stream, q, k, v, { ...masks, cuSeqlensQ, cuSeqlensK, out });
      });
      // The first replay runs the commands one by one, the second one as a graph.
      for (const [i, next] of others.entries()) {
        q.write(stream, toStorage(dtype, next.q));
        k.write(stream, toStorage(dtype, next.k));
        v.write(stream, toStorage(dtype, next.v));
        cuSeqlensQ.write(stream, next.cuQ);
        cuSeqlensK.write(stream, next.cuK);
        graph.replay(stream);
        const alone = await attend(calls[i + 1]!, { from: next });
        expectSame(await out.readFloat32(stream), alone.out, { shape: [T, Hq, Dv] });
      }
    });
  });

  test("of rows beside queries that are NaN are those beside others", async () => {
    const from = inputs({ lengths: two });
    const clean = await attend({ lengths: two }, { from });
    const spoilt = await attend(
      { lengths: two },
      { from: { ...from, q: from.q.map((value, i) => (i < 20 * 2 * 64 ? NaN : value)) } },
    );
    const at = 20 * 2 * 64;
    expect(spoilt.out.subarray(0, at).every(Number.isNaN)).toBe(true);
    expectSame(spoilt.out.subarray(at), clean.out.subarray(at), { shape: [70, 2, 64] });
  });
});
