// Contract: a plan of sequences that are none names attentionPlan; pagedAttention takes no plan but that of its own call, and one that
// has been written over makes it read and write nothing outside its tensors.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Device } from "../../lib/device/device.js";
import { native } from "../../lib/device/native.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";
import { ExecutionError } from "../../lib/errors.js";
import { attentionPlan, type AttentionPlanOptions } from "../../lib/ops/attentionPlan.js";
import { pagedAttention } from "../../lib/ops/pagedAttention.js";
import { openTestDevice } from "../support/devices.js";
import { Random } from "../support/random.js";

const good = { rows: [0, 1], cu: [0, 1, 3], lens: [5, 8] };
const options: AttentionPlanOptions = {
  ...{ numQueries: 3, numHeads: 2, numKvHeads: 1, headDim: 64, pageSize: 16, dtype: "bf16" },
};
type Changes = Partial<
  typeof good &
    Omit<AttentionPlanOptions, "queryOffsets"> & { table: readonly [number, number]; offsets: number[] }
>;

let device: Device;
beforeAll(() => {
  device = openTestDevice();
});
afterAll(() => device.dispose());

function makePlan(stream: Stream, changes: Changes = {}): Tensor {
  const { rows, cu, lens, table = [2, 40], offsets, ...others } = { ...good, ...changes };
  const integers = (values: readonly number[]) =>
    stream.fromArray("i32", [values.length], Int32Array.from(values));
  const pages = stream.fromArray("i32", table, new Int32Array(table[0] * table[1]));
  return attentionPlan(stream, pages, integers(rows), integers(cu), integers(lens), {
    ...options,
    ...others,
    ...(offsets && { queryOffsets: integers(offsets) }),
  });
}

/** A call that `makePlan(stream)` is for. `skewed`: the rows of q do not begin at multiples of 16 bytes. */
function attend(
  stream: Stream,
  plan: Tensor,
  {
    skewed = false,
    limits = {},
  }: { skewed?: boolean; limits?: { maxQueries?: number; window?: number } } = {},
): Tensor {
  const integers = (shape: readonly number[], values: Int32Array | readonly number[]) =>
    stream.fromArray("i32", shape, Int32Array.from(values));
  const zeros = (shape: readonly number[]) =>
    stream.fromArray("bf16", shape, new Uint16Array(shape.reduce((a, b) => a * b, 1)));
  const q = skewed ? zeros([3, 2, 65]).slice(2, 1, 65) : zeros([3, 2, 64]);
  const { rows, cu, lens } = good;
  return pagedAttention(
    ...([stream, q, zeros([2, 16, 1, 64]), zeros([2, 16, 1, 64])] as const),
    ...([integers([2, 40], new Int32Array(80)), integers([2], rows), integers([3], cu)] as const),
    ...([integers([2], lens), { plan, ...limits }] as const),
  );
}

const none = new Array<number>(16_385).fill(0);
const manySequences = { rows: none, cu: [...none, 3], lens: none };

