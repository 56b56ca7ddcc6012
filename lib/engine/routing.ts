/**
 * Which experts a model sends the tokens of a text to. Runs beside the engine: on the same stream, between its steps, with
 * KV pages of its own that end with the call. Not responsible for generating; nothing of the engine's state is touched.
 */
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { ArgumentRangeError } from "../errors.js";
import type { CopyTap, Model, ModelState } from "../models/model.js";
import { allocateState, pageSizeOf, type StateLayout, stateLayout } from "../nn/state.js";
import { SequenceTables } from "./sequenceTables.js";

/**
 * @param tokenIds [T], at least one, at most `maxPositions` of the model
 * @param options.chunkTokens tokens that run at once; the engine's steps come in between
 * @returns for every layer the experts of each token, [T, K] row-major; empty for a layer without experts
 * @throws ArgumentRangeError, ERR_CONTEXT_LENGTH; OutOfMemoryError; ExecutionError, ClosedError
 */
export async function traceRouting(
  model: Model,
  stream: Stream,
  tokenIds: readonly number[],
  { chunkTokens = 512 }: { readonly chunkTokens?: number } = {},
): Promise<Int32Array[]> {
  const { numLayers, maxPositions } = model.shape;
  const length = tokenIds.length;
  if (length === 0) throw new ArgumentRangeError("tokenIds: expected at least one token");
  if (length > maxPositions) {
    const message = `tokenIds: ${length} tokens are longer than the context of ${maxPositions}`;
    throw new ArgumentRangeError(message, "ERR_CONTEXT_LENGTH");
  }
  const parts = Array.from({ length: numLayers }, (): Int32Array[] => []);
  const layout = stateLayout(model.state, { pageSize: pageSizeOf(model.state), longest: length });
  const { numBlocks, entries } = placeSequence(layout, length);
  using state = allocateState(stream.device, model.state, { layout, numBlocks });
  using tables = makeTables(stream, Int32Array.from(tokenIds), layout, entries);
  for (let start = 0; start < length; start += chunkTokens) {
    const end = Math.min(start + chunkTokens, length);
    const chunk = await runChunk(model, stream, { state, tables, start, end });
    for (const { layer, experts } of chunk) parts[layer]!.push(experts);
  }
  return parts.map((chunks) => Int32Array.from(chunks.flatMap((chunk) => [...chunk])));
}

/** Row 0 of the tables, and behind it that of padding. */
const numRows = 1;

/** Blocks for all tokens of one sequence, behind the dummy block: nothing behind a window is given back. */
function placeSequence({ groups, slotLayers, pageSize }: StateLayout, length: number) {
  let numBlocks = 1;
  const entries: { readonly row: number; readonly col: number; readonly page: number }[] = [];
  for (const [group, { pagesPerBlock }] of groups.entries()) {
    const row = group * (numRows + 1);
    for (let first = 0; first * pageSize < length; first += pagesPerBlock, numBlocks++) {
      for (let i = 0; i < pagesPerBlock; i++)
        entries.push({ row, col: first + i, page: numBlocks * pagesPerBlock + i });
    }
  }
  const row = groups.length * (numRows + 1);
  for (let col = 0; col < slotLayers; col++) entries.push({ row, col, page: numBlocks++ });
  return { numBlocks, entries };
}

function makeTables(
  stream: Stream,
  ids: Int32Array,
  { groups, slotLayers, pageSize }: StateLayout,
  entries: ReturnType<typeof placeSequence>["entries"],
): SequenceTables {
  const sizes = { numRows, maxTokens: ids.length, pageSize, groups, slotLayers };
  const tables = new SequenceTables(stream, sizes);
  using _temporaries = stream.scope();
  const i32 = (field: "row" | "col" | "page"): Tensor =>
    stream.fromArray(
      "i32",
      [entries.length],
      Int32Array.from(entries, (entry) => entry[field]),
    );
  tables.writeTokens(0, ids);
  tables.writePages(i32("row"), i32("col"), i32("page"));
  return tables;
}

/** Runs the tokens [start, end) of the sequence. */
async function runChunk(
  model: Model,
  stream: Stream,
  { state, tables, start, end }: { state: ModelState; tables: SequenceTables; start: number; end: number },
): Promise<{ readonly layer: number; readonly experts: Int32Array }[]> {
  const reads: Promise<{ readonly layer: number; readonly experts: Int32Array }>[] = [];
  {
    using _temporaries = stream.scope(); // closed before anything is awaited: steps of the engine come in between
    const i32 = (...values: number[]): Tensor =>
      stream.fromArray("i32", [values.length], Int32Array.from(values));
    const points = model.taps.filter(({ name }) => name === "experts");
    const taps = points.map(({ name, layer, dtype, shape }): CopyTap => {
      return { name, layer, out: stream.empty(dtype, [end - start, ...shape]) };
    });
    const { inputs } = tables.makeStep({
      ...{ numTokens: end - start, sequences: [{ row: 0, start, count: end - start }] },
      ...{ rows: i32(0), starts: i32(start), cuSeqlensQ: i32(0, end - start), logitIndices: i32() },
    });
    model.forward(stream, inputs, state, taps);
    for (const { layer, out } of taps) {
      reads.push(out.read(stream).then((experts) => ({ layer, experts: experts as Int32Array })));
    }
  }
  return Promise.all(reads);
}
