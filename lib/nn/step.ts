/**
 * What one step of a decoder reads besides weights: the tokens to run and where their keys and values lie. All of it is
 * device data, so that a captured graph can be replayed with other tokens, lengths and pages.
 */
import type { Tensor } from "../device/tensor.js";

/** Device tensors of one step, all i32 and contiguous. Prefill chunks and decodes are the same: sequences of tokens. */
export interface StepInputs {
  /** [T] token ids */
  readonly tokens: Tensor;
  /** [T] place of each token in its sequence, from 0 */
  readonly positions: Tensor;
  /** [T] where its keys and values are stored: page * Ps + offset; -1 stores nothing */
  readonly slots: Tensor;
  /** [B] row of each sequence in the page table */
  readonly rows: Tensor;
  /** [B + 1] sequence b owns the tokens [cuSeqlensQ[b], cuSeqlensQ[b + 1]) */
  readonly cuSeqlensQ: Tensor;
  /** [B] tokens of each sequence that are cached after this step, its own of this step included */
  readonly contextLens: Tensor;
  /** [R, Pmax] pages of each row, in order of position */
  readonly pageTable: Tensor;
}
