// Contract: indexerTopK gives each query the tokens of its sequence with the largest scores, ascending, and reads nothing that it does
// not see. With small integers all sums are exact, so that the choice is that of the reference, ties included; with others scores
// nearer to the last one chosen than sums err may fall on either side.
import { describe, expect, test } from "vitest";
import type { Stream } from "../../lib/device/stream.js";
import { ExecutionError } from "../../lib/errors.js";
import { indexerTopK } from "../../lib/ops/indexerTopK.js";
import { indexerTopK as reference } from "../reference/indexerTopK.js";
import { expectSame } from "../support/compare.js";
import { describeOp, inEachDType, onKernel, openTestDevice } from "../support/devices.js";
import { callOf, expectChosen, type IndexerCase as Case, makeInputs } from "../support/indexerCalls.js";
import { Random } from "../support/random.js";

const mixed = [
  [1, 300],
  [0, 7],
  [5, 130],
  [3, 3],
  [2, 70],
] as const;
const few = [
  [2, 150],
  [1, 40],
] as const;
const keys = (...counts: number[]) => counts.map((count) => ({ lens: [[1, count]] as const, count }));

const cases: readonly Case[] = [
  { name: "smallest", Hi: 1, Di: 16, topK: 1, lens: [[1, 1]] },
  { name: "no sequences", topK: 3, lens: [] },
  {
    name: "no queries of two sequences",
    topK: 3,
    lens: [
      [0, 5],
      [0, 0],
    ],
  },
  { name: "k = 1", topK: 1, lens: mixed },
  { name: "k is the number of keys", topK: 64, lens: [[5, 64]] },
  { name: "k is one less", topK: 63, lens: [[5, 64]] },
  { name: "k is more than the keys", topK: 100, lens: mixed },
  ...inEachDType([
    { name: "sequences of all kinds", topK: 16, lens: mixed },
    { name: "integers", topK: 16, lens: mixed, values: "integers" as const },
    { name: "strided rows, misaligned", topK: 9, lens: few, strided: { before: 3, after: 2 } },
    { name: "rows of a wider tensor", topK: 9, lens: few, strided: { before: 8, after: 8 } },
  ]),
  ...(["f32", "bf16", "f16"] as const).map((keyDtype) => ({
    ...{ name: "keys of another dtype", dtype: "bf16" as const, keyDtype, topK: 12, lens: few },
  })),
  { name: "f32 queries and 16-bit keys", keyDtype: "f16", topK: 12, lens: few },
  ...[1, 2, 5, 7, 31, 32, 33, 63, 64, 65, 128].map((Hi) => {
    return { name: `${Hi} heads`, dtype: "bf16" as const, Hi, Di: 16, topK: 5, lens: few };
  }),
  ...[3, 4, 8, 9, 13].map((Hi) => ({ name: `${Hi} heads`, Hi, Di: 32, topK: 5, lens: few })),
  ...[16, 48, 64, 112, 128, 144, 256].flatMap((Di) =>
    (["bf16", "f32"] as const).map((dtype) => ({ name: `width ${Di}`, dtype, Di, topK: 5, lens: few })),
  ),
  ...[1, 3, 64].map((Ps) => ({ name: `pages of ${Ps}`, dtype: "bf16" as const, Ps, topK: 5, lens: few })),
  ...keys(63, 64, 65, 127, 128, 129, 191, 192, 193, 255, 256, 257).map(({ lens, count }) => {
    return { name: `${count} keys`, dtype: "bf16" as const, topK: 17, lens };
  }),
  ...keys(511, 512, 513, 1100).flatMap(({ lens, count }) =>
    [7, 300].flatMap((topK) => [
      { name: `${count} keys in spans`, dtype: "bf16" as const, topK, lens },
      { name: `${count} keys in spans`, topK, lens, values: "integers" as const },
    ]),
  ),
  ...[5, 40, 130].map((topK) => ({
    ...{ name: "a prompt", topK, Hi: 2, Di: 16, lens: [[60, 200]] as const, values: "integers" as const },
  })),
  ...(["rising", "falling", "equal"] as const).flatMap((values) =>
    [1, 5, 64].map((topK) => ({ name: `scores ${values}`, Hi: 1, topK, lens: [[1, 600]] as const, values })),
  ),
  {
    name: "more queries than blocks",
    topK: 5,
    Hi: 1,
    Di: 16,
    lens: [[290, 500]],
    values: "rising",
    skip: { simt: "takes 10 s there; the scratch test gives it fewer blocks" },
  },
  ...onKernel("indexerTopK", "any", [
    { name: "sequences of all kinds", dtype: "bf16" as const, topK: 16, lens: mixed },
    { name: "integers", dtype: "f16" as const, topK: 16, lens: mixed, values: "integers" as const },
  ]),
  { name: "negative scale", topK: 9, lens: mixed, values: "integers", scale: -1 },
  { name: "scale 0", topK: 9, lens: mixed, values: "integers", scale: 0 },
  { name: "huge", topK: 9, lens: mixed, std: 1e12 },
  { name: "tiny", topK: 9, lens: mixed, std: 1e-11 },
];

