// Contract: pagedAttention is causal attention through a page table, and a row's bits do not depend on how the prompt was
// chunked, what is batched beside it, or the number of threads.
import { describe, test } from "vitest";
import { Device } from "../../lib/device/device.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import type { Stream } from "../../lib/device/stream.js";
import { pagedAttention as reference } from "../reference/pagedAttention.js";
import { attentionTolerance } from "../support/attentionCases.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { toStorage, type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";
import { starts } from "../support/starts.js";

interface PagedAttentionCase extends OpCase {
  /** Queries and context of each sequence. */
  readonly lengths: readonly (readonly [number, number])[];
  readonly Hq: number;
  readonly Hkv: number;
  readonly Dh: number;
  readonly Dv: number;
  readonly Ps: number;
  readonly dtype: FloatDType;
  /** Dtype of the pages. Default: that of q. */
  readonly pages?: FloatDType;
  readonly window?: number;
  /** q is a view into wider rows. */
  readonly strided?: boolean;
}

const small = { lengths: [[9, 9]], Hq: 2, Hkv: 1, Dh: 32, Dv: 32, Ps: 4, dtype: "f32" } as const;

const cases: readonly PagedAttentionCase[] = [
  { name: "smallest", ...small, lengths: [[1, 1]], Hq: 1, Dh: 16, Dv: 16, Ps: 1 },
  { name: "no tokens", ...small, lengths: [] },
  {
    name: "only sequences without queries",
    ...small,
    lengths: [
      [0, 5],
      [0, 0],
    ],
  },
  { name: "prompt", ...small },
  { name: "prompt, bf16", ...small, dtype: "bf16" },
  { name: "prompt, f16", ...small, dtype: "f16" },
  { name: "q f32, pages bf16", ...small, pages: "bf16" },
  { name: "decode", ...small, lengths: [[1, 100]], dtype: "bf16" },
  { name: "decode, several spans", ...small, lengths: [[1, 2100]], Hq: 4, Hkv: 2, dtype: "bf16" },
  { name: "decode, several spans, f32", ...small, lengths: [[1, 900]], Hq: 4, Hkv: 2 },
  { name: "chunk, several spans", ...small, lengths: [[20, 1700]], Hq: 4, Hkv: 2, dtype: "bf16" },
  {
    name: "batch of decodes",
    ...small,
    lengths: [
      [1, 1],
      [1, 64],
      [1, 65],
      [1, 300],
      [1, 17],
    ],
    dtype: "bf16",
  },
  {
    name: "mixed batch",
    ...small,
    lengths: [
      [1, 300],
      [40, 40],
      [0, 7],
      [33, 130],
      [1, 1],
    ],
    dtype: "bf16",
  },
  {
    name: "mixed batch, f32",
    ...small,
    lengths: [
      [1, 300],
      [40, 40],
      [0, 7],
      [33, 130],
      [1, 1],
    ],
    Hq: 6,
  },
  // Whole tiles come first in the lists of items, the spans of split ones behind them (cuda/attention/items.cuh).
  ...(["bf16", "f32"] as const).map((dtype) => ({
    name: `split and whole tiles of both kinds, ${dtype}`,
    ...small,
    dtype,
    lengths: [
      [1, 300],
      ...Array.from({ length: 9 }, (_, i) => [1 + (i % 3), 20 + 7 * i] as const),
      [20, 530],
      ...Array.from({ length: 5 }, (_, i) => [18 + i, 30 + i] as const),
      [3, 280],
    ] as const,
  })),
  {
    name: "more sequences than the plan has threads",
    ...small,
    Hq: 1,
    Dh: 16,
    Dv: 16,
    dtype: "bf16",
    lengths: [
      [1, 1030],
      ...Array.from({ length: 600 }, (_, i) => [i % 50 === 0 ? 20 : i % 4, 30 + (i % 5)] as const),
      [1, 1040],
    ],
  },
  // The first, one in the middle and the last, of one span: 16 + 16 + 1.
  { name: "three groups of spans", ...small, Hq: 1, Dh: 16, Dv: 16, lengths: [[2, 16_700]] },
  { name: "odd page size", ...small, Ps: 7, lengths: [[20, 150]], dtype: "bf16" },
  { name: "page larger than a tile", ...small, Ps: 100, lengths: [[3, 250]], dtype: "bf16" },
  {
    name: "window",
    ...small,
    window: 50,
    lengths: [
      [1, 400],
      [70, 200],
    ],
    dtype: "bf16",
  },
  {
    name: "window of 1",
    ...small,
    window: 1,
    lengths: [
      [1, 400],
      [20, 20],
    ],
  },
  { name: "Dv differs", ...small, Dh: 48, Dv: 80, lengths: [[5, 90]], dtype: "bf16" },
  {
    name: "head width 128, group of 5",
    ...small,
    Dh: 128,
    Dv: 128,
    Hq: 10,
    Hkv: 2,
    lengths: [[1, 70]],
    dtype: "bf16",
  },
  {
    name: "group of 16",
    ...small,
    Hq: 16,
    lengths: [
      [1, 70],
      [2, 9],
    ],
    dtype: "bf16",
  },
  {
    name: "more heads than an item has rows",
    ...small,
    Hq: 144,
    Hkv: 144,
    Dh: 16,
    Dv: 16,
    lengths: [[1, 20]],
  },
  { name: "strided q", ...small, strided: true, dtype: "bf16", lengths: [[6, 20]] },
];

