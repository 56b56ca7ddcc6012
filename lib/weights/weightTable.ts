/**
 * The weights of a model as data: what each is called in a checkpoint, in which shapes it is stored, and what becomes of it.
 */
import type { Device } from "../device/device.js";
import { ArgumentRangeError } from "../errors.js";
import { type RowView, viewedRows, viewedSizes, viewProblem } from "./rowView.js";
import { rowUnits, type Shard, shardRows, type WeightSplit } from "./shard.js";

/**
 * One weight of a model, in every layer if its names contain `{layer}`.
 *
 * ```ts
 * { slot: "layers.qkv",
 *   from: ["model.layers.{layer}.self_attn.q_proj.weight",
 *          "model.layers.{layer}.self_attn.k_proj.weight",
 *          "model.layers.{layer}.self_attn.v_proj.weight"],
 *   shapes: [[Hq * Dh, D], [Hkv * Dh, D], [Hkv * Dh, D]] }
 * ```
 */
export interface WeightRow {
  /** Name of the weight in the model; unique in the table. */
  readonly slot: string;
  /**
   * Checkpoint tensors, concatenated along axis 0 in this order. Names with `{expert}` are concatenated for each expert
   * and stacked: gate and up of [F, D] become [E, 2F, D].
   */
  readonly from: readonly string[];
  /** Shape of each of `from` as the checkpoint stores it; of one expert. Several slots may take rows of the same tensor. */
  readonly shapes: readonly (readonly number[])[];
  /** For each of `from`, where the same numbers have other axes in the file: which. [H, 1] for [H], say. Of one expert. */
  readonly fileShapes?: readonly (readonly number[] | undefined)[];
  /** The fields of config.json that say the sizes of these shapes, for the error of a tensor of another one. */
  readonly sizeFields?: readonly string[];
  /** The checkpoint stores [in, out] (Conv1D of GPT-2), the device wants [out, in]. Matrices only. */
  readonly transpose?: boolean;
  /** Each tensor of `from` holds the matrices of all experts: [E, ...shape]. Not with `{expert}`. */
  readonly stacked?: true;
  /**
   * For each of `from`, where a tensor may stand several times: which of its rows are these, and in which order; undefined: all, as
   * they are. What ranks divide by rows has them along the first axis: heads, or rows themselves.
   */
  readonly rowViews?: readonly (RowView | undefined)[];
  /** Vectors only: what each number becomes, in float64, before it is f32: 1 + w, -exp(A_log). */
  readonly map?: (value: number) => number;
  /** How ranks divide it among them; left out: each of them has all of it. */
  readonly split?: WeightSplit;
  /** Which stage of a pipeline has it, if not all: the one with the first layer, or with the last. Not with `{layer}`. */
  readonly stage?: "first" | "last";
  /** Only what devices need whose results may follow the chunks of a request (`Device.chunksKeepBits` is false). */
  readonly unlessChunksKeepBits?: true;
  /** Layers that have this weight; all if left out. Only with `{layer}`. */
  readonly onlyLayers?: readonly number[];
  /**
   * Share the weight of another slot: "always" (a stored copy has to be of the same values, see tiedWeights.ts), or only when
   * none of `from` is in the checkpoint.
   */
  readonly tiedTo?: { readonly slot: string; readonly when: "always" | "missing" };
}

export interface WeightTable {
  readonly rows: readonly WeightRow[];
  readonly numLayers: number;
  /** Required if a name contains `{expert}`, and for stacked weights. */
  readonly numExperts?: number;
  /** A name that starts with `from` may start with `to` instead: `{ from: "transformer.", to: "" }`. */
  readonly prefixAlternatives?: readonly { readonly from: string; readonly to: string }[];
  /** Tensors that this model does not use, besides the buffers that are ignored for every model. */
  readonly ignored?: readonly RegExp[];
}

/** The weights that are loaded on a device. */
export function tableOn<T extends WeightTable>(device: Pick<Device, "chunksKeepBits">, table: T): T {
  const isNeeded = (row: WeightRow): boolean => !(row.unlessChunksKeepBits && device.chunksKeepBits);
  return { ...table, rows: table.rows.filter(isNeeded) };
}

export function isPerLayer(row: WeightRow): boolean {
  return row.from.some((name) => name.includes("{layer}"));
}

export function isPerExpert(row: WeightRow): boolean {
  return row.from.some((name) => name.includes("{expert}"));
}

/** Rows of the i-th tensor of `from`, as stored; of one expert. */
export function storedRows({ transpose, shapes }: WeightRow, i: number): number {
  return shapes[i]![transpose ? 1 : 0]!;
}

