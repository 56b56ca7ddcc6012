/** Steps of a block that keeps something of every token: which rows run, and what lies in its pages. */
import { expectClose } from "./compare.js";
import type { Tensor } from "../../lib/device/tensor.js";
import type { OpContext } from "./devices.js";
import type { FloatDType } from "./dtype.js";
import type { Chunk, PageTable } from "./pagedSteps.js";

/** [begin, end) of the rows of a chunk among all rows of a step, and among those of its sequence. */
export interface Place extends Chunk {
  readonly at: number;
}

/** The next tokens of each sequence; `done` goes on. Ids do not matter to attention. */
export function placesOf(step: readonly number[], done: number[]): Place[] {
  let at = 0;
  return step.flatMap((count, row) => {
    if (count === 0) return [];
    const place = { row, start: done[row]!, tokens: new Array<number>(count).fill(0), at };
    done[row]! += count;
    at += count;
    return [place];
  });
}

/** The rows of a step out of those of whole sequences. */
export function gather(
  places: readonly Place[],
  of: (row: number) => Float64Array,
  width: number,
): Float64Array {
  const total = places.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const rows = new Float64Array(total * width);
  for (const { row, start, tokens, at } of places)
    rows.set(of(row).subarray(start * width, (start + tokens.length) * width), at * width);
  return rows;
}

/** Compares the pages: what is expected in the slots of the sequences, NaN everywhere else. */
export async function expectCached(
  context: OpContext,
  c: { pages: PageTable; lengths: readonly number[]; dtype: FloatDType; D: number; width: number },
  parts: readonly { label: string; tensor: Tensor; values: readonly Float64Array[] }[],
): Promise<void> {
  const { pages, lengths, dtype, D, width } = c;
  for (const { label, tensor, values } of parts) {
    const wanted = new Float64Array(tensor.numel).fill(NaN);
    for (const [row, length] of lengths.entries()) {
      for (let t = 0; t < length; t++)
        wanted.set(values[row]!.subarray(t * width, (t + 1) * width), pages.slot(row, t) * width);
    }
    expectClose(await context.read(tensor), wanted, {
      ...{ dtype, shape: [tensor.numel / width, width], intermediate: dtype, reduction: D, ops: 3, label },
    });
  }
}
