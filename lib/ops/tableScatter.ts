import { native } from "../device/native.js";
import type { Stream } from "../device/stream.js";
import type { Tensor } from "../device/tensor.js";
import { tensor } from "./argumentKinds.js";
import { op } from "./op.js";

/**
 * Writes cells of an i32 table in place: sampled ids into the token pool, new pages into the page table.
 *
 *     table[rows[n], cols[n]] = values[n],   skipped where rows[n] is -1
 *
 * Rows outside [-1, R), and columns outside [0, L) where the row is not -1, poison the stream (ExecutionError).
 *
 * @param table [R, L], i32; the last axis is contiguous
 * @param rows [N], i32; a cell is named by one entry at most
 * @param cols [N], i32
 * @param values [N], i32
 * @throws TypeError / RangeError (code ERR_ARGUMENT_TYPE / ERR_ARGUMENT_RANGE) naming the argument
 * @see native/ops/table_scatter
 */
export const tableScatter = op(
  "tableScatter",
  { table: tensor, rows: tensor, cols: tensor, values: tensor },
  undefined,
  (stream: Stream, table: Tensor, rows: Tensor, cols: Tensor, values: Tensor): void => {
    stream.run(native.ops.tableScatter, table, rows, cols, values);
  },
);