/** Which rows of the i-th tensor of `from` a rank has; undefined: all. */
export function viewOf(row: WeightRow, i: number, shard: Shard): RowView | undefined {
  const viewed = row.shapes.map((_, other) => {
    const view = row.rowViews?.[other];
    return view ? viewedRows(view) : storedRows(row, other);
  });
  return shardRows(row.slot, row.split, { place: i, rows: viewed, view: row.rowViews?.[i] }, shard);
}

/** Whether a rank has any of a weight outside the layers, or of a layer that it has. */
export function isOfRank({ split, stage }: WeightRow, { tp, layers }: Shard, numLayers: number): boolean {
  if (split?.axis === "sum" && tp.rank > 0) return false;
  if (stage === "first") return (layers?.start ?? 0) === 0;
  return stage !== "last" || !layers || layers.start + layers.count === numLayers;
}

/** Rows of the weight that the i-th tensor of `from` gives; of one expert. */
export function rowsOf(row: WeightRow, i: number, shard: Shard): number {
  const view = viewOf(row, i, shard);
  return view ? viewedRows(view) : storedRows(row, i);
}

/** Columns of a matrix, as stored. */
export function storedColumns({ transpose, shapes }: WeightRow): number {
  return shapes[0]![transpose ? 0 : 1]!;
}

/** Mistakes of a model file, not of a checkpoint. */
export function checkTable({ rows, numExperts }: WeightTable): void {
  const slots = new Set(rows.map((row) => row.slot));
  if (slots.size !== rows.length) throw new ArgumentRangeError("resolveWeights: slots are not unique");
  for (const row of rows) {
    const fail = (problem: string): ArgumentRangeError =>
      new ArgumentRangeError(`resolveWeights: slot ${row.slot}: ${problem}`);
    const { from, shapes, onlyLayers, tiedTo } = row;
    const [firstShape] = shapes;
    if (firstShape === undefined || from.length !== shapes.length) {
      throw fail(`shapes: expected one for each of the ${from.length} names, got ${shapes.length}`);
    }
    const isMixed = ["{layer}", "{expert}"].some(
      (mark) => new Set(from.map((name) => name.includes(mark))).size > 1,
    );
    if (isMixed) throw fail("{layer} and {expert} must be in all names or in none");
    if ((isPerExpert(row) || row.stacked) && !(numExperts! >= 1))
      throw fail("names contain {expert} or are stacked, but numExperts is not set");
    if (isPerExpert(row) && row.stacked) throw fail("stacked with {expert}");
    if (onlyLayers !== undefined && !isPerLayer(row)) throw fail("onlyLayers without {layer}");
    if (row.transpose && shapes.some((shape) => shape.length !== 2)) throw fail("transpose of a non-matrix");
    const rest = (shape: readonly number[]): string =>
      (row.transpose ? shape.slice(0, 1) : shape.slice(1)).join();
    if (shapes.some((shape) => shape.length === 0 || rest(shape) !== rest(firstShape))) {
      throw fail("shapes differ beyond axis 0");
    }
    if (row.split?.axis === "inputs" && firstShape.length !== 2)
      throw fail("split by inputs of a non-matrix");
    if (row.split?.axis === "experts" && !isPerExpert(row) && !row.stacked)
      throw fail("split by experts without experts");
    if (row.split?.axis === "sum" && firstShape.length !== 1)
      throw fail("split by sum of more than a vector");
    if (row.stage && isPerLayer(row)) throw fail("stage of a weight of layers");
    if (row.map && shapes.some((shape) => shape.length !== 1)) throw fail("map of more than a vector");
    const views = row.rowViews ?? from.map(() => undefined);
    if (views.length !== from.length)
      throw fail(`rowViews: expected one for each of the ${from.length} names, got ${views.length}`);
    views.forEach((view, i) => {
      const problem = view && (viewProblem(view, storedRows(row, i)) ?? splitProblem(row, view, i));
      if (problem !== undefined) throw fail(`rowViews: ${problem}`);
    });
    if (tiedTo !== undefined && (!slots.has(tiedTo.slot) || tiedTo.slot === row.slot || isPerLayer(row))) {
      throw fail(`tiedTo: expected another slot of the table outside the layers, got ${tiedTo.slot}`);
    }
  }
}

/** Ranks divide rows along the first axis of a view: whole heads, or rows. */
function splitProblem({ split }: WeightRow, view: RowView, place: number): string | undefined {
  const of = rowUnits(split, place);
  if (!of) return undefined;
  const each = viewedRows(view) / viewedSizes(view)[0]!; // rows of an index of the first axis
  const isDivided = of.groups === 1 && (view.order ?? [0])[0] === 0 && of.unit % each === 0;
  return isDivided ? undefined : `split by ${split!.axis} that do not lie along the first axis`;
}
