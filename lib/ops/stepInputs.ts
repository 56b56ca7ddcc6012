import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { integer, required, tensor } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface StepInputsOptions {
  /** [B], i32: the row of each sequence in pool, lengths and tables; no row but the last one twice. */
  readonly rows: Tensor;
  /** [B], i32: position of the first token that a sequence runs; -1: the length of its row so far. */
  readonly starts: Tensor;
  /** [B + 1], i32: sequence b owns the tokens [cuSeqlensQ[b], cuSeqlensQ[b + 1]) of the step; the last entry is T. */
  readonly cuSeqlensQ: Tensor;
  /** [N], i32: tokens of the step behind which an id will be sampled. */
  readonly logitIndices: Tensor;
  /** [R], i32, read and written: the tokens of each row that have been run. */
  readonly lengths: Tensor;
  /** [R, L], i32: the tokens of each row. */
  readonly tokenPool: Tensor;
  /** [G, R, W], i32: for each cache group the pages of each row, in the order of its tokens. */
  readonly pageTables: Tensor;
  /** [G, 2], i32: for each cache group the tokens of a page (Ps), and the first page that may belong to a row. */
  readonly groups: Tensor;
  /** [N], i32: where to write `samplePositions`, for graphs, whose results must outlive the step's temporaries. */
  readonly samplePositions?: Tensor | undefined;
}

/** What the tokens of a step are; all i32. */
export interface StepInputsResult {
  /** [T] ids */
  readonly tokens: Tensor;
  /** [T] place of each token in its sequence, from 0 */
  readonly positions: Tensor;
  /** [G, T] where each cache group stores it: page * Ps + offset; -1: nowhere */
  readonly slots: Tensor;
  /** [B] tokens of each sequence after the step */
  readonly contextLens: Tensor;
  /** [N] position of the id that will be sampled behind each token of logitIndices */
  readonly samplePositions: Tensor;
}

/**
 * The inputs of a step, from what the device knows of its sequences. For token i of sequence b, in row r = rows[b], at position
 * j = start + i, where start = starts[b], or lengths[r] if that is -1:
 *
 *     tokens = tokenPool[r, j];   positions = j;   slots[g] = pageTables[g, r, floor(j / Ps)] * Ps + j mod Ps
 *     contextLens[b] = lengths[r] = start + count;   samplePositions[n] = positions[logitIndices[n]] + 1
 *
 * The last row belongs to padding: its sequences run from position 0, have slots of -1, and its length stays as it is.
 *
 * @param numTokens T
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @throws ExecutionError, from the next wait on the stream: a row, start, token or column that is out of range; a token whose
 *   page belongs to nobody
 * @see Kwon et al., arXiv 2309.06180, section 4.3 (slots of paged keys and values); native/ops/step_inputs
 */
export const stepInputs = op(
  "stepInputs",
  { numTokens: integer() },
  optionsOf<StepInputsOptions>({
    rows: required(tensor),
    starts: required(tensor),
    cuSeqlensQ: required(tensor),
    logitIndices: required(tensor),
    lengths: required(tensor),
    tokenPool: required(tensor),
    pageTables: required(tensor),
    groups: required(tensor),
    samplePositions: tensor,
  }),
  (stream: Stream, numTokens: number, options: StepInputsOptions): StepInputsResult => {
    const { rows, starts, cuSeqlensQ, logitIndices, lengths, tokenPool, pageTables, groups } = options;
    const tokens = stream.empty("i32", [numTokens]);
    const positions = stream.empty("i32", [numTokens]);
    const slots = stream.empty("i32", [pageTables.shape[0] ?? 0, numTokens]);
    const contextLens = stream.empty("i32", rows.shape);
    const samplePositions = options.samplePositions ?? stream.empty("i32", logitIndices.shape);
    stream.run(
      native.ops.stepInputs,
      ...([rows, starts, cuSeqlensQ, logitIndices, lengths, tokenPool, pageTables, groups] as const),
      ...([tokens, positions, slots, contextLens, samplePositions] as const),
    );
    return { tokens, positions, slots, contextLens, samplePositions };
  },
);
