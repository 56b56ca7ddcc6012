/**
 * Rows of a stored matrix in another order, or some of them: llama's GGUF files permute q and k, gpt-oss takes gate and up in
 * turns, MLA keeps the matrices of keys and values of a head in one tensor. Nothing is moved: they are strides.
 */
import { byteLength } from "../device/dtype.js";
import { Tensor } from "../device/tensor.js";

/** [start, start + count) */
export interface Range {
  readonly start: number;
  readonly count: number;
}

export interface RowView {
  /** The stored rows seen as axes, outermost first, at most three: [H, 2, Dh / 2]. Their product is the number of rows. */
  readonly axes: readonly number[];
  /** Only indices [start, end) of one axis; what is left out is of other slots. */
  readonly take?: { readonly axis: number; readonly start: number; readonly end: number };
  /** The axes in the order of the weight's rows, outermost first. Default: as stored. */
  readonly order?: readonly number[];
}

function sizesOf({ axes, take }: RowView): number[] {
  return axes.map((size, axis) => (axis === take?.axis ? take.end - take.start : size));
}

/** How many rows a view has. */
export function viewedRows(view: RowView): number {
  return sizesOf(view).reduce((product, size) => product * size, 1);
}

/** What is wrong with a view of so many rows. */
export function viewProblem({ axes, take, order }: RowView, rows: number): string | undefined {
  if (axes.length > 3 || axes.reduce((product, size) => product * size, 1) !== rows)
    return `axes: expected at most three whose product is ${rows}, got [${axes.join(", ")}]`;
  const isInside =
    !take ||
    (axes[take.axis] !== undefined &&
      0 <= take.start &&
      take.start < take.end &&
      take.end <= axes[take.axis]!);
  if (!isInside) return "take: outside its axis";
  const isPermutation = !order || [...order].sort().join() === [...axes.keys()].join();
  return isPermutation ? undefined : `order: expected each axis once, got [${order.join(", ")}]`;
}

/**
 * @param stored [n, K], [K, n] with `transpose`, or [n]; contiguous
 * @param columns of a matrix: only these
 * @returns the rows as their axes say, [.., K]; those of a vector have K = 1
 */
export function viewRows(
  whole: Tensor,
  transpose: boolean,
  view: RowView = { axes: [whole.size(transpose ? 1 : 0)] },
  columns?: Range,
): Tensor {
  const stored = whole.shape.length > 2 ? whole.reshape([whole.size(0), -1]) : whole; // of more axes: the rest is a row
  const rowAxis = transpose ? 1 : 0;
  const [inputs = 1, inputStride = 1] = [stored.shape[1 - rowAxis], stored.strides[1 - rowAxis]];
  const { axes, take, order = [...axes.keys()] } = view;
  const sizes = sizesOf(view);
  const strides = axes.map((_, axis) =>
    axes.slice(axis + 1).reduce((product, size) => product * size, stored.strides[rowAxis]!),
  );
  const skipped = (take ? take.start * strides[take.axis]! : 0) + (columns ? columns.start * inputStride : 0);
  return Tensor.strided(
    stored.memory,
    stored.dtype,
    [...order.map((axis) => sizes[axis]!), columns?.count ?? inputs],
    [...order.map((axis) => strides[axis]!), inputStride],
    stored.byteOffset + byteLength(stored.dtype, skipped),
  );
}
