// Contract: gatherInputs moves the columns that an order names, for each row in the order of its expert, bit for bit; and products with a weight
// whose inputs lie in another order are those with the weight in its own.
import { describe, expect, test } from "vitest";
import { ExecutionError } from "../../lib/errors.js";
import { embedding } from "../../lib/ops/embedding.js";
import { gatherInputs } from "../../lib/ops/gatherInputs.js";
import { groupedLinear } from "../../lib/ops/groupedLinear.js";
import { headLinear } from "../../lib/ops/headLinear.js";
import { linear } from "../../lib/ops/linear.js";
import { GroupedWeight, LinearWeight, WeightSegment } from "../../lib/ops/linearWeight.js";
import { gatherInputs as reference } from "../reference/gatherInputs.js";
import { expectSame } from "../support/compare.js";
import { describeOp, type OpCase, type OpContext, openTestDevice } from "../support/devices.js";
import type { FloatDType } from "../support/dtype.js";
import { randomCodeGroup, randomCodes } from "../support/quantizedWeights.js";
import { Random } from "../support/random.js";

interface GatherCase extends OpCase {
  readonly dtype: FloatDType;
  readonly K: number;
  /** Rows of x. */
  readonly S: number;
  /** Where the rows of each expert begin, and where the last ones end. Default: one expert, without offsets. */
  readonly offsets?: readonly number[];
  /** Rows of the result read x in this way. */
  readonly order?: readonly number[];
  readonly topK?: number;
  /** x and the result are views into wider rows. */
  readonly strided?: boolean;
}

const small = { S: 3, K: 37, dtype: "f32" } as const;
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly GatherCase[] = [
  { name: "smallest", S: 1, K: 1, dtype: "f32" },
  { name: "no rows", ...small, S: 0 },
  { name: "no columns", ...small, K: 0 },
  ...tails.map((K) => ({ name: `${K} columns`, ...small, K, strided: true })),
  { name: "bf16", ...small, dtype: "bf16" },
  { name: "f16 between strided rows", ...small, dtype: "f16", strided: true },
  { name: "experts, some of them without rows", ...small, S: 7, offsets: [0, 0, 3, 3, 7, 7] },
  { name: "rows of no expert before and behind", ...small, S: 7, offsets: [2, 3, 6] },
  {
    ...{ name: "rows by their experts", ...small, S: 4, dtype: "bf16" },
    ...{ offsets: [0, 3, 3, 8], order: [7, 0, 2, 1, 6, 3, 5, 4], topK: 2 },
  },
  { name: "some rows in an order, without experts", ...small, order: [2, 2, 0, 1, 0] },
  { name: "many rows over the threads", S: 301, K: 257, dtype: "bf16", offsets: [0, 100, 250, 301] },
];

const everyRow = (context: OpContext, c: GatherCase, values: Float64Array) =>
  c.strided
    ? context.stridedRows(c.dtype, [values.length / Math.max(c.K, 1), c.K], values, { before: 3, after: 5 })
    : context.tensor(c.dtype, [c.K === 0 ? c.S : values.length / c.K, c.K], values);

describeOp("gatherInputs", cases, async (context, c) => {
  const { S, K, dtype, topK = 1 } = c;
  const random = new Random(S + K);
  const E = c.offsets ? c.offsets.length - 1 : 1;
  const M = c.order?.length ?? S;
  const x = random.normal(S * K, { dtype });
  const inputOrder = Int32Array.from(Array.from({ length: E }, () => [...random.permutation(K)]).flat());
  const offsets = c.offsets ? Int32Array.from(c.offsets) : null;
  const order = c.order ? Int32Array.from(c.order) : null;
  const out = everyRow(context, c, new Float64Array(M * K).fill(NaN));
  const result = gatherInputs(context.stream, everyRow(context, c, x), context.integers([E, K], inputOrder), {
    ...(offsets && { offsets: context.integers([E + 1], offsets) }),
    ...(order && { order: context.integers([M], order), topK }),
    out,
  });
  expect(result).toBe(out);
  const expected = reference(x, inputOrder, offsets, order, { K, topK });
  expectSame(await context.read(out), expected, { shape: [M, K] });
});

/** A weight whose packed inputs count as those that an order names. */
function reordered(context: OpContext, weight: LinearWeight, orders: readonly Int32Array[]): WeightSegment[] {
  const K = weight.inputs;
  return weight.segments.map((segment, i) => {
    const order = orders[i % orders.length]!;
    return new WeightSegment(segment, segment.data, context.integers([order.length / K, K], order));
  });
}

/** x with its columns where an order has them: what `gatherInputs` undoes. */
function scattered(x: Float64Array, order: Int32Array): Float64Array {
  const K = order.length;
  const out = new Float64Array(x.length);
  x.forEach((value, i) => (out[Math.floor(i / K) * K + order[i % K]!] = value));
  return out;
}

interface ProductCase extends OpCase {
  readonly T: number;
  readonly swiglu?: boolean;
  readonly formats: readonly ("packed4" | "packed8")[];
}

const K = 96;
const products: readonly ProductCase[] = [
  { name: "one segment", T: 3, formats: ["packed4"] },
  { name: "two segments that share an order", T: 5, formats: ["packed4", "packed8"] },
  { name: "gate and up in one segment", T: 2, formats: ["packed4", "packed4"], swiglu: true },
  { name: "gate and up in two", T: 2, formats: ["packed4", "packed8"], swiglu: true },
];

