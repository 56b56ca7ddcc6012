/**
 * Which experts a model sends the tokens of a text to. Runs beside the engine: on the same stream, between its steps, with
 * KV pages of its own that end with the call. Not responsible for generating; nothing of the engine's state is touched.
 */
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { ArgumentRangeError } from "../errors.js";
import type { Model, ModelState, StepInputs } from "../models/model.js";
import { allocateState } from "../nn/state.js";

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
  using state = allocateState(stream.device, model.state, {
    numPages: Math.ceil(length / pageSize),
    pageSize,
  });
  for (let start = 0; start < length; start += chunkTokens) {
    const end = Math.min(start + chunkTokens, length);
    const chunk = await runChunk(model, stream, state, { ids: tokenIds.slice(start, end), start });
    for (const { layer, experts } of chunk) parts[layer]!.push(experts);
  }
  return parts.map((chunks) => Int32Array.from(chunks.flatMap((chunk) => [...chunk])));
}

/** Runs the tokens at positions `start` and up of one sequence, whose page i is page i of the cache. */
async function runChunk(
  model: Model,
  stream: Stream,
  state: ModelState,
  { ids, start }: { readonly ids: readonly number[]; readonly start: number },
): Promise<{ readonly layer: number; readonly experts: Int32Array }[]> {
  const reads: Promise<{ readonly layer: number; readonly experts: Int32Array }>[] = [];
  const end = start + ids.length;
  {
    using _temporaries = stream.scope();
    const i32 = (values: readonly number[]): Tensor =>
      stream.fromArray("i32", [values.length], Int32Array.from(values));
    const positions = i32(ids.map((_, i) => start + i));
    const inputs: StepInputs = {
      tokens: i32(ids),
      positions,
      slots: positions,
      rows: i32([0]),
      cuSeqlensQ: i32([0, ids.length]),
      contextLens: i32([end]),
      pageTable: i32(Array.from({ length: Math.ceil(end / pageSize) }, (_, page) => page)).reshape([1, -1]),
    };
    model.forward(stream, inputs, state, (layer, experts) => {
      reads.push(experts.read(stream).then((values) => ({ layer, experts: values as Int32Array })));
    });
  }
  return Promise.all(reads);
}