describe("attentionPlan: errors", () => {
  test("the largest numbers of the ranges that errors print", async () => {
    const most = 2 ** 31 - 2 ** 20;
    expect(native.attentionPlanBytes(1, most, 1, 1, 1, 2 ** 53, 2 ** 31 - 1)).toBeGreaterThan(0);
    const stream = device.createStream();
    const limits = { maxQueries: 2 ** 31 - 1, window: 2 ** 31 - 1 };
    attend(stream, makePlan(stream, limits), { limits });
    await stream.synchronize();
    expect(() => makePlan(stream, { numQueries: most + 1 })).toThrow(
      "from 0 to 2146435072, got number 2146435073",
    );
  });

  test("good arguments pass", async () => {
    const stream = device.createStream();
    attend(stream, makePlan(stream));
    await stream.synchronize();
  });

  test.each<[string, Changes, string]>([
    [
      "a head that no group has",
      { numHeads: 3, numKvHeads: 2 },
      "numHeads: expected heads Hq in equal groups",
    ],
    ["no key heads", { numKvHeads: 0 }, "numKvHeads: expected a whole number from 1 to"],
    ["too many sequences", manySequences, "rows: expected at most 16384 sequences, got 16385"],
    ["a head width", { headDim: 24 }, "headDim: expected a head width Dh"],
    ["a value width", { valueDim: 40 }, "valueDim: expected a head width Dv"],
    ["pages of no tokens", { pageSize: 0 }, "pageSize: expected a whole number from 1 to"],
    ["lengths", { lens: [5] }, "contextLens: expected [B=2]"],
    ["offsets", { offsets: [5] }, "queryOffsets: expected [B=2]"],
    ["starts", { cu: [0, 3] }, "cuSeqlensQ: expected one element more than rows"],
  ])("%s: named at once", (_, changes, message) => {
    const stream = device.createStream();
    expect(() => makePlan(stream, changes)).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: expect.stringContaining(`attentionPlan: ${message}`) as string,
      }),
    );
  });

  test.each<[string, Changes, RegExp]>([
    ["row too large", { rows: [0, 2] }, /rows\[1\] = 2/],
    ["row negative", { rows: [-1, 1] }, /rows\[0\] = -1/],
    ["context longer than the table", { lens: [5, 641] }, /contextLens\[1\] = 641/],
    ["context shorter than the queries", { lens: [5, 1] }, /contextLens\[1\] = 1/],
    ["context negative", { lens: [-1, 8] }, /contextLens\[0\] = -1/],
    ["context negative, with offsets", { lens: [-1, 8], offsets: [2, 0] }, /contextLens\[0\] = -1/],
    ["context longer than the table, with offsets", { lens: [5, 641], offsets: [0, -1] }, /contextLens\[1\]/],
    [
      "queries far behind",
      { offsets: [0, 2 ** 30 - 7] },
      /queryOffsets\[1\] = 1073741817 puts a query 1073741824/,
    ],
    ["queries at the end of i32", { offsets: [2 ** 31 - 1, 0] }, /queryOffsets\[0\] = 2147483647/],
    ["queries far before", { offsets: [0, -(2 ** 30) - 6] }, /queryOffsets\[1\] = -1073741830/],
    ["queries at the start of i32", { offsets: [-(2 ** 31), 0] }, /queryOffsets\[0\] = -2147483648/],
    ["cuSeqlensQ descending", { cu: [0, 3, 2] }, /cuSeqlensQ\[1\.\./],
    ["cuSeqlensQ beyond q", { cu: [0, 1, 4] }, /cuSeqlensQ\[1\.\./],
    ["cuSeqlensQ negative", { cu: [-1, 1, 3] }, /cuSeqlensQ\[0\.\./],
    ["cuSeqlensQ short of q", { cu: [0, 1, 2] }, /the sequences have 2 queries, numQueries is 3/],
    ["a sequence of more queries", { maxQueries: 1 }, /sequence 1 has 2 queries, maxQueries is 1/],
  ])("%s: poisons the stream in the name of attentionPlan", async (_, changes, message) => {
    const stream = device.createStream();
    attend(stream, makePlan(stream, changes));
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(message);
    await expect(stream.synchronize()).rejects.toThrow("attentionPlan");
  });

  test("a context of more than 2^30 tokens", async () => {
    const stream = device.createStream();
    makePlan(stream, { lens: [5, 2 ** 30 + 1], pageSize: 2 ** 25 });
    const message = /attentionPlan: contextLens\[1\] = 1073741825 puts a query 1073741824 or more tokens/;
    await expect(stream.synchronize()).rejects.toThrow(message);
  });
});

describe("pagedAttention: refuses", () => {
  const refused = async (use: (stream: Stream) => unknown, message: RegExp) => {
    const stream = device.createStream();
    use(stream);
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(message);
  };

  test.each<[string, Changes]>([
    ["window", { window: 7 }],
    ["queries of a sequence", { maxQueries: 2 }],
    ["offsets", { offsets: [0, 0] }],
    ["fewer tokens in a row of the table", { table: [2, 39] }],
    ["more rows of the table", { table: [3, 40] }],
    ["other heads in one group", { numHeads: 1 }],
    ["heads", { numHeads: 4, numKvHeads: 2 }],
    ["queries", { numQueries: 4, cu: [0, 1, 4] }],
    ["sequences", { rows: [0, 1, 0], cu: [0, 1, 3, 3], lens: [5, 8, 0] }],
  ])("a plan of another call: %s", async (_, changes) => {
    const message = /pagedAttention: .*plan: made for another call: (its [^{|]* is -?\d+, not -?\d+|it has)/;
    await refused((stream) => attend(stream, makePlan(stream, changes)), message);
  });

  const onGpu = test.skipIf(openTestDeviceKind() === "cpu"); // the CPU has one kernel
  test.each<[string, Changes]>([
    ["q of f32", { dtype: "f32" }],
    ["pages of another dtype", { kvDtype: "f16" }],
    ["wider values", { valueDim: 48 }],
  ])("a plan of other dtypes or values: %s", async (_, changes) => {
    const message =
      /pagedAttention: .*plan: made for another call: its (kernel or dtypes|Dv) is -?\d+, not -?\d+/;
    await refused((stream) => attend(stream, makePlan(stream, changes)), message);
  });
  onGpu("a plan of another kernel: wider heads", async () => {
    const message = /pagedAttention: .*plan: made for another call: its kernel or dtypes is \d+, not \d+/;
    await refused((stream) => attend(stream, makePlan(stream, { headDim: 128 })), message);
  });
  onGpu("a plan of the kernel that aligned rows have, for rows that are not", async () => {
    const message =
      /pagedAttention: plan: made for rows that begin at multiples of 16 bytes, .* number 0 is 6[45], not 0/;
    await refused((stream) => attend(stream, makePlan(stream), { skewed: true }), message);
  });

  test("a plan of another size", async () => {
    const use = (stream: Stream) => attend(stream, makePlan(stream).slice(0, 0, 144));
    await refused(use, /plan: made for another call: it has 144 bytes, not \d+/);
  });
  test("room of another size for a plan", async () => {
    const use = (stream: Stream) => makePlan(stream, { out: stream.empty("u8", [16]) });
    await refused(use, /attentionPlan: out: it has 16 bytes, not \d+/);
  });
  test("a plan at an odd address, or of another dtype, at once", () => {
    const stream = device.createStream();
    const odd = stream.empty("u8", [500]).slice(0, 1, 400);
    expect(() => attend(stream, odd)).toThrow(
      "pagedAttention: plan: expected an address that is a multiple of 16",
    );
    expect(() => makePlan(stream, { out: odd })).toThrow("attentionPlan: out: expected an address");
    expect(() => attend(stream, stream.empty("i32", [500]))).toThrow("pagedAttention: plan: expected");
  });

  // Of the first item, by the place of its words: span is number 7, part 8, num_rows and spans 10, index and split_tile 11.
  onGpu.each<[string, Record<number, number>]>([
    ["a span of 2^30 keys", { 7: 2 ** 30 }],
    ["a span that 16 times is 2^32 keys", { 7: 2 ** 28 }],
    ["a span longer than the keys", { 7: 256 }],
    ["more spans than there are counters", { 8: 0, 10: 2 + (256 << 16), 11: 200 }],
    ["a span in front of the first", { 8: 0, 10: 2 + (3 << 16), 11: 2 }],
  ])("a plan that has been written over: %s", async (_, words) => {
    const stream = device.createStream();
    const plan = makePlan(stream);
    const bytes = (await plan.read(stream)) as Uint8Array;
    const item = new Int32Array(bytes.buffer, 128, 12);
    for (const [at, value] of Object.entries(words)) item[Number(at)] = value;
    plan.write(stream, bytes);
    attend(stream, plan);
    await expect(stream.synchronize()).rejects.toThrow("plan: it has been written over: item 0 of");
  });

  test("what has been written over a plan", async () => {
    const random = new Random(5);
    for (let i = 0; i < 24; i++) {
      const stream = device.createStream();
      const plan = makePlan(stream);
      const bytes = (await plan.read(stream)) as Uint8Array;
      // Behind the signature: counts and items, or sequences, by any numbers.
      const words = new Int32Array(bytes.buffer, 104);
      for (let at = i % 3; at < Math.min(words.length, 60); at += 1 + (i % 4))
        words[at] = Math.floor((random.uniform() - 0.5) * 2 ** (i % 32));
      plan.write(stream, bytes);
      const out = attend(stream, plan);
      const ended = await out.read(stream).then(
        () => "a result",
        (error: Error) => /pagedAttention: .*(plan|page|token)/.exec(error.message)?.[0] ?? String(error),
      );
      expect(ended).toMatch(/^(a result|pagedAttention: )/);
      await stream.dispose();
    }
  });
});

function openTestDeviceKind(): string {
  const opened = openTestDevice();
  const { kind } = opened;
  void opened.dispose();
  return kind;
}
