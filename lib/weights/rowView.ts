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
  /** Of the first axis only these, where `take` is of another: the heads that a rank has. */
  readonly share?: Range;
  /** The axes in the order of the weight's rows, outermost first. Default: as stored. */
  readonly order?: readonly number[];
}

/** The axes of a view as they are taken, outermost first as stored. */
export function viewedSizes({ axes, take, share }: RowView): number[] {
  return axes.map((size, axis) => {
    if (axis === take?.axis) return take.end - take.start;
    return axis === 0 && share ? share.count : size;
  });
}

/** How many rows a view has. */
export function viewedRows(view: RowView): number {
  return viewedSizes(view).reduce((product, size) => product * size, 1);
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
  const { axes, take, share, order = [...axes.keys()] } = view;
  const sizes = viewedSizes(view);
  const strides = axes.map((_, axis) =>
    axes.slice(axis + 1).reduce((product, size) => product * size, stored.strides[rowAxis]!),
  );
  const skippedRows = (take ? take.start * strides[take.axis]! : 0) + (share ? share.start * strides[0]! : 0);
  const skipped = skippedRows + (columns ? columns.start * inputStride : 0);
  return Tensor.strided(
    stored.memory,
    stored.dtype,
    [...order.map((axis) => sizes[axis]!), columns?.count ?? inputs],
    [...order.map((axis) => strides[axis]!), inputStride],
    stored.byteOffset + byteLength(stored.dtype, skipped),
  );
}

/** Bytes of a stored tensor, and what they hold. */
export interface StoredBytes {
  readonly start: number;
  readonly bytes: number;
  readonly shape: readonly number[];
}

/** Rows that follow each other are bytes that do: what a weight, or a rank, does not have is not read. */
export function narrowed(
  stored: StoredBytes,
  transpose: boolean,
  view: RowView | undefined,
): { readonly stored: StoredBytes; readonly view: RowView | undefined } {
  if (!view || transpose) return { stored, view };
  const { axes, take, share, order } = view;
  const rowBytes = stored.bytes / stored.shape[0]!;
  const rowsFrom = (first: number, rows: number): StoredBytes => ({
    ...{ start: stored.start + first * rowBytes, bytes: rows * rowBytes },
    shape: [rows, ...stored.shape.slice(1)],
  });
  const rowsOf = (axis: number) => axes.slice(axis + 1).reduce((product, size) => product * size, 1);
  if (share) {
    const some: RowView = {
      axes: [share.count, ...axes.slice(1)],
      ...{ ...(take && { take }), ...(order && { order }) },
    };
    return narrowed(rowsFrom(share.start * rowsOf(0), share.count * rowsOf(0)), transpose, some);
  }
  if (!take || axes.slice(0, take.axis).some((size) => size > 1)) return { stored, view };
  const rows = rowsFrom(take.start * rowsOf(take.axis), viewedRows(view));
  return { stored: rows, view: order && { axes: viewedSizes(view), order } };
}

/** Of a matrix, the stored row of each row of a view: those that follow each other, or a list. */
export interface RowList {
  readonly first: number;
  readonly count: number;
  /** Undefined: `first` and those behind it. */
  readonly order: Int32Array | undefined;
}

/** @param rows that are stored */
export function listRows(view: RowView | undefined, rows: number): RowList {
  if (!view) return { first: 0, count: rows, order: undefined };
  const { axes, take, share, order = [...axes.keys()] } = view;
  const sizes = viewedSizes(view);
  const startOf = (axis: number) => {
    if (axis === take?.axis) return take.start;
    return axis === 0 && share ? share.start : 0;
  };
  const strides = axes.map((_, axis) => axes.slice(axis + 1).reduce((product, size) => product * size, 1));
  let list: number[] = [axes.reduce((sum, _, axis) => sum + startOf(axis) * strides[axis]!, 0)];
  for (const axis of order)
    list = list.flatMap((row) => Array.from({ length: sizes[axis]! }, (_, i) => row + i * strides[axis]!));
  const first = list[0] ?? 0;
  const follow = list.every((row, i) => row === first + i);
  return { first, count: list.length, order: follow ? undefined : Int32Array.from(list) };
}
