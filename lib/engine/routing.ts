/**
 * Which experts a model sends the tokens of a text to. Runs beside the engine: on the same stream, between its steps, with
 * KV pages of its own that end with the call. Not responsible for generating; nothing of the engine's state is touched.
 */
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { ArgumentRangeError } from "../errors.js";
import type { Model, ModelState } from "../models/model.js";
import { allocateState, stateLayout, type StateSpec } from "../nn/state.js";
import { oneGroup } from "../schedule/cacheGroup.js";
import { SequenceTables } from "./sequenceTables.js";

const pageSize = 16;

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
  const numPages = Math.ceil(length / pageSize);
  // What lies behind a window is kept as well, so that all layers are one group.
  const specs = model.state.map((spec): StateSpec => ({ ...spec, lifetime: "all" }));
  const layout = stateLayout(specs, { pageSize, longest: length });
  using state = allocateState(stream.device, specs, { layout, numBlocks: numPages + 1 });
  using tables = makeTables(stream, Int32Array.from(tokenIds), numPages);
  for (let start = 0; start < length; start += chunkTokens) {
    const end = Math.min(start + chunkTokens, length);
    const chunk = await runChunk(model, stream, { state, tables, start, end });
    for (const { layer, experts } of chunk) parts[layer]!.push(experts);
  }
  return parts.map((chunks) => Int32Array.from(chunks.flatMap((chunk) => [...chunk])));
}

/** The tables of one sequence; its page i is page i + 1, since page 0 is padding's. */
function makeTables(stream: Stream, ids: Int32Array, numPages: number): SequenceTables {
  const tables = new SequenceTables(stream, {
    numRows: 1,
    maxTokens: ids.length,
    pageSize,
    groups: oneGroup,
  });
  using _temporaries = stream.scope();
  const i32 = (values: Int32Array): Tensor => stream.fromArray("i32", [values.length], values);
  const pages = Int32Array.from({ length: numPages }, (_, i) => i);
  tables.writeTokens(0, ids);
  tables.writePages(i32(new Int32Array(numPages)), i32(pages), i32(pages.map((page) => page + 1)));
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
    using _temporaries = stream.scope();
    const i32 = (...values: number[]): Tensor =>
      stream.fromArray("i32", [values.length], Int32Array.from(values));
    const { inputs } = tables.makeStep({
      numTokens: end - start,
      ...{ rows: i32(0), starts: i32(start), cuSeqlensQ: i32(0, end - start), logitIndices: i32() },
    });
    model.forward(stream, inputs, state, (layer, experts) => {
      reads.push(experts.read(stream).then((values) => ({ layer, experts: values as Int32Array })));
    });
  }
  return Promise.all(reads);
}