describeOp("linear of inputs in another order", products, async (context, { T, formats, swiglu = false }) => {
  const { stream } = context;
  const random = new Random(T);
  const parts = formats.map((format) => ({ format, N: 32, K, group: 32, zeros: true }));
  const { weight } = randomCodes(context, parts, { swiglu });
  const order = random.permutation(K);
  const x = random.normal(T * K, { dtype: "bf16" });
  const other = new LinearWeight({ inputs: K, swiglu }, reordered(context, weight, [Int32Array.from(order)]));
  const own = linear(stream, context.tensor("bf16", [T, K], x), weight);
  const product = linear(stream, context.tensor("bf16", [T, K], scattered(x, Int32Array.from(order))), other);
  expectSame(await context.read(product), await context.read(own), { shape: own.shape });
  weight.dispose();
});

describeOp(
  "groupedLinear of inputs in another order",
  [
    { name: "rows as they lie", gathered: false },
    { name: "rows by their experts", gathered: true },
  ],
  async (context, { gathered }) => {
    const { stream } = context;
    const random = new Random(5);
    const E = 3;
    const { weight } = randomCodeGroup(context, { E, N: 32, K, format: "packed4", group: 32 });
    const orders = Array.from({ length: E }, () => Int32Array.from(random.permutation(K)));
    const all = Int32Array.from(orders.flatMap((order) => [...order]));
    const other = new GroupedWeight(
      { inputs: K, swiglu: false, experts: E },
      reordered(context, weight, [all]),
    );
    // Rows 0 and 1 are of expert 0, row 2 of expert 2; a token meets one expert, so that its columns are those of that one.
    const offsets = context.integers([E + 1], [0, 2, 2, 3]);
    const rows = gathered ? [2, 0, 1] : [0, 1, 2];
    const x = random.normal(3 * K, { dtype: "bf16" });
    const moved = new Float64Array(3 * K);
    rows.forEach((source, r) => {
      const row = scattered(x.subarray(source * K, (source + 1) * K), orders[r < 2 ? 0 : 2]!);
      moved.set(row, source * K);
    });
    const options = gathered ? { order: context.integers([3], rows) } : {};
    const multiply = (values: Float64Array, by: GroupedWeight) =>
      groupedLinear(stream, context.tensor("bf16", [3, K], values), by, offsets, options);
    const [own, product] = [multiply(x, weight), multiply(moved, other)];
    expectSame(await context.read(product), await context.read(own), { shape: own.shape });
    const second = other.slice(2, 3);
    expect(second.segments[0]!.inputOrder!.shape).toEqual([1, K]);
    weight.dispose();
  },
);

describe("gatherInputs: bad arguments", () => {
  const device = openTestDevice();
  const x = device.empty("f32", [2, 4]);

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    const order = device.empty("i32", [1, 4]);
    const refused = (run: () => unknown, message: string | RegExp) => expect(run).toThrow(message);
    refused(
      () => gatherInputs(stream, device.empty("i32", [2, 4]), order),
      /^gatherInputs: x: expected dtype/,
    );
    refused(
      () => gatherInputs(stream, x, device.empty("i32", [1, 5])),
      "gatherInputs: inputOrder: expected [E, K=4] (K from x axis 1), got [1, 5]",
    );
    refused(
      () => gatherInputs(stream, x, device.empty("i32", [2, 4])),
      "gatherInputs: inputOrder: expected one row, or offsets and one or more, got 2",
    );
    refused(
      () => gatherInputs(stream, x, order, { offsets: device.empty("i32", [3]) }),
      /offsets: expected \[2\]/,
    );
    refused(
      () => gatherInputs(stream, x, order, { out: device.empty("bf16", [2, 4]) }),
      /out: expected dtype f32/,
    );
    refused(
      () => gatherInputs(stream, x, order, { out: device.empty("f32", [3, 4]) }),
      /x: expected \[M=3, K\] \(M from out axis 0\), got \[2, 4\]/,
    );
  });

  test.each([
    [[0, 1, 4, 2], [0, 1], "inputOrder[0, 2] = 4 is outside [0, K=4)"],
    [[0, -1, 1, 2], [0, 1], "inputOrder[0, 1] = -1 is outside [0, K=4)"],
    [[0, 1, 3, 2], [0, 2], "order[1] = 2 is outside the 2 rows of x times topK"],
    [[0, 1, 3, 2], [-1, 0], "order[0] = -1 is outside the 2 rows of x times topK"],
  ])("inputs %j of rows %j poison the stream", async (inputs, rows, message) => {
    const stream = device.createStream();
    const inputOrder = stream.fromArray("i32", [1, 4], Int32Array.from(inputs));
    gatherInputs(stream, x, inputOrder, { order: stream.fromArray("i32", [2], Int32Array.from(rows)) });
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(message);
  });

  test("rows and heads of such a weight are refused", () => {
    const stream = device.createStream();
    const shape = { name: "weight", outputs: 16, inputs: 4, swiglu: false };
    const format = { format: "dense", dtype: "f32" } as const;
    const order = device.empty("i32", [1, 4]);
    const segment = new WeightSegment({ ...shape, format }, device.empty("f32", [1, 16, 4]), order);
    const [table, weight] = [
      new LinearWeight(shape, [segment]),
      new GroupedWeight({ ...shape, experts: 1 }, [segment]),
    ];
    const message = "expected inputs in their order, got another one";
    expect(() => embedding(stream, device.empty("i32", [1]), table)).toThrow(`embedding: table: ${message}`);
    expect(() => headLinear(stream, device.empty("f32", [2, 1, 4]), weight)).toThrow(
      `headLinear: weight: ${message}`,
    );
    weight.dispose();
    expect(order.memory.disposed).toBe(true);
  });
});
