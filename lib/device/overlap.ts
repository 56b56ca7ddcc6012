/**
 * Whether two tensors share memory, decided exactly: columns of one matrix do not, although one lies between the ends of the other.
 * Not responsible for what a single tensor says of itself: that its own elements lie apart is checked by who writes it.
 */
import { byteLength } from "./dtype.js";
import type { Tensor } from "./tensor.js";

/** Bytes [start, end) of a memory. */
type Run = readonly [start: number, end: number];

/** True when some byte belongs to both. Costs a pass over the rows of both, if their ends do not tell. */
export function overlaps(a: Tensor, b: Tensor): boolean {
  if (a.memory.handle !== b.memory.handle || a.device !== b.device || a.numel === 0 || b.numel === 0)
    return false;
  if (!meet(extent(a), extent(b))) return false;
  const [runs, others] = [runsOf(a), runsOf(b)];
  let i = 0;
  for (const run of runs) {
    while (i < others.length && others[i]![1] <= run[0]) i++;
    if (i < others.length && meet(run, others[i]!)) return true;
  }
  return false;
}

function meet(a: Run, b: Run): boolean {
  return a[0] < b[1] && b[0] < a[1];
}

/** From the first byte of a tensor that has some to behind its last one. */
function extent({ byteOffset, dtype, shape, strides }: Tensor): Run {
  const last = shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, 0);
  return [byteOffset, byteOffset + byteLength(dtype, last + 1)];
}

/** The pieces without a gap, in order of their addresses. */
function runsOf(tensor: Tensor): Run[] {
  const { dtype, shape, strides } = tensor;
  if (tensor.isPacked) return [extent(tensor)];
  const inner = strides.at(-1) === 1 ? shape.at(-1)! : 1;
  const outer = inner === 1 ? shape : shape.slice(0, -1);
  let starts = [0];
  for (const [axis, size] of outer.entries())
    starts = starts.flatMap((start) => Array.from({ length: size }, (_, i) => start + i * strides[axis]!));
  return starts
    .sort((a, b) => a - b)
    .map((start): Run => {
      const at = tensor.byteOffset + byteLength(dtype, start);
      return [at, at + byteLength(dtype, inner)];
    });
}