describeOp("indexerTopK", cases, async (context, c) => {
  const inputs = makeInputs(c, new Random(41));
  const out = callOf(context, c, inputs);
  const { T, topK } = { T: inputs.T, topK: c.topK };
  expect(out.shape).toEqual([T, topK]);
  const actual = await context.readIntegers(out);
  const expected = reference(...inputs.arguments, inputs.shape, { topK, scale: inputs.scale });
  if (c.values !== undefined) expectSame(actual, expected.indices, { shape: [T, topK] });
  else expectChosen(actual, expected.scores, topK, inputs.shape);
});

const oddCases: readonly Case[] = inEachDType([
  { name: "one key", topK: 4, lens: [[2, 90]] as const, odd: "key" as const },
  { name: "more keys than k", topK: 2, lens: [[1, 400]] as const, odd: "keys" as const },
  { name: "infinite keys", topK: 9, lens: [[3, 140]] as const, odd: "infinite" as const },
  { name: "a query", topK: 5, lens: [[2, 90]] as const, odd: "query" as const },
  { name: "a weight", topK: 5, lens: [[2, 90]] as const, odd: "weight" as const },
]);

describeOp("indexerTopK: NaN comes first", oddCases, async (context, c) => {
  const inputs = makeInputs({ ...c, values: "integers" }, new Random(42));
  const { topK, odd } = c;
  const [q, weights, keyPages] = inputs.arguments;
  const spoil = (slot: number, value: number) => {
    keyPages[inputs.slots[0]![slot]! * inputs.shape.Di + 3] = value;
  };
  if (odd === "key") spoil(70, NaN);
  if (odd === "keys") for (let s = 50; s < 400; s += 10) spoil(s, NaN);
  if (odd === "infinite") for (let s = 3; s < 140; s += 9) spoil(s, s % 2 ? Infinity : -Infinity);
  if (odd === "query") q[inputs.shape.Di + 1] = NaN;
  if (odd === "weight") weights[1] = NaN;
  const actual = await context.readIntegers(callOf(context, c, inputs));
  const { indices } = reference(...inputs.arguments, inputs.shape, { topK, scale: inputs.scale });
  expectSame(actual, indices, { shape: [inputs.T, topK] });
  if (odd === "key") expect([...actual]).toContain(70);
  if (odd === "keys") expect([...actual]).toEqual([50, 60]);
  if (odd === "query") expect([...actual.subarray(0, 5)]).toEqual([0, 1, 2, 3, 4]);
});

const batchCases: readonly Case[] = inEachDType([
  { name: "a chunk of 7", topK: 6, lens: [[7, 150]] as const },
  { name: "over spans", topK: 40, lens: [[3, 530]] as const },
]);

describeOp("indexerTopK: a row is the same alone and beside others", batchCases, async (context, c) => {
  const inputs = makeInputs(c, new Random(43));
  const together = await context.readIntegers(callOf(context, c, inputs));
  const { T } = inputs;
  const [Lq, Lk] = c.lens[0]!;
  for (let t = 0; t < T; t++) {
    const alone = await context.readIntegers(
      callOf(context, { ...c, lens: [[1, Lk - Lq + t + 1]] }, inputs, t, 1),
    );
    expectSame(alone, together.subarray(t * c.topK, (t + 1) * c.topK), {
      shape: [c.topK],
      label: `row ${t}`,
    });
  }
});

