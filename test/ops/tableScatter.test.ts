// Contract: tableScatter writes the cells that rows and cols name and no others, skips row -1, and refuses cells outside.
import { describe, expect, test } from "vitest";
import { ExecutionError } from "../../lib/errors.js";
import { tableScatter } from "../../lib/ops/tableScatter.js";
import { tableScatter as reference } from "../reference/tableScatter.js";
import { expectSame } from "../support/compare.js";
import { describeOp, type OpCase, openTestDevice } from "../support/devices.js";
import { Random } from "../support/random.js";

interface TableScatterCase extends OpCase {
  readonly N: number;
  readonly R: number;
  readonly L: number;
  /** Every how many entries one has row -1. */
  readonly skipEvery?: number;
  /** The table is a view into wider rows. */
  readonly strided?: boolean;
}

const small = { N: 5, R: 4, L: 9 } as const;
const tails = Array.from({ length: 33 }, (_, i) => i + 1);

const cases: readonly TableScatterCase[] = [
  { name: "smallest", N: 1, R: 1, L: 1 },
  { name: "no entries", ...small, N: 0 },
  { name: "an empty table, every row -1", N: 5, R: 0, L: 0, skipEvery: 1 },
  ...tails.map((N) => ({ name: `${N} entries`, ...small, N })),
  { name: "rows of -1", ...small, N: 20, skipEvery: 3 },
  { name: "strided table", ...small, N: 20, strided: true },
  { name: "every cell of a large table", N: 30000, R: 300, L: 100 },
];

describeOp("tableScatter", cases, async (context, c) => {
  const { N, R, L, skipEvery = 0 } = c;
  const random = new Random(17);
  const values = (count: number) =>
    Int32Array.from({ length: count }, () => random.integer(-(2 ** 31), 2 ** 31));
  const [padded, first] = c.strided ? [L + 7, 3] : [L, 0];
  const whole = values(R * padded);
  const cells = random.permutation(R * L);
  const skipped = (n: number): boolean => skipEvery > 0 && n % skipEvery === 0;
  const rows = Int32Array.from({ length: N }, (_, n) => (skipped(n) ? -1 : Math.floor(cells[n]! / L)));
  // A skipped entry's column is not looked at.
  const cols = rows.map((row, n) => (row === -1 ? 2147483647 : cells[n]! % L));
  const written = values(N);

  const wholeTensor = context.integers([R, padded], whole);
  const [rowsTensor, colsTensor, valuesTensor] = [rows, cols, written].map((data) =>
    context.integers([N], data),
  ) as [typeof wholeTensor, typeof wholeTensor, typeof wholeTensor];
  tableScatter(context.stream, wholeTensor.slice(1, first, first + L), rowsTensor, colsTensor, valuesTensor);

  const expected = reference(
    whole,
    rows,
    cols.map((col) => col + first),
    written,
    { L: padded },
  );
  expectSame(await context.readIntegers(wholeTensor), expected, { shape: [R, padded] });
});

describe("tableScatter: bad arguments", () => {
  const device = openTestDevice();
  const table = device.empty("i32", [4, 9]);

  test("name the argument, what was expected and what came", () => {
    const stream = device.createStream();
    const entries = device.empty("i32", [3]);
    expect(() => tableScatter(stream, table, entries, entries, device.empty("i32", [2]))).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: "tableScatter: values: expected [N=3] (N from rows axis 0), got [2]",
      }),
    );
    expect(() => tableScatter(stream, table, entries, entries, device.empty("f32", [3]))).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_TYPE",
        message: expect.stringMatching(/^tableScatter: values: /),
      }),
    );
    expect(() => tableScatter(stream, device.empty("i32", [9]), entries, entries, entries)).toThrow(
      /table: expected/,
    );
  });

  test.each([
    [-2, 0, "rows[1] = -2 is outside [0, R=4)"],
    [4, 0, "rows[1] = 4 is outside [0, R=4)"],
    [0, -1, "cols[1] = -1 is outside [0, L=9)"],
    [0, 9, "cols[1] = 9 is outside [0, L=9)"],
  ])("cell (%i, %i) outside the table poisons the stream", async (row, col, message) => {
    const stream = device.createStream();
    const [rows, cols] = [Int32Array.of(0, row), Int32Array.of(0, col)];
    const entries = stream.fromArray("i32", [2], rows);
    tableScatter(stream, table, entries, stream.fromArray("i32", [2], cols), entries);
    await expect(stream.synchronize()).rejects.toThrow(ExecutionError);
    await expect(stream.synchronize()).rejects.toThrow(message);
  });
});
