/**
 * The smallest runner of a model: feeds token sequences through `Model.forward` in chunks, over a page table made by hand,
 * and returns the logits of every position. No scheduler, no sampling.
 */
import type { LayerExpertsObserver, Model, ModelState } from "../../lib/models/model.js";
import type { Stream } from "../../lib/device/stream.js";
import { type Chunk, PageTable, poisonedState, stepInputs } from "./pagedSteps.js";

export interface RunOptions {
  /** Tokens of each sequence per step; default all at once. */
  readonly chunk?: number;
  readonly observe?: LayerExpertsObserver;
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
  using state = poisonedState(stream, model.state, pages);
  const { vocabSize } = model.shape;
  const results = sequences.map((tokens) => new Float32Array(tokens.length * vocabSize));
  const longest = Math.max(...sequences.map((tokens) => tokens.length));
  for (let start = 0; start < longest; start += chunk) {
    const chunks: Chunk[] = sequences
      .map((tokens, row) => ({ row, tokens: tokens.slice(start, start + chunk), start }))
      .filter(({ tokens }) => tokens.length > 0);
    const logits = await runStep(model, stream, chunks, { pages, state, observe });
    let at = 0;
    for (const { row, tokens } of chunks) {
      const size = tokens.length * vocabSize;
      results[row]!.set(logits.subarray(at, at + size), start * vocabSize);
      at += size;
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
    observe,
  }: { readonly pages: PageTable; readonly state: ModelState; readonly observe: RunOptions["observe"] },
): Promise<Float32Array> {
  const scope = stream.scope();
  const inputs = stepInputs(stream, chunks, pages);
  const hidden = model.forward(stream, inputs, state, observe);
  const logits = model.logits(stream, hidden).read(stream);
  scope.close();
  return (await logits) as Float32Array;
}
