/**
 * The smallest runner of a model: feeds token sequences through `Model.forward` in chunks, over a page table made by hand,
 * and returns the logits of every position. No scheduler, no sampling.
 */
import type { CopyTap, Model, ModelState } from "../../lib/models/model.js";
import type { HostArray } from "../../lib/device/dtype.js";
import type { Stream } from "../../lib/device/stream.js";
import { type Chunk, isSlot, PageTable, poisonedState, stepInputs } from "./pagedSteps.js";

export interface RunOptions {
  /** Tokens of each sequence per step, or of one step after another, the last again and again; default all at once. */
  readonly chunk?: number | readonly number[];
  /** Gets all taps of this name, step by step: what each layer has, once it can be read. */
  readonly tap?: { readonly name: string; onTap(layer: number, values: Promise<HostArray>): void };
}

/**
 * @param sequences run side by side: a step holds the next chunk of each that is not finished
 * @returns for each sequence its logits [T, V], row-major
 */
export async function runModel(
  model: Model,
  stream: Stream,
  sequences: readonly (readonly number[])[],
  { chunk = Infinity, tap }: RunOptions = {},
): Promise<Float32Array[]> {
  const pages = new PageTable(
    sequences.map((tokens) => tokens.length),
    model.state.filter(isSlot).length,
  );
  using state = poisonedState(stream, model.state, pages);
  const { vocabSize } = model.shape;
  const results = sequences.map((tokens) => new Float32Array(tokens.length * vocabSize));
  const longest = Math.max(...sequences.map((tokens) => tokens.length));
  const sizes = typeof chunk === "number" ? [chunk] : [...chunk];
  for (let start = 0, size = 0; start < longest; start += size) {
    size = sizes.shift() ?? size;
    const chunks: Chunk[] = sequences
      .map((tokens, row) => ({ row, tokens: tokens.slice(start, start + size), start }))
      .filter(({ tokens }) => tokens.length > 0);
    const logits = await runStep(model, stream, chunks, { pages, state, tap });
    let at = 0;
    for (const { row, tokens } of chunks) {
      const count = tokens.length * vocabSize;
      results[row]!.set(logits.subarray(at, at + count), start * vocabSize);
      at += count;
    }
  }
  return results;
}

async function runStep(
  model: Model,
  stream: Stream,
  chunks: readonly Chunk[],
  {
    pages,
    state,
    tap,
  }: { readonly pages: PageTable; readonly state: ModelState; readonly tap: RunOptions["tap"] },
): Promise<Float32Array> {
  const scope = stream.scope();
  const inputs = stepInputs(stream, chunks, pages);
  const T = inputs.tokens.size(0);
  const points = model.taps.filter(({ name }) => name === tap?.name);
  const taps = points.map(({ name, layer, dtype, shape }): CopyTap => {
    return { name, layer, out: stream.empty(dtype, [T, ...shape]) };
  });
  const hidden = model.forward(stream, inputs, state, taps);
  for (const { layer, out } of taps) tap!.onTap(layer, out.read(stream));
  const logits = model.logits(stream, hidden).read(stream);
  scope.close();
  return (await logits) as Float32Array;
}
