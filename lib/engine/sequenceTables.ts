/**
 * What the device knows of the sequences that it runs: their tokens, their pages and how far they have got. A step is made from
 * it (`stepInputs`), so that the host says which sequences run and how many tokens, and no more.
 */
import type { DType } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import type { StepInputs } from "../nn/step.js";
import { stepInputs } from "../ops/stepInputs.js";
import { tableScatter } from "../ops/tableScatter.js";

export interface SequenceTableSizes {
  /** Rows for sequences; padding has one more, behind them. */
  readonly numRows: number;
  /** Tokens of a row, at most. */
  readonly maxTokens: number;
  /** Tokens of a page. */
  readonly pageSize: number;
}

/** The sequences of a step, as device tensors. */
export interface StepSequences {
  /** T */
  readonly numTokens: number;
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
  /** [G, R, W]: one cache group */
  readonly #pageTables: Tensor;
  readonly #lengths: Tensor;
  readonly #groups: Tensor;
  readonly #owned: Tensor[] = [];

  /** @throws OutOfMemoryError; what was allocated until then is released */
  constructor(stream: Stream, { numRows, maxTokens, pageSize }: SequenceTableSizes) {
    this.#stream = stream;
    const R = numRows + 1;
    const W = Math.ceil(maxTokens / pageSize);
    try {
      this.tokenPool = this.#own("i32", [R, maxTokens]);
      this.#pageTables = this.#own("i32", [1, R, W]);
      this.#lengths = this.#own("i32", [R]);
      this.#groups = this.#own("i32", [1, 2]);
    } catch (error) {
      this.dispose();
      throw error;
    }
    // No row has a page yet. Padding has token 0, on the dummy page 0.
    this.tokenPool.write(stream, new Int32Array(this.tokenPool.numel));
    this.#pageTables.write(stream, new Int32Array(R * W).fill(-1).fill(0, numRows * W));
    this.#lengths.write(stream, new Int32Array(R));
    this.#groups.write(stream, Int32Array.of(pageSize, 1));
  }

  /** Puts ids at the start of a row. */
  writeTokens(row: number, ids: Int32Array): void {
    const { tokenPool } = this;
    tokenPool
      .slice(0, row, row + 1)
      .slice(1, 0, ids.length)
      .write(this.#stream, ids);
  }

  /** pageTable[rows[u], cols[u]] = pages[u]; all [U], a row of -1 writes nothing. */
  writePages(rows: Tensor, cols: Tensor, pages: Tensor): void {
    tableScatter(this.#stream, this.#pageTable, rows, cols, pages);
  }

  /** What the model reads of a step, and where the ids go that will be sampled ([N]). The rows are as long as that afterwards. */
  makeStep(sequences: StepSequences): { readonly inputs: StepInputs; readonly samplePositions: Tensor } {
    const { numTokens, ...where } = sequences;
    const made = stepInputs(this.#stream, numTokens, {
      ...where,
      lengths: this.#lengths,
      tokenPool: this.tokenPool,
      pageTables: this.#pageTables,
      groups: this.#groups,
    });
    const { tokens, positions, slots, contextLens } = made;
    const inputs: StepInputs = {
      ...{ tokens, positions, slots: slots.reshape([numTokens]), contextLens },
      rows: sequences.rows,
      cuSeqlensQ: sequences.cuSeqlensQ,
      pageTable: this.#pageTable,
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

  /** [R, W] of the one group */
  get #pageTable(): Tensor {
    return this.#pageTables.reshape(this.#pageTables.shape.slice(1));
  }

  #own(dtype: DType, shape: readonly number[]): Tensor {
    const tensor = this.#stream.device.empty(dtype, shape);
    this.#owned.push(tensor);
    return tensor;
  }
}
