import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { tensor, tensorOrNull } from "./argumentKinds.js";
import { op, optionsOf } from "./op.js";

export interface TableGatherOptions {
  /** Where to write the result ([T], may be rows or cols itself; without cols [L, T]). */
  readonly out?: Tensor | undefined;
}

/**
 * Cells of an i32 table.
 *
 *     out[t] = table[rows[t], cols[t]],   0 where rows[t] is -1
 *     out[l, t] = table[rows[t], l]       without cols: every column
 *
 * Rows outside [-1, R), and columns outside [0, L) where the row is not -1, poison the stream (ExecutionError).
 *
 * @param table [R, L], i32; the last axis is contiguous
 * @param rows [T], i32
 * @param cols [T], i32, or null
 * @returns [T], i32; without cols [L, T]
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see native/ops/table_gather
 */
export const tableGather = op(
  "tableGather",
  { table: tensor, rows: tensor, cols: tensorOrNull },
  optionsOf<TableGatherOptions>({ out: tensor }),
  (
    stream: Stream,
    table: Tensor,
    rows: Tensor,
    cols: Tensor | null,
    options: TableGatherOptions = {},
  ): Tensor => {
    const out =
      options.out ?? stream.empty("i32", cols === null ? [table.size(-1), rows.size(-1)] : rows.shape);
    stream.run(native.ops.tableGather, table, rows, cols, out);
    return out;
  },
);