describe("indexerTopK: what it refuses", () => {
  const device = openTestDevice();
  const good = { table: [0, 1, 1, 0], rows: [0, 1], cu: [0, 1, 3], lens: [5, 8] };
  type Shapes = {
    q?: number[];
    weights?: number[];
    keys?: number[];
    topK?: number;
    out?: number[];
    scale?: number;
  };

  function call(stream: Stream, changes: Partial<typeof good> = {}, shapes: Shapes = {}) {
    const { table, rows, cu, lens } = { ...good, ...changes };
    const { q = [3, 2, 16], weights = [3, 2], keys = [2, 4, 16], topK = 2, out, scale } = shapes;
    const integers = (dims: readonly number[], values: readonly number[]) =>
      stream.fromArray("i32", dims, Int32Array.from(values));
    const floats = (shape: readonly number[]) =>
      stream.fromArray("f32", shape, new Float32Array(shape.reduce((a, b) => a * b, 1)));
    return indexerTopK(
      stream,
      ...([floats(q), floats(weights), floats(keys), integers([2, 2], table)] as const),
      ...([integers([rows.length], rows), integers([cu.length], cu), integers([lens.length], lens)] as const),
      { topK, scale, ...(out && { out: stream.empty("i32", out) }) },
    );
  }

  test("good arguments pass", async () => {
    const stream = device.createStream();
    call(stream);
    await stream.synchronize();
  });

  test.each<[string, Shapes, RegExp]>([
    ["no heads", { q: [3, 0, 16], weights: [3, 0] }, /q: expected 1 to 128 heads/],
    ["too many heads", { q: [3, 129, 16], weights: [3, 129] }, /q: expected 1 to 128 heads/],
    ["an odd width", { q: [3, 2, 24], keys: [2, 4, 24] }, /q: .*multiple of 16/],
    ["a width of 272", { q: [3, 2, 272], keys: [2, 4, 272] }, /q: .*16 to 256/],
    ["keys of another width", { keys: [2, 4, 32] }, /keyPages: .*Di=16/],
    ["weights of other heads", { weights: [3, 1] }, /weights: .*Hi=2/],
    ["a result of other tokens", { out: [2, 2] }, /out: .*T=3/],
    ["a result of another k", { out: [3, 3] }, /out: expected topK columns, got 3/],
    ["k = 0", { topK: 0 }, /topK: /],
    ["k = 4097", { topK: 4097 }, /topK: /],
    ["a scale without end", { scale: Infinity }, /scale: expected a finite number/],
  ])("%s", (_, shapes, message) => {
    const stream = device.createStream();
    expect(() => call(stream, {}, shapes)).toThrow(message);
    expect(() => call(stream, {}, shapes)).toThrow(/^indexerTopK: /);
  });

  test.each([
    ["page too large", { table: [0, 2, 1, 0] }],
    ["page negative", { table: [0, 1, -1, 0] }],
    ["row too large", { rows: [0, 2] }],
    ["row negative", { rows: [-1, 1] }],
    ["context longer than the table", { lens: [5, 9] }],
    ["context shorter than the queries", { lens: [5, 1] }],
    ["context negative", { lens: [-1, 8] }],
    ["cuSeqlensQ descending", { cu: [0, 3, 2] }],
    ["cuSeqlensQ beyond q", { cu: [0, 1, 4] }],
    ["cuSeqlensQ short of q", { cu: [0, 1, 2] }],
    ["cuSeqlensQ negative", { cu: [-1, 1, 2] }],
  ])("%s poisons the stream", async (_, changes) => {
    const stream = device.createStream();
    call(stream, changes);
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(/indexerTopK/);
  });

  test("pages of a query that sees no more than k keys are not looked at", async () => {
    const stream = device.createStream();
    const out = call(stream, { table: [-1, 9, 9, -1] }, { topK: 8 });
    expect([...(await out.read(stream))]).toEqual([
      ...[0, 1, 2, 3, 4, -1, -1, -1],
      ...[0, 1, 2, 3, 4, 5, 6, -1],
      ...[0, 1, 2, 3, 4, 5, 6, 7],
    ]);
  });
});
