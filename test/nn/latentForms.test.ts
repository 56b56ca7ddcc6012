// Contract: a sequence is up-projected exactly where that takes fewer multiply-adds than absorption, counted over its tokens and pairs, and
// its form follows from itself alone. A step of which the host knows nothing is absorbed as a whole.
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Device } from "../../lib/device/device.js";
import type { Stream } from "../../lib/device/stream.js";
import { latentPieces, upProjectionIsCheaper, type LatentWidths } from "../../lib/nn/latentForms.js";
import { openTestDevice } from "../support/devices.js";
import { PageTable, stepInputs } from "../support/pagedSteps.js";

const v3: LatentWidths = { plainDim: 128, valueDim: 128, rank: 512 };
const wide: LatentWidths = { plainDim: 64, valueDim: 32, rank: 48 };

/** Multiply-adds of a head, one query and one matrix after another. */
function products({ plainDim, valueDim, rank }: LatentWidths, n: number, c: number): [number, number] {
  const rotatedDim = 64;
  let [upProjected, absorbed] = [0, 0];
  for (let token = 0; token < c + n; token++) upProjected += rank * (plainDim + valueDim);
  for (let query = 0; query < n; query++) {
    const keys = c + query + 1;
    upProjected += keys * (plainDim + rotatedDim + valueDim);
    absorbed += rank * (plainDim + valueDim) + keys * (rank + rotatedDim + rank);
  }
  return [upProjected, absorbed];
}

it.each([v3, wide, { plainDim: 32, valueDim: 48, rank: 64 }, { plainDim: 192, valueDim: 256, rank: 512 }])(
  "fewer multiply-adds decide: %o",
  (widths) => {
    for (const n of [1, 2, 7, 32, 100, 128, 170, 171, 300])
      for (const c of [0, 1, 3, 4, 50, 193, 194, 1000, 5000]) {
        const [upProjected, absorbed] = products(widths, n, c);
        expect(upProjectionIsCheaper(widths, n, c), `${n} behind ${c}`).toBe(upProjected < absorbed);
      }
  },
);

it.each([
  { n: 1, c: 0, is: true },
  { n: 1, c: 1, is: false },
  { n: 32, c: 3, is: true },
  { n: 32, c: 4, is: false },
  { n: 128, c: 193, is: true },
  { n: 128, c: 194, is: false },
  { n: 170, c: 1_000_000, is: false },
  { n: 171, c: 1_000_000, is: true },
])("with the widths of DeepSeek V3, $n tokens behind $c: $is", ({ n, c, is }) => {
  expect(upProjectionIsCheaper(v3, n, c)).toBe(is);
});

let device: Device;
let stream: Stream;
beforeAll(() => {
  device = openTestDevice();
  stream = device.createStream();
});
afterAll(() => device.dispose());

const step = (counts: readonly (readonly [start: number, count: number])[]) => {
  const pages = new PageTable(counts.map(([start, count]) => start + count));
  const chunks = counts.map(([start, count], row) => ({
    row,
    start,
    tokens: new Array<number>(count).fill(0),
  }));
  return { pages, inputs: stepInputs(stream, chunks, pages) };
};
const isUpProjected = ({ count }: { readonly count: number }): boolean => count > 4;

it("pieces are whole sequences of one form, in the order of the step", async () => {
  const { pages, inputs } = step([
    [9, 1],
    [7, 2],
    [0, 5],
    [20, 30],
    [0, 17],
    [3, 1],
    [0, 16],
  ]);
  const rules = { isUpProjected, mostRows: 80, pageSize: 16, pageTable: inputs.groups[0]!.pageTable };
  const pieces = latentPieces(stream, inputs, rules);
  const read = async (tensor: { read(stream: Stream): Promise<unknown> }) => [
    ...((await tensor.read(stream)) as Int32Array),
  ];
  const found = await Promise.all(
    pieces.map(async (piece) => {
      const { form, first, end } = piece;
      const queries = await read(piece.cuSeqlensQ);
      if (form === "absorbed")
        return [
          form,
          first,
          end,
          queries,
          await read(piece.rows),
          await read(piece.contextLens),
          piece.maxQueries,
        ];
      return [form, first, end, queries, await read(piece.cuSeqlensK), await read(piece.pages)];
    }),
  );
  const row = (index: number): number => pages.tableRow(index);
  const pagesOf = (index: number, count: number): number[] =>
    pages.entries.slice(row(index) * pages.shape[1]).slice(0, count);
  expect(found).toEqual([
    ["absorbed", 0, 3, [0, 1, 3], [row(0), row(1)], [10, 9], 2],
    // 5 tokens in one page and 50 in four; with 17 in two they were more than 80 rows.
    ["upProjected", 3, 38, [0, 5, 5, 35], [0, 5, 16, 66], [...pagesOf(2, 1), ...pagesOf(3, 4)]],
    ["upProjected", 38, 55, [0, 17], [0, 17], pagesOf(4, 2)],
    ["absorbed", 55, 56, [0, 1], [row(5)], [4], 1],
    ["upProjected", 56, 72, [0, 16], [0, 16], pagesOf(6, 1)],
  ]);
});

it.each([
  { name: "nobody knows the sequences", known: false, mostRows: 64 },
  { name: "none has a form of its own", known: true, mostRows: 15 },
])("a step is absorbed as a whole where $name", ({ known, mostRows }) => {
  const { inputs } = step([
    [0, 9],
    [0, 16],
  ]);
  const given = { ...inputs, maxQueries: 16, ...(!known && { sequences: undefined }) };
  const { rows, cuSeqlensQ, contextLens, maxQueries } = given;
  const pieces = latentPieces(stream, given, {
    ...{ isUpProjected, mostRows, pageSize: 16, pageTable: inputs.groups[0]!.pageTable },
  });
  expect(pieces).toEqual([
    { form: "absorbed", first: 0, end: 25, rows, cuSeqlensQ, contextLens, maxQueries },
  ]);
});
