/**
 * What the device knows of the sequences that it runs: their tokens, their pages and how far they have got. A step is made from
 * it (`stepInputs`), so that the host says which sequences run and how many tokens, and no more.
 */
import type { DType } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import type { HostSequence, StepInputs } from "../nn/step.js";
import { stepInputs } from "../ops/stepInputs.js";
import { tableScatter } from "../ops/tableScatter.js";

export interface SequenceTableSizes {
  /** Rows for sequences; padding has one more, behind them. */
  readonly numRows: number;
  /** Tokens of a row, at most. */
  readonly maxTokens: number;
  /** Tokens of a page. */
  readonly pageSize: number;
  /** Cache groups, each with a table of its own. */
  readonly groups: readonly { readonly pagesPerBlock: number }[];
  /** Columns of the table of slots; without it there is none. */
  readonly slotLayers?: number;
}

/** The sequences of a step, as device tensors. */
export interface StepSequences {
  /** T */
  readonly numTokens: number;
  /** No sequence has more tokens than that; left out: not known. */
  readonly maxQueries?: number | undefined;
  /** The same, as the host knows them; left out: it does not. */
  readonly sequences?: readonly HostSequence[] | undefined;
  /** [B] their rows */
  readonly rows: Tensor;
  /** [B] where they begin; -1: where their last step ended */
  readonly starts: Tensor;
  /** [B + 1] */
  readonly cuSeqlensQ: Tensor;
  /** [N] tokens behind which an id is sampled */
  readonly logitIndices: Tensor;
  /** [N] where to write the positions of those ids; default: a temporary of the step */
  readonly samplePositions?: Tensor;
}

export class SequenceTables implements Disposable {
  /** [R, L] */
  readonly tokenPool: Tensor;
  readonly #stream: Stream;
  /** [G, R, W], or with slots [G + 1, R, W], whose last has a column for each layer with a slot */
  readonly #pageTables: Tensor;
  readonly #lengths: Tensor;
  readonly #groups: Tensor;
  readonly #owned: Tensor[] = [];

  /** @throws OutOfMemoryError; what was allocated until then is released */
  constructor(stream: Stream, sizes: SequenceTableSizes) {
    const { numRows, maxTokens, pageSize, groups, slotLayers = 0 } = sizes;
    this.#stream = stream;
    const R = numRows + 1;
    const G = groups.length;
    const pages = Math.ceil(maxTokens / pageSize);
    // A block brings all its pages, also those that no token will be in.
    const W = Math.max(slotLayers, ...groups.map(({ pagesPerBlock: n }) => Math.ceil(pages / n) * n));
    const numTables = G + (slotLayers > 0 ? 1 : 0);
    try {
      this.tokenPool = this.#own("i32", [R, maxTokens]);
      this.#pageTables = this.#own("i32", [numTables, R, W]);
      this.#lengths = this.#own("i32", [R]);
      this.#groups = this.#own("i32", [G, 2]);
    } catch (error) {
      this.dispose();
      throw error;
    }
    // No row has a page or a slot yet. Padding has token 0, on page 0 of the dummy block, and no slot.
    this.tokenPool.write(stream, new Int32Array(this.tokenPool.numel));
    const tables = new Int32Array(numTables * R * W).fill(-1);
    for (let group = 0; group < G; group++) tables.fill(0, (group * R + numRows) * W, (group + 1) * R * W);
    this.#pageTables.write(stream, tables);
    this.#lengths.write(stream, new Int32Array(R));
    this.#groups.write(
      stream,
      Int32Array.from(groups.flatMap(({ pagesPerBlock }) => [pageSize, pagesPerBlock])),
    );
  }

  /** Puts ids into a row, from a column on. */
  writeTokens(row: number, ids: Int32Array, first = 0): void {
    const { tokenPool } = this;
    tokenPool
      .slice(0, row, row + 1)
      .slice(1, first, first + ids.length)
      .write(this.#stream, ids);
  }

  /** pageTables[rows[u], cols[u]] = pages[u], the rows of all groups one behind the other; all [U], -1 writes nothing. */
  writePages(rows: Tensor, cols: Tensor, pages: Tensor): void {
    const [G, R, W] = this.#pageTables.shape as [number, number, number];
    tableScatter(this.#stream, this.#pageTables.reshape([G * R, W]), rows, cols, pages);
  }

  /** What the model reads of a step, and where the ids go that will be sampled ([N]). The rows are as long as that afterwards. */
  makeStep(step: StepSequences): { readonly inputs: StepInputs; readonly samplePositions: Tensor } {
    const { numTokens, maxQueries, sequences, ...where } = step;
    const numGroups = this.#groups.size(0);
    const made = stepInputs(this.#stream, numTokens, {
      ...where,
      lengths: this.#lengths,
      tokenPool: this.tokenPool,
      pageTables: this.#pageTables.slice(0, 0, numGroups),
      groups: this.#groups,
    });
    const { tokens, positions, slots, contextLens } = made;
    const inputs: StepInputs = {
      ...{ tokens, positions, contextLens, maxQueries, sequences },
      rows: where.rows,
      cuSeqlensQ: where.cuSeqlensQ,
      ...(this.#pageTables.size(0) > numGroups && { slotTable: ofGroup(this.#pageTables, numGroups) }),
      groups: Array.from({ length: numGroups }, (_, group) => ({
        slots: ofGroup(slots, group),
        pageTable: ofGroup(this.#pageTables, group),
      })),
    };
    return { inputs, samplePositions: made.samplePositions };
  }

  /** Frees them once every stream has passed this point. Idempotent. */
  dispose(): void {
    for (const tensor of this.#owned.splice(0)) tensor.dispose();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  #own(dtype: DType, shape: readonly number[]): Tensor {
    const tensor = this.#stream.device.empty(dtype, shape);
    this.#owned.push(tensor);
    return tensor;
  }
}

/** [G, ...] to [...] */
function ofGroup(tensor: Tensor, group: number): Tensor {
  return tensor.slice(0, group, group + 1).reshape(tensor.shape.slice(1));
}
