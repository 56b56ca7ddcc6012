/**
 * What one step of a decoder reads besides weights: the tokens to run and where their keys and values lie. All of it is
 * device data, so that a captured graph can be replayed with other tokens, lengths and pages.
 */
import type { Tensor } from "../device/tensor.js";

/** Where a cache group keeps the tokens of a step. */
export interface GroupInputs {
  /** [T] where the state of each token is stored: page * Ps + offset; -1 stores nothing */
  readonly slots: Tensor;
  /** [R, W] pages of each row, in order of position; those behind the window of the group are anybody's */
  readonly pageTable: Tensor;
}

/** What the host knows of a sequence of a step: it runs tokens [start, start + count). */
export interface HostSequence {
  /** In the page tables. */
  readonly row: number;
  /** Tokens that are cached before. */
  readonly start: number;
  /** >= 1 */
  readonly count: number;
}

/** Device tensors of one step, all i32 and contiguous. Prefill chunks and decodes are the same: sequences of tokens. */
export interface StepInputs {
  /** [T] token ids */
  readonly tokens: Tensor;
  /** [T] place of each token in its sequence, from 0 */
  readonly positions: Tensor;
  /** [B] row of each sequence in the page tables */
  readonly rows: Tensor;
  /** [B + 1] sequence b owns the tokens [cuSeqlensQ[b], cuSeqlensQ[b + 1]) */
  readonly cuSeqlensQ: Tensor;
  /** [B] tokens of each sequence that are cached after this step, its own of this step included */
  readonly contextLens: Tensor;
  /** No sequence has more tokens in this step than that; left out: not known. A graph keeps what it was captured with. */
  readonly maxQueries?: number | undefined;
  /** The same sequences, for those who choose by their sizes what to run; left out: not known, as in a graph, which runs others each time. */
  readonly sequences?: readonly HostSequence[] | undefined;
  /** By cache group, in the order of the layout of the state. */
  readonly groups: readonly GroupInputs[];
  /** [R, slot layers or more] by column the block with the state of each row; -1 for padding, which keeps nothing */
  readonly slotTable?: Tensor | undefined;
}