/** Pages of sequences, scattered at random; entries of the table that nobody may read are -1. */
function makeCache(random: Random, c: PagedAttentionCase) {
  const { lengths, Hkv, Dh, Dv, Ps, window = 0 } = c;
  const dtype = c.pages ?? c.dtype;
  const counts = lengths.map(([, context]) => Math.ceil(context / Ps));
  const Pmax = Math.max(1, ...counts) + 1;
  const P = counts.reduce((sum, count) => sum + count, 0) + 3;
  const R = lengths.length + 2;
  const pages = random.permutation(P);
  const rows = random.permutation(R).slice(0, lengths.length);
  const pageTable = new Int32Array(R * Pmax).fill(-1);
  let next = 0;
  for (const [b, [queries, context]] of lengths.entries()) {
    const firstSeen = window > 0 ? Math.max(context - queries - window + 1, 0) : 0;
    for (let i = 0; i < counts[b]!; i++) {
      const page = pages[next++]!;
      if ((i + 1) * Ps > firstSeen) pageTable[rows[b]! * Pmax + i] = page;
    }
  }
  return {
    P,
    R,
    Pmax,
    rows,
    pageTable,
    k: random.normal(P * Ps * Hkv * Dh, { dtype }),
    v: random.normal(P * Ps * Hkv * Dv, { dtype }),
  };
}

describeOp("pagedAttention", cases, async (context, c) => {
  const { lengths, Hq, Hkv, Dh, Dv, Ps, dtype, window = 0 } = c;
  const pagesDType = c.pages ?? dtype;
  const random = new Random(4);
  const { P, R, Pmax, rows, pageTable, k, v } = makeCache(random, c);
  const cu = starts(lengths.map(([queries]) => queries));
  const contextLens = Int32Array.from(lengths, ([, length]) => length);
  const T = cu.at(-1)!;
  const q = random.normal(T * Hq * Dh, { dtype });
  const shape = [T, Hq, Dh];
  const inputs = [
    c.strided
      ? context.stridedRows(dtype, shape, q, { before: 5, after: 4 })
      : context.tensor(dtype, shape, q),
    context.tensor(pagesDType, [P, Ps, Hkv, Dh], k),
    context.tensor(pagesDType, [P, Ps, Hkv, Dv], v),
    context.integers([R, Pmax], pageTable),
    context.integers([rows.length], rows),
    context.integers([cu.length], cu),
    context.integers([contextLens.length], contextLens),
  ] as const;
  const lse = context.stream.empty("f32", [T, Hq]);
  const out = pagedAttention(context.stream, ...inputs, { window, lse });
  const without = pagedAttention(context.stream, ...inputs, { window });

  const sizes = { Hq, Hkv, Dh, Dv, Ps, Pmax };
  const expected = reference(q, k, v, pageTable, rows, cu, contextLens, sizes, { window });
  const longest = Math.max(0, ...contextLens);
  const tolerance = attentionTolerance(context, {
    ...{ dtype, keys: pagesDType, shape: [T, Hq, Dv], reduction: longest + Dh },
  });
  expectClose(await context.read(out), expected.out, tolerance);
  // Not through the context, whose reads are the recorded bits.
  const sums = Float64Array.from(await lse.readFloat32(context.stream));
  expectClose(sums, expected.lse, {
    ...{ dtype: "f32", shape: [T, Hq], reduction: longest + Dh, label: "lse" },
  });
  expectSame(await out.readFloat32(context.stream), await without.readFloat32(context.stream), {
    ...{ shape: tolerance.shape, label: "without lse" },
  });
});

// --- bit-exactness ---

interface Prompt {
  readonly Hq: number;
  readonly Hkv: number;
  readonly dtype: FloatDType;
  readonly window: number;
  readonly length: number;
}

const [Dh, Ps] = [32, 16];

