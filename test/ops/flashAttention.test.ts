// Contract: flashAttention is softmax attention of variable-length sequences with grouped heads, causal and window masks.
import { describe, expect, test } from "vitest";
import { ExecutionError } from "../../lib/errors.js";
import { flashAttention } from "../../lib/ops/flashAttention.js";
import { Tensor } from "../../lib/device/tensor.js";
import { flashAttention as reference } from "../reference/flashAttention.js";
import { attentionTolerance, expectAttention } from "../support/attentionCases.js";
import { expectSame } from "../support/compare.js";
import { describeOp, type OpCase, type OpContext, openTestDevice } from "../support/devices.js";
import { toStorage, type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";
import { starts } from "../support/starts.js";

interface FlashAttentionCase extends OpCase {
  /** Queries and keys of each sequence. */
  readonly lengths: readonly (readonly [number, number])[];
  readonly Hq: number;
  readonly Hkv: number;
  readonly Dh: number;
  readonly Dv: number;
  /** Dtype of q and of the result. */
  readonly dtype: FloatDType;
  /** Dtype of k and v. Default: that of q. */
  readonly keys?: FloatDType;
  readonly causal?: boolean;
  readonly window?: number;
  readonly scale?: number;
  /** q, k and v are views into wider rows. */
  readonly strided?: boolean;
  /** All KV heads are one: k and v have the stride 0 along the heads. */
  readonly sharedHeads?: boolean;
  /** Standard deviations of q, k and v. */
  readonly std?: readonly [number, number, number];
}

const small = { lengths: [[9, 9]], Hq: 2, Hkv: 1, Dh: 32, Dv: 32, dtype: "f32" } as const;

const cases: readonly FlashAttentionCase[] = [
  { name: "smallest", ...small, lengths: [[1, 1]], Hq: 1, Dh: 16, Dv: 16 },
  { name: "no tokens", ...small, lengths: [[0, 0]] },
  { name: "no keys: every row sees nothing", ...small, lengths: [[3, 0]] },
  { name: "f32", ...small },
  { name: "bf16", ...small, dtype: "bf16" },
  { name: "f16", ...small, dtype: "f16" },
  { name: "q f32, k and v bf16", ...small, keys: "bf16" },
  { name: "q bf16, k and v f16", ...small, dtype: "bf16", keys: "f16" },
  { name: "not causal", ...small, causal: false, dtype: "bf16" },
  { name: "fewer queries than keys", ...small, lengths: [[5, 83]] },
  {
    name: "more queries than keys: the first rows see nothing",
    ...small,
    lengths: [[90, 70]],
    dtype: "bf16",
  },
  { name: "more queries than keys, not causal", ...small, lengths: [[20, 7]], causal: false },
  { name: "63 keys", ...small, lengths: [[63, 63]], dtype: "bf16" },
  { name: "64 keys", ...small, lengths: [[64, 64]], dtype: "bf16" },
  { name: "65 keys", ...small, lengths: [[65, 65]], dtype: "bf16" },
  { name: "one key beyond a span", ...small, lengths: [[257, 257]] },
  { name: "several spans", ...small, lengths: [[300, 600]], dtype: "bf16" },
  { name: "some queries, several spans, f32", ...small, lengths: [[9, 1200]] },
  { name: "two row blocks, several spans", ...small, lengths: [[40, 1100]], Dh: 128, Dv: 128, dtype: "bf16" },
  { name: "one query, several spans", ...small, lengths: [[1, 700]], dtype: "bf16" },
  { name: "window 1", ...small, window: 1, lengths: [[40, 40]] },
  { name: "window 5", ...small, window: 5, lengths: [[70, 90]], dtype: "bf16" },
  { name: "window across tiles and spans", ...small, window: 130, lengths: [[200, 500]] },
  { name: "window of one query", ...small, window: 100, lengths: [[1, 500]], dtype: "bf16" },
  { name: "window, not causal", ...small, window: 10, lengths: [[60, 80]], causal: false },
  { name: "window wider than the context", ...small, window: 1000, lengths: [[30, 30]] },
  { name: "heads of their own", ...small, Hq: 3, Hkv: 3, dtype: "bf16" },
  { name: "group of 7", ...small, Hq: 14, Hkv: 2, lengths: [[1, 100]], dtype: "bf16" },
  { name: "group of 9", ...small, Hq: 9, Hkv: 1, lengths: [[1, 100]] },
  { name: "many heads", ...small, Hq: 40, Hkv: 20, lengths: [[4, 70]], dtype: "bf16" },
  { name: "head widths 16", ...small, Dh: 16, Dv: 16, lengths: [[40, 70]], dtype: "bf16" },
  { name: "head widths 80 and 48", ...small, Dh: 80, Dv: 48, lengths: [[40, 70]], dtype: "bf16" },
  { name: "head widths 80 and 48, one query", ...small, Dh: 80, Dv: 48, lengths: [[1, 70]], dtype: "bf16" },
  { name: "head width 128", ...small, Dh: 128, Dv: 128, lengths: [[70, 70]], dtype: "bf16" },
  { name: "head widths 192 and 128", ...small, Dh: 192, Dv: 128, lengths: [[30, 50]] },
  { name: "head width 256", ...small, Dh: 256, Dv: 256, lengths: [[20, 40]], dtype: "bf16" },
  { name: "head width 64, several blocks", ...small, Dh: 64, Dv: 64, lengths: [[300, 600]], dtype: "bf16" },
  {
    name: "head width 64, window across blocks",
    ...small,
    ...{ Dh: 64, Dv: 64, lengths: [[200, 500]], window: 130, dtype: "bf16" },
  },
  {
    name: "head width 128, several tiles and blocks, not causal",
    ...small,
    ...{ Dh: 128, Dv: 128, lengths: [[140, 400]], causal: false, dtype: "bf16" },
  },
  {
    name: "head width 128, more queries than keys",
    ...small,
    ...{ Dh: 128, Dv: 128, lengths: [[200, 150]], dtype: "bf16" },
  },
  {
    name: "head width 128, sequences of all kinds",
    ...small,
    ...{ Hq: 4, Hkv: 2, Dh: 128, Dv: 128, dtype: "bf16" },
    lengths: [
      [3, 3],
      [0, 5],
      [1, 90],
      [150, 200],
      [0, 0],
      [4, 2],
      [2, 0],
    ],
  },
  {
    name: "head widths 192 and 128, bf16",
    ...small,
    ...{ Dh: 192, Dv: 128, lengths: [[130, 230]], dtype: "bf16" },
  },
  {
    name: "head width 512, most rows of an item",
    ...small,
    Hq: 2,
    Hkv: 2,
    Dh: 512,
    Dv: 512,
    lengths: [[130, 66]],
  },
  {
    name: "sequences of all kinds",
    ...small,
    lengths: [
      [3, 3],
      [0, 5],
      [1, 90],
      [70, 70],
      [0, 0],
      [4, 2],
    ],
  },
  {
    name: "sequences of all kinds, bf16",
    ...small,
    lengths: [
      [80, 300],
      [1, 300],
      [2, 2],
    ],
    Hq: 4,
    dtype: "bf16",
  },
  { name: "strided rows", ...small, strided: true, lengths: [[70, 70]] },
  { name: "strided rows, bf16", ...small, strided: true, lengths: [[3, 70]], dtype: "bf16" },
  {
    name: "heads that share memory",
    ...small,
    ...{ sharedHeads: true, Hq: 4, Hkv: 2, Dh: 64, Dv: 64, dtype: "bf16", lengths: [[70, 70]] },
  },
  { name: "scale given", ...small, scale: 0.5 },
  { name: "negative scale", ...small, scale: -0.25, dtype: "bf16" },
  { name: "scores far apart", ...small, std: [30, 30, 1], scale: 1, lengths: [[20, 300]] },
  { name: "huge values", ...small, std: [1e-10, 1e10, 1e30] },
  { name: "tiny values", ...small, std: [1e-10, 1e-10, 1e-30], dtype: "bf16" },
];

/** The first head of `values` [S, H, D] as all heads. */
function shareHeads(
  context: OpContext,
  dtype: FloatDType,
  [S, H, D]: readonly [number, number, number],
  values: Float64Array,
) {
  const first = values.filter((_, i) => i % (H * D) < D);
  const { memory, byteOffset } = context.tensor(dtype, [S, D], first);
  return {
    values: values.map((_, i) => first[Math.floor(i / (H * D)) * D + (i % D)]!),
    tensor: Tensor.strided(memory, dtype, [S, H, D], [D, 0, 1], byteOffset),
  };
}

function inputs(context: OpContext, c: FlashAttentionCase, T: number, S: number) {
  const random = new Random(3);
  const [qStd, kStd, vStd] = c.std ?? [1, 1, 1];
  const make = (dtype: FloatDType, shape: readonly [number, number, number], std: number) => {
    const values = random.normal(
      shape.reduce((product, size) => product * size, 1),
      { dtype, std },
    );
    if (c.sharedHeads === true && shape[1] === c.Hkv) return shareHeads(context, dtype, shape, values);
    const padding = { before: 3, after: 2 };
    const tensor = c.strided
      ? context.stridedRows(dtype, shape, values, padding)
      : context.tensor(dtype, shape, values);
    return { values, tensor };
  };
  const keys = c.keys ?? c.dtype;
  return {
    q: make(c.dtype, [T, c.Hq, c.Dh], qStd),
    k: make(keys, [S, c.Hkv, c.Dh], kStd),
    v: make(keys, [S, c.Hkv, c.Dv], vStd),
  };
}

describeOp("flashAttention", cases, async (context, c) => {
  const { Hq, Hkv, Dh, Dv, dtype, causal = true, window = 0, scale = 1 / Math.sqrt(Dh) } = c;
  const cuQ = starts(c.lengths.map(([queries]) => queries));
  const cuK = starts(c.lengths.map(([, keys]) => keys));
  const [T, S] = [cuQ.at(-1)!, cuK.at(-1)!];
  const { q, k, v } = inputs(context, c, T, S);
  const { stream } = context;
  const lse = stream.empty("f32", [T, Hq]);
  const options = { causal, window, scale, lse };
  const varying = {
    cuSeqlensQ: context.integers([cuQ.length], cuQ),
    cuSeqlensK: context.integers([cuK.length], cuK),
  };
  const out = flashAttention(stream, q.tensor, k.tensor, v.tensor, {
    ...options,
    ...(c.lengths.length > 1 ? varying : {}),
  });

  const expected = reference(
    q.values,
    k.values,
    v.values,
    { Hq, Hkv, Dh, Dv },
    {
      cuSeqlensQ: cuQ,
      cuSeqlensK: cuK,
      causal,
      window,
      scale: Math.fround(scale),
    },
  );
  const longest = Math.max(...c.lengths.map(([, keys]) => keys));
  const sizes = { dtype, keys: c.keys, shape: [T, Hq, Dv], reduction: longest + Dh };
  await expectAttention(context, attentionTolerance(context, sizes), [out, lse], expected);
});

describe("flashAttention: rows and errors", () => {
  const device = openTestDevice();
  const zeros = (dtype: "f32" | "bf16" | "i32", shape: readonly number[]) => device.empty(dtype, shape);

  test.for(["f32", "bf16"] as const)(
    "a row does not depend on the rows beside it, %s",
    async (dtype, { skip }) => {
      const tiles = "on a GPU the number of queries chooses the tile, and with it the order of the sums";
      skip(device.name !== "cpu" && dtype !== "f32", tiles);
      const stream = device.createStream();
      const random = new Random(8);
      const [L, Hq, Hkv, Dh] = [150, 4, 2, 48];
      const tensor = (heads: number) => {
        const values = random.normal(L * heads * Dh, { dtype });
        return stream.fromArray(dtype, [L, heads, Dh], toStorage(dtype, values));
      };
      const [q, k, v] = [tensor(Hq), tensor(Hkv), tensor(Hkv)];
      const all = await flashAttention(stream, q, k, v).readFloat32(stream);
      for (const [first, end] of [
        [0, 1],
        [63, 64],
        [64, 70],
        [149, 150],
        [3, 140],
      ] as const) {
        const part = flashAttention(stream, q.slice(0, first, end), k.slice(0, 0, end), v.slice(0, 0, end));
        const shape = [end - first, Hq, Dh];
        expectSame(await part.readFloat32(stream), all.subarray(first * Hq * Dh, end * Hq * Dh), { shape });
      }
    },
  );

  test("bad arguments name the argument", () => {
    const stream = device.createStream();
    const [q, k] = [zeros("f32", [4, 4, 32]), zeros("f32", [4, 2, 32])];
    const cu = zeros("i32", [2]);
    const range = (message: RegExp) =>
      expect.objectContaining({ code: "ERR_ARGUMENT_RANGE", message: expect.stringMatching(message) });
    const three = zeros("f32", [4, 3, 32]);
    expect(() => flashAttention(stream, q, three, three)).toThrow(
      range(/^flashAttention: q: .*multiple of Hkv/),
    );
    const narrow = zeros("f32", [4, 2, 24]);
    expect(() => flashAttention(stream, q, k, narrow)).toThrow(range(/^flashAttention: v: .*multiple of 16/));
    expect(() => flashAttention(stream, q, narrow, k)).toThrow(range(/^flashAttention: k: /));
    expect(() => flashAttention(stream, q, k, k, { cuSeqlensQ: cu })).toThrow(range(/both/));
    expect(() => flashAttention(stream, q, k, k, { window: -1 })).toThrow(range(/window/));
    expect(() => flashAttention(stream, q, k, k, { scale: NaN })).toThrow(range(/scale/));
    expect(() => flashAttention(stream, q, k, k, { lse: zeros("f32", [4, 3]) })).toThrow(range(/lse/));
    expect(() => flashAttention(stream, q, k, zeros("bf16", [4, 2, 32]))).toThrow(
      expect.objectContaining({ code: "ERR_ARGUMENT_TYPE" }),
    );
  });

  test.each([
    ["descending", [0, 3, 2], [0, 2, 4]],
    ["negative", [-1, 2, 4], [0, 2, 4]],
    ["beyond q", [0, 2, 5], [0, 2, 4]],
    ["short of q", [0, 2, 3], [0, 2, 4]],
    ["beyond k", [0, 2, 4], [0, 2, 5]],
  ])("cuSeqlens %s poisons the stream", async (_, cuQ, cuK) => {
    const stream = device.createStream();
    const x = zeros("f32", [4, 1, 16]);
    const cuSeqlensQ = stream.fromArray("i32", [3], Int32Array.from(cuQ));
    const cuSeqlensK = stream.fromArray("i32", [3], Int32Array.from(cuK));
    flashAttention(stream, x, x, x, { cuSeqlensQ, cuSeqlensK });
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
  });
});
