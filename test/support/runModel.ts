/**
 * The smallest runner of a model: feeds token sequences through `Model.forward` in chunks, over a page table made by hand,
 * and returns the logits of every position. No scheduler, no sampling. Pages are scattered and poisoned, so that a model
 * which reads a wrong page gives NaN.
 */
import { toBfloat16 } from "../../lib/device/dtype.js";
import type { LayerExpertsObserver, Model, KvCache } from "../../lib/models/model.js";
import type { Stream } from "../../lib/device/stream.js";
import type { Tensor } from "../../lib/device/tensor.js";

const pageSize = 16;

export interface RunOptions {
  /** Tokens of each sequence per step; default all at once. */
  readonly chunk?: number;
  readonly observe?: LayerExpertsObserver;
}

interface Chunk {
  readonly row: number;
  readonly tokens: readonly number[];
  readonly start: number;
}

/**
 * @param sequences run side by side: a step holds the next chunk of each that is not finished
 * @returns for each sequence its logits [T, V], row-major
 */
export async function runModel(
  model: Model,
  stream: Stream,
  sequences: readonly (readonly number[])[],
  { chunk = Infinity, observe }: RunOptions = {},
): Promise<Float32Array[]> {
  const pages = new PageTable(sequences.map((tokens) => tokens.length));
  const cache = poisonedCache(model, stream, pages.count);
  const { vocabSize } = model.shape;
  const results = sequences.map((tokens) => new Float32Array(tokens.length * vocabSize));
  const longest = Math.max(...sequences.map((tokens) => tokens.length));
  try {
    for (let start = 0; start < longest; start += chunk) {
      const chunks: Chunk[] = sequences
        .map((tokens, row) => ({ row, tokens: tokens.slice(start, start + chunk), start }))
        .filter(({ tokens }) => tokens.length > 0);
      const logits = await runStep(model, stream, chunks, { pages, cache, observe });
      let at = 0;
      for (const { row, tokens } of chunks) {
        const size = tokens.length * vocabSize;
        results[row]!.set(logits.subarray(at, at + size), start * vocabSize);
        at += size;
      }
    }
  } finally {
    for (const { k, v } of cache.layers) for (const tensor of [k, v]) tensor.dispose();
  }
  return results;
}

async function runStep(
  model: Model,
  stream: Stream,
  chunks: readonly Chunk[],
  state: { readonly pages: PageTable; readonly cache: KvCache; readonly observe: RunOptions["observe"] },
): Promise<Float32Array> {
  const { pages, cache, observe } = state;
  const scope = stream.scope();
  const i32 = (values: readonly number[], shape: readonly number[] = [values.length]): Tensor =>
    stream.fromArray("i32", shape, Int32Array.from(values));
  const places = chunks.flatMap(({ row, tokens, start }) =>
    tokens.map((_, i) => ({ position: start + i, slot: pages.slot(row, start + i) })),
  );
  const ends = chunks.map((_, b) => chunks.slice(0, b + 1).reduce((sum, c) => sum + c.tokens.length, 0));
  const inputs = {
    tokens: i32(chunks.flatMap(({ tokens }) => tokens)),
    positions: i32(places.map(({ position }) => position)),
    slots: i32(places.map(({ slot }) => slot)),
    rows: i32(chunks.map(({ row }) => pages.tableRow(row))),
    cuSeqlensQ: i32([0, ...ends]),
    contextLens: i32(chunks.map(({ start, tokens }) => start + tokens.length)),
    pageTable: i32(pages.entries, pages.shape),
  };
  const hidden = model.forward(stream, inputs, cache, observe);
  const logits = model.logits(stream, hidden).read(stream);
  scope.close();
  return (await logits) as Float32Array;
}

/** Pages of every sequence: from a run of pages in an order that is not the natural one; page 0 belongs to nobody. */
class PageTable {
  readonly count: number;
  readonly shape: readonly [number, number];
  readonly entries: number[];

  constructor(lengths: readonly number[]) {
    const pagesPerRow = lengths.map((length) => Math.ceil(length / pageSize));
    const width = Math.max(...pagesPerRow);
    const total = pagesPerRow.reduce((sum, pages) => sum + pages, 0);
    this.count = total + 1;
    this.shape = [lengths.length + 1, width];
    this.entries = new Array<number>(this.shape[0] * width).fill(0);
    let next = total;
    for (let i = 0; i < width; i++) {
      pagesPerRow.forEach((pages, row) => {
        if (i < pages) this.entries[this.tableRow(row) * width + i] = next--;
      });
    }
  }

  /** Rows are not in order either; row 0 belongs to nobody. */
  tableRow(row: number): number {
    return this.shape[0] - 1 - row;
  }

  slot(row: number, position: number): number {
    const page = this.entries[this.tableRow(row) * this.shape[1] + Math.floor(position / pageSize)]!;
    return page * pageSize + (position % pageSize);
  }
}

function poisonedCache(model: Model, stream: Stream, pages: number): KvCache {
  const { numLayers, numKvHeads, headDim, valueDim, dtype } = model.shape;
  const poisoned = (width: number): Tensor => {
    const tensor = stream.device.empty(dtype, [pages, pageSize, numKvHeads, width]);
    const values = new Float32Array(tensor.numel).fill(NaN);
    tensor.write(stream, dtype === "f32" ? values : toBfloat16(values)); // these bits are NaN in f16, too
    return tensor;
  };
  return {
    layers: Array.from({ length: numLayers }, () => ({ k: poisoned(headDim), v: poisoned(valueDim) })),
  };
}
