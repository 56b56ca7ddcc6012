// Contract: tableGather reads the cells that rows and cols name, gives 0 for row -1, and refuses other cells outside.
import { describe, expect, test } from "vitest";
import { ExecutionError } from "../../lib/errors.js";
import { tableGather } from "../../lib/ops/tableGather.js";
import { tableGather as reference } from "../reference/tableGather.js";
import { expectSame } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { Random } from "../support/random.js";

interface TableGatherCase extends OpCase {
  readonly T: number;
  readonly R: number;
  readonly L: number;
  /** Every how many entries one has row -1. */
  readonly skipEvery?: number;
  /** The table is a view into wider rows. */
  readonly strided?: boolean;
  /** Every column of the rows, without cols. */
  readonly whole?: boolean;
}

const small = { T: 5, R: 4, L: 9 } as const;
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly TableGatherCase[] = [
  { name: "smallest", T: 1, R: 1, L: 1 },
  { name: "no entries", ...small, T: 0 },
  { name: "an empty table, every row -1", T: 5, R: 0, L: 0, skipEvery: 1 },
  ...tails.map((T) => ({ name: `${T} entries`, ...small, T })),
  { name: "rows of -1", ...small, T: 20, skipEvery: 3 },
  { name: "strided table", ...small, strided: true },
  ...[1, 2, 31, 33].map((T) => ({ name: `every column of ${T} rows`, ...small, T, whole: true })),
  { name: "every column of no rows", ...small, T: 0, whole: true },
  { name: "no columns", ...small, L: 0, whole: true },
  { name: "every column, some rows of -1", ...small, T: 20, skipEvery: 3, strided: true, whole: true },
  { name: "every column over the threads", T: 400, R: 30, L: 129, whole: true },
  { name: "many entries over the threads", T: 50000, R: 300, L: 257 },
];

describeOp("tableGather", cases, async (context, c) => {
  const { T, R, L, skipEvery = 0 } = c;
  const random = new Random(16);
  const padded = L + (c.strided ? 7 : 0);
  const whole = Int32Array.from({ length: R * padded }, () => random.integer(-(2 ** 31), 2 ** 31));
  const first = padded - L;
  const cells = Int32Array.from(
    { length: R * L },
    (_, i) => whole[Math.floor(i / L) * padded + first + (i % L)]!,
  );
  const rows = Int32Array.from({ length: T }, (_, t) =>
    skipEvery && t % skipEvery === 0 ? -1 : random.integer(0, R),
  );
  // A skipped entry's column is not looked at.
  const cols = rows.map((row) => (row === -1 ? 2147483647 : random.integer(0, L)));

  const table = context.integers([R, padded], whole).slice(1, first, padded);
  const given = c.whole ? null : context.integers([T], cols);
  const out = tableGather(context.stream, table, context.integers([T], rows), given);
  const shape = c.whole ? [L, T] : [T];
  expect(out.shape).toEqual(shape);
  expectSame(await context.readIntegers(out), reference(cells, rows, c.whole ? null : cols, { L }), {
    shape,
  });
});

describe("tableGather: bad arguments", () => {
  const device = openTestDevice();
  const table = device.empty("i32", [4, 9]);

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    const entries = device.empty("i32", [3]);
    expect(() => tableGather(stream, table, entries, device.empty("i32", [2]))).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: "tableGather: cols: expected [T=3] (T from rows axis 0), got [2]",
      }),
    );
    expect(() => tableGather(stream, device.empty("f32", [4, 9]), entries, entries)).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_TYPE",
        message: expect.stringMatching(/^tableGather: table: /),
      }),
    );
    expect(() => tableGather(stream, table, entries, entries, { out: device.empty("i32", [4]) })).toThrow(
      /out: /,
    );
  });

  test("a result of other columns, a row outside the table, without cols", async () => {
    const stream = device.createStream();
    const rows = stream.fromArray("i32", [2], Int32Array.of(0, 4));
    expect(() => tableGather(stream, table, rows, null, { out: device.empty("i32", [2]) })).toThrow(
      /out: expected .L=9, T=2/,
    );
    tableGather(stream, table, rows, null);
    await expect(stream.synchronize()).rejects.toThrow("rows[1] = 4 is outside [0, R=4)");
  });

  test.each([
    [-2, 0, "rows[1] = -2 is outside [0, R=4)"],
    [4, 0, "rows[1] = 4 is outside [0, R=4)"],
    [0, -1, "cols[1] = -1 is outside [0, L=9)"],
    [0, 9, "cols[1] = 9 is outside [0, L=9)"],
  ])("cell (%i, %i) outside the table poisons the stream", async (row, col, message) => {
    const stream = device.createStream();
    const rows = stream.fromArray("i32", [2], Int32Array.of(0, row));
    tableGather(stream, table, rows, stream.fromArray("i32", [2], Int32Array.of(0, col)));
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(message);
  });
});
