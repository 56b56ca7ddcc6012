/**
 * Which part of every weight a rank has, where several share a model: rows or columns of a matrix (tensor parallel), or experts
 * (expert parallel). A model of one rank is a shard of size 1.
 */
import { ArgumentRangeError } from "../errors.js";
import type { Range, RowView } from "./rowView.js";

/** One of `size` equal parts. */
export interface Share {
  readonly rank: number;
  readonly size: number;
}

export interface Shard {
  /** Of the rows or columns of matrices. */
  readonly tp: Share;
  /** Of the experts. */
  readonly ep: Share;
}

export const wholeModel: Shard = { tp: { rank: 0, size: 1 }, ep: { rank: 0, size: 1 } };

/** How a weight is divided. */
export type WeightSplit =
  /** Rows of each tensor: every rank computes some of the outputs. */
  | { readonly axis: "outputs" }
  /** Columns: every rank computes a summand of all outputs. */
  | { readonly axis: "inputs" }
  /**
   * Rows, by whole heads of `headDim`. Where there are more ranks than heads, neighbours have copies. A tensor has the heads of
   * `groups` matrices one after another (3 of GPT-2: queries, keys, values).
   */
  | { readonly axis: "heads"; readonly headDim: number; readonly groups?: number }
  /** Whole experts. */
  | { readonly axis: "experts" };

/** @throws ArgumentRangeError if `total` is not divided evenly; `what` are these */
export function rangeOf(what: string, total: number, { rank, size }: Share): Range {
  if (total % size !== 0)
    throw new ArgumentRangeError(`shard: ${total} ${what} cannot be divided among ${size} ranks`);
  return { start: (rank * total) / size, count: total / size };
}

/** The rows of a tensor that a rank has, as axes; undefined: all. */
export function shardRows(
  slot: string,
  split: WeightSplit | undefined,
  rows: number,
  { tp }: Shard,
): Required<Pick<RowView, "axes" | "take">> | undefined {
  if (tp.size === 1 || (split?.axis !== "outputs" && split?.axis !== "heads")) return undefined;
  const [groups, unit] = split.axis === "heads" ? [split.groups ?? 1, split.headDim] : [1, 1];
  const units = rows / groups / unit;
  const what = `${split.axis} of ${slot}`;
  const { start, count } =
    split.axis === "heads" && tp.size % units === 0
      ? { start: Math.floor((tp.rank * units) / tp.size), count: 1 }
      : rangeOf(what, units, tp);
  return { axes: [groups, units, unit], take: { axis: 1, start, end: start + count } };
}

/** The columns of a matrix that a rank has; undefined: all. */
export function shardColumns(
  slot: string,
  split: WeightSplit | undefined,
  columns: number,
  { tp }: Shard,
): Range | undefined {
  if (tp.size === 1 || split?.axis !== "inputs") return undefined;
  return rangeOf(`inputs of ${slot}`, columns, tp);
}