/** One prompt in pages, and a function that attends from the queries [first, end) of it, alone or in a batch. */
function pagedPrompt(device: Device, stream: Stream, { Hq, Hkv, dtype, window, length }: Prompt) {
  const random = new Random(21);
  const P = Math.ceil(length / Ps) + 1;
  const tensor = (shape: readonly number[]) => {
    const values = random.normal(
      shape.reduce((product, size) => product * size, 1),
      { dtype },
    );
    return stream.fromArray(dtype, shape, toStorage(dtype, values));
  };
  const q = tensor([length, Hq, Dh]);
  const [k, v] = [tensor([P, Ps, Hkv, Dh]), tensor([P, Ps, Hkv, Dh])];
  const table = new Int32Array(2 * P); // row 0: the dummy sequence, all pages 0
  table.set(random.permutation(P), P);
  const pageTable = stream.fromArray("i32", [2, P], table);
  const integers = (values: readonly number[]) =>
    stream.fromArray("i32", [values.length], Int32Array.from(values));

  return (first: number, end: number, dummies = 0) => {
    const queries =
      dummies === 0 ? q.slice(0, first, end) : device.empty(dtype, [end - first + dummies, Hq, Dh]);
    const cu = [0, end - first];
    for (let i = 0; i < dummies; i++) cu.push(end - first + i + 1);
    const fill = (value: number, dummy: number) =>
      integers([value, ...new Array<number>(dummies).fill(dummy)]);
    const out = device.empty(dtype, queries.shape);
    return {
      queries,
      out,
      source: q.slice(0, first, end),
      run: () =>
        pagedAttention(stream, queries, k, v, pageTable, fill(1, 0), integers(cu), fill(end, 1), {
          window,
          out,
        }),
    };
  };
}

describe("pagedAttention: a row has the same bits", () => {
  const prompts: readonly Prompt[] = [
    { Hq: 4, Hkv: 2, dtype: "bf16", window: 0, length: 600 },
    { Hq: 4, Hkv: 2, dtype: "f32", window: 0, length: 330 },
    { Hq: 3, Hkv: 1, dtype: "f16", window: 0, length: 270 },
    { Hq: 7, Hkv: 1, dtype: "bf16", window: 90, length: 400 },
    { Hq: 20, Hkv: 1, dtype: "bf16", window: 0, length: 300 },
  ];

  async function attend(stream: Stream, call: ReturnType<ReturnType<typeof pagedPrompt>>) {
    call.run();
    return call.out.readFloat32(stream);
  }

  const hasCpu = Device.available().includes("cpu"); // on a GPU the number of queries chooses the tile
  test.skipIf(!hasCpu).each(prompts)("in chunks and token by token: %o", async (prompt) => {
    const device = Device.open("cpu", { threads: 2 });
    const stream = device.createStream();
    const prepare = pagedPrompt(device, stream, prompt);
    const { length, Hq } = prompt;
    const whole = await attend(stream, prepare(0, length));
    for (const size of [1, 3, 29, 64, 200]) {
      const step = size === 1 ? 7 : size; // token by token, but not every one of them
      for (let first = 0; first < length; first += step) {
        const end = Math.min(first + size, length);
        const part = await attend(stream, prepare(first, end));
        const expected = whole.subarray(first * Hq * Dh, end * Hq * Dh);
        const label = `chunk ${first}..${end}`;
        expectSame(part, expected, { shape: [end - first, Hq, Dh], label });
      }
    }
    await device.dispose();
  });

  test.each(prompts)("beside other sequences: %o", async (prompt) => {
    const device = openTestDevice();
    const stream = device.createStream();
    const prepare = pagedPrompt(device, stream, prompt);
    const { length, Hq } = prompt;
    for (const [first, end] of [
      [length - 1, length],
      [length - 4, length],
      [10, 200],
    ] as const) {
      const alone = await attend(stream, prepare(first, end));
      const batch = prepare(first, end, 3);
      const bits = await batch.source.read(stream);
      const padding = bits.slice(0, 3 * Hq * Dh);
      const all =
        bits instanceof Float32Array
          ? new Float32Array(batch.queries.numel)
          : new Uint16Array(batch.queries.numel);
      all.set(bits);
      all.set(padding, bits.length);
      batch.queries.write(stream, all);
      const together = await attend(stream, batch);
      expectSame(together.subarray(0, alone.length), alone, { shape: [end - first, Hq, Dh] });
    }
    await device.dispose();
  });

  test.skipIf(!hasCpu).each(prompts)("on one thread and on three: %o", async (prompt) => {
    const results: Float32Array[] = [];
    for (const threads of [1, 3]) {
      const device = Device.open("cpu", { threads });
      const stream = device.createStream();
      const prepare = pagedPrompt(device, stream, prompt);
      const { length } = prompt;
      for (const first of [0, length - 1]) results.push(await attend(stream, prepare(first, length)));
      await device.dispose();
    }
    const { length, Hq } = prompt;
    expectSame(results[2]!, results[0]!, { shape: [length, Hq, Dh] });
    expectSame(results[3]!, results[1]!, { shape: [1, Hq, Dh] });
  });
});
