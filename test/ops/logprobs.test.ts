// Contract: logprobs matches its reference, ranks ties by lower id, and gives finite results for odd logits.
import { describe, expect, test } from "vitest";
import { ExecutionError } from "../../lib/errors.js";
import { logprobs } from "../../lib/ops/logprobs.js";
import { logprobs as reference } from "../reference/logprobs.js";
import { expectClose, expectSame } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { type FloatDType } from "../support/dtype.js";
import { Random } from "../support/random.js";

interface LogprobsCase extends OpCase {
  readonly B: number;
  readonly V: number;
  readonly topN: number;
  readonly dtype?: FloatDType;
  readonly std?: number;
  readonly strided?: boolean;
  /** The first token is the best of every row. */
  readonly firstBest?: boolean;
}

const small = { B: 5, V: 100, topN: 5 } as const;
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly LogprobsCase[] = [
  { name: "smallest", B: 1, V: 1, topN: 1 },
  { name: "no rows", ...small, B: 0 },
  { name: "no best tokens", ...small, topN: 0 },
  ...tails.map((V) => ({ name: `${V} tokens`, ...small, V, topN: Math.min(V, 4) })),
  { name: "every token", ...small, topN: 100 },
  { name: "most best tokens", ...small, V: 3000, topN: 256 },
  { name: "bf16 with ties", ...small, dtype: "bf16", std: 0.05 },
  { name: "f16", ...small, V: 333, dtype: "f16" },
  { name: "strided rows", ...small, V: 77, strided: true },
  { name: "strided rows, bf16", ...small, V: 77, strided: true, dtype: "bf16" },
  { name: "huge logits", ...small, std: 1e30 },
  { name: "large logits", ...small, std: 300 },
  { name: "tiny logits", ...small, std: 1e-30 },
  { name: "a vocabulary", B: 3, V: 151936, topN: 20, dtype: "bf16", std: 3 },
  { name: "a flat vocabulary", B: 2, V: 151936, topN: 5, std: 0.01 },
  { name: "rows of whole blocks, the first token is the best", B: 16, V: 128, topN: 3, firstBest: true },
  { name: "many rows over the threads", ...small, B: 200, V: 513 },
];

describeOp("logprobs", cases, async (context, c) => {
  const { B, V, topN, dtype = "f32", std = 1 } = c;
  const random = new Random(41);
  const logits = random.normal(B * V, { dtype, std });
  if (c.firstBest) for (let b = 0; b < B; b++) logits[b * V] = 7;
  const ids = random.tokenIds(B, V);
  const input = c.strided
    ? context.stridedRows(dtype, [B, V], logits, { before: 3, after: 2 })
    : context.tensor(dtype, [B, V], logits);
  const result = logprobs(context.stream, input, context.integers([B], ids), { topN });
  const expected = reference(logits, ids, { B, V, topN });
  const top = [B, topN];
  expectSame(await context.readIntegers(result.topIds), expected.topIds, { shape: top, label: "topIds" });
  const options = { dtype: "f32", reduction: V } as const;
  const topValues = await context.read(result.topValues);
  expectClose(topValues, expected.topValues, { ...options, shape: top, label: "topValues" });
  expectClose(await context.read(result.chosen), expected.chosen, {
    ...options,
    shape: [B],
    label: "chosen",
  });
});

describeOp("logprobs: odd logits", [{ name: "f32" }], async (context) => {
  const rows = [
    [-Infinity, 0, -Infinity, 0, -Infinity],
    [NaN, 0, NaN, 0, 0],
    [-Infinity, -Infinity, -Infinity, -Infinity, -Infinity],
    [1, Infinity, 2, Infinity, 3],
  ];
  const logits = context.tensor("f32", [4, 5], Float64Array.from(rows.flat()));
  const result = logprobs(context.stream, logits, context.integers([4], [0, 0, 1, 1]), { topN: 4 });
  const ids = await context.readIntegers(result.topIds);
  expect([...ids]).toEqual([1, 3, 0, 2, 1, 3, 4, 0, 0, 1, 2, 3, 1, 3, 4, 2]);
  const [half, third] = [Math.fround(-Math.log(2)), Math.fround(-Math.log(3))];
  const values = await context.read(result.topValues);
  expect([...values.subarray(0, 4)]).toEqual([half, half, -Infinity, -Infinity]);
  expect([...values.subarray(4, 8)]).toEqual([third, third, third, -Infinity]);
  expect([...values.subarray(8, 12)]).toEqual([-Infinity, -Infinity, -Infinity, -Infinity]);
  expect(values.subarray(12).every((value) => !Number.isNaN(value))).toBe(true);
  expect([...(await context.read(result.chosen))].slice(0, 3)).toEqual([-Infinity, -Infinity, -Infinity]);
});

describeOp("logprobs: a row does not depend on the others", [{ name: "bf16" }], async (context) => {
  const [B, V, topN] = [40, 517, 3];
  const logits = new Random(42).normal(B * V, { dtype: "bf16" });
  const run = (first: number, count: number) =>
    logprobs(
      context.stream,
      context.tensor("bf16", [count, V], logits.subarray(first * V, (first + count) * V)),
      context.integers([count], new Int32Array(count)),
      { topN },
    );
  const together = await context.read(run(0, B).topValues);
  const alone = await context.read(run(7, 1).topValues);
  expectSame(alone, together.subarray(7 * topN, 8 * topN), { shape: [topN] });
});

describe("logprobs: bad arguments", () => {
  const device = openTestDevice();
  const logits = device.empty("f32", [2, 40]);
  const ids = device.empty("i32", [2]);

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    expect(() => logprobs(stream, logits, device.empty("i32", [3]), { topN: 1 })).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: "logprobs: ids: expected [B=2] (B from logits axis 0), got [3]",
      }),
    );
    expect(() => logprobs(stream, logits, device.empty("f32", [2]), { topN: 1 })).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_TYPE",
        message: expect.stringMatching(/^logprobs: ids: /),
      }),
    );
    expect(() => logprobs(stream, logits, ids, { topN: 41 })).toThrow(
      /topN: expected at most 256 and at most V, got 41/,
    );
    expect(() => logprobs(stream, device.empty("f32", [2, 300]), ids, { topN: 257 })).toThrow(
      /topN: expected/,
    );
    expect(() => logprobs(stream, device.empty("f32", [2, 0]), ids, { topN: 0 })).toThrow(
      /logits: expected at least 1 column/,
    );
    expect(() => logprobs(stream, logits, ids, { topN: -1 })).toThrow(RangeError);
  });

  test.each([-1, 40, 2147483647])("id %i of 40 poisons the stream", async (id) => {
    const stream = device.createStream();
    logprobs(stream, logits, stream.fromArray("i32", [2], Int32Array.of(0, id)), { topN: 1 });
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(`ids[1] = ${id} is outside [0, V=40)`);
  });
});
