/**
 * Which part of every weight a rank has, where several share a model: rows or columns of a matrix (tensor parallel), experts
 * (expert parallel), or layers (a stage of a pipeline). A model of one rank is a shard of size 1.
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
  /** Left out: all layers. */
  readonly layers?: Range;
}

/** @throws ArgumentRangeError a rank that there is not, or layers that the model has not */
export function checkShard({ tp, ep, layers }: Shard, numLayers: number): void {
  for (const [name, { rank, size }] of Object.entries({ tp, ep })) {
    if (Number.isInteger(rank) && Number.isInteger(size) && 0 <= rank && rank < size) continue;
    throw new ArgumentRangeError(`shard: ${name}: expected a rank below the size, got ${rank} of ${size}`);
  }
  if (!layers) return;
  const { start, count } = layers;
  const isRange = Number.isInteger(start) && Number.isInteger(count) && start >= 0 && count >= 1;
  if (!isRange || start + count > numLayers)
    throw new ArgumentRangeError(
      `shard: layers: expected some of the ${numLayers}, got ${count} from ${start} on`,
    );
}

export const wholeModel: Shard = { tp: { rank: 0, size: 1 }, ep: { rank: 0, size: 1 } };

/** How a weight is divided: among the ranks of `tp`, or of `ep` where `ranks` says so (a shared expert, which lies among the others). */
export type WeightSplit =
  /** Rows of each tensor: every rank computes some of the outputs. */
  | { readonly axis: "outputs"; readonly ranks?: "ep" }
  /** Columns: every rank computes a summand of all outputs. */
  | { readonly axis: "inputs"; readonly ranks?: "ep" }
  /**
   * Rows, by whole heads of `headDim`: of all tensors, or of each. Where there are more ranks than heads, neighbours have copies. A tensor has the heads of
   * `groups` matrices one after another (3 of GPT-2: queries, keys, values).
   */
  | { readonly axis: "heads"; readonly headDim: number | readonly number[]; readonly groups?: number }
  /** Whole experts. */
  | { readonly axis: "experts" }
  /** What is added to the sum of what the ranks of `tp` compute (the bias of an output): the first of them alone has it. */
  | { readonly axis: "sum" };

/** @throws ArgumentRangeError if `total` is not divided evenly; `what` are these */
export function rangeOf(what: string, total: number, { rank, size }: Share): Range {
  if (total % size !== 0)
    throw new ArgumentRangeError(`shard: ${total} ${what} cannot be divided among ${size} ranks`);
  return { start: (rank * total) / size, count: total / size };
}

/** The key heads that a rank has: of fewer than there are ranks, neighbours have copies. @throws as rangeOf */
export function keyHeadsOf(what: string, total: number, tp: Share): Range {
  if (tp.size % total === 0) return { start: Math.floor((tp.rank * total) / tp.size), count: 1 };
  return rangeOf(what, total, tp);
}

/** Rows of a tensor are divided as `groups` times so many units of `unit` rows; undefined: they are not divided. */
export function rowUnits(
  split: WeightSplit | undefined,
  place: number,
): { groups: number; unit: number } | undefined {
  if (split?.axis === "outputs") return { groups: 1, unit: 1 };
  if (split?.axis !== "heads") return undefined;
  const { groups = 1, headDim } = split;
  return { groups, unit: typeof headDim === "number" ? headDim : headDim[place]! };
}

/** A tensor among those of its slot. */
interface SlotTensor {
  readonly place: number;
  readonly rows: readonly number[];
  readonly view: RowView | undefined;
}

/**
 * The rows of a tensor that a rank has, as axes; undefined: all.
 *
 * @param place of the tensor in the slot
 * @param rows of each tensor of the slot, or of the view of it, which is divided along its first axis
 * @param view of the tensor
 */
export function shardRows(
  slot: string,
  split: WeightSplit | undefined,
  { place, rows, view }: SlotTensor,
  shard: Shard,
): RowView | undefined {
  const divided = rowUnits(split, place);
  if (!split || !divided) return view;
  const share = shareOf(split, shard);
  if (share.size === 1) return view;
  const { groups, unit } = divided;
  const unitsOf = (other: number) => rows[other]! / groups / rowUnits(split, other)!.unit;
  const [what, units] = [`${split.axis} of ${slot}`, unitsOf(place)];
  const most = Math.max(...rows.map((_, other) => unitsOf(other))); // heads of queries, which have no copies
  const isOfKeys = split.axis === "heads" && units < most;
  const { start, count } = (isOfKeys ? keyHeadsOf : rangeOf)(what, units, share);
  if (!view) return { axes: [groups, units, unit], take: { axis: 1, start, end: start + count } };
  if (view.take && view.take.axis > 0) {
    const each = view.axes[0]! / units;
    return { ...view, share: { start: start * each, count: count * each } };
  }
  const { start: first, end } = view.take ?? { start: 0, end: view.axes[0]! };
  const each = (end - first) / units; // indices of the first axis
  return { ...view, take: { axis: 0, start: first + start * each, end: first + (start + count) * each } };
}

/** The columns of a matrix that a rank has; undefined: all. */
export function shardColumns(
  slot: string,
  split: WeightSplit | undefined,
  columns: number,
  shard: Shard,
): Range | undefined {
  if (split?.axis !== "inputs") return undefined;
  const share = shareOf(split, shard);
  return share.size === 1 ? undefined : rangeOf(`inputs of ${slot}`, columns, share);
}

function shareOf(split: WeightSplit, { tp, ep }: Shard): Share {
  return "ranks" in split ? ep : tp;
}
