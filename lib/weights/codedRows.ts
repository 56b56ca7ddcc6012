/**
 * Rows of a matrix in codes on their way to a device: its companions (scales, zero points) once, then codes in strips, each of which is packed as
 * it is or becomes floats. Everything lies in the loader's staging memory, one behind the other.
 */
import { byteLength, type FloatDType } from "../device/dtype.js";
import type { Stream } from "../device/stream.js";
import { type Memory, Tensor } from "../device/tensor.js";
import { dequantize } from "../ops/dequantize.js";
import { StoredRows, type StoredTensors } from "../ops/storedRows.js";
import { type CodedMatrix, type CodedTensor, isTurned } from "./codedMatrix.js";
import { listRows, viewedSizes } from "./rowView.js";
import { roomBytes } from "./weightArena.js";
import type { PlannedPart } from "./weightMap.js";

/** Bytes of codes, or of floats, of a strip. */
const stripBytes = 8 << 20;

/** Bytes of a file, and where in staging memory they go. */
export interface CodedRead {
  readonly tensor: CodedTensor;
  /** Of the bytes of the tensor. */
  readonly start: number;
  readonly bytes: number;
  readonly to: number;
}

/** Rows [first, first + count) of a part. */
export interface CodedStrip {
  readonly first: number;
  readonly count: number;
  /** Undefined: the codes are there. */
  readonly read: CodedRead | undefined;
  /** The stored row that the codes begin with. */
  readonly storedFirst: number;
}

/** Where a part lies in staging memory, and the strips in which it is read. */
export interface CodedPlan {
  readonly companions: readonly CodedRead[];
  /** Stored rows in the order of the part's, where they do not follow each other. */
  readonly order: { readonly rows: Int32Array; readonly at: number } | undefined;
  /** Stored inputs in the order of the weight's, where it is another one. */
  readonly inputOrder: { readonly inputs: Int32Array; readonly at: number } | undefined;
  readonly codesAt: number;
  readonly valuesAt: number;
  readonly strips: readonly CodedStrip[];
  /** Of staging memory. */
  readonly bytes: number;
}

/** Bytes that are read. */
export function bytesRead({ companions, strips }: CodedPlan): number {
  return [...companions, ...strips.map(({ read }) => read)].reduce(
    (sum, read) => sum + (read?.bytes ?? 0),
    0,
  );
}

/** What becomes of a part. */
export interface CodedTarget {
  /** Of the floats that it becomes; undefined: it stays in codes. */
  readonly dtype: FloatDType | undefined;
  /** All rows are needed at once. */
  readonly whole: boolean;
}

export function planCoded(part: PlannedPart, { dtype, whole }: CodedTarget): CodedPlan {
  const { codes, scales, zeros, groupOfInput, inputOrder, format, outputs, inputs } = part.coded!;
  let at = 0;
  const take = (bytes: number): number => {
    const start = at;
    at += roomBytes("u8", [bytes]);
    return start;
  };
  const companions = [scales, zeros, groupOfInput].flatMap((tensor) =>
    tensor ? [{ tensor, start: 0, bytes: tensor.bytes, to: take(tensor.bytes) }] : [],
  );
  // Floats come to the places of their inputs.
  const sorted =
    inputOrder && !dtype ? { inputs: inputOrder, at: take(byteLength("i32", inputs)) } : undefined;
  const list = listRows(part.view, outputs);
  // What has its rows in another order, or across words, is read whole.
  const isScattered = list.order !== undefined || isTurned(format);
  const rows = isScattered
    ? (list.order ?? Int32Array.from({ length: list.count }, (_, i) => list.first + i))
    : undefined;
  const order = rows && { rows, at: take(byteLength("i32", rows.length)) };
  const rowBytes = codes.bytes / outputs;
  const columns = part.columns?.count ?? inputs;
  const valueBytes = dtype ? byteLength(dtype, columns) : 0;
  const ofStrip = stripBytes / Math.max(valueBytes, isScattered ? 0 : rowBytes); // without bounds where all is read
  const each = whole ? list.count : Math.min(list.count, Math.max(1, Math.floor(ofStrip)));
  const [low, high] = isTurned(format) || !rows ? [0, outputs] : spanOf(rows);
  const codesAt = take((isScattered ? high - low : each) * rowBytes);
  const read = (first: number, count: number): CodedRead => ({
    ...{ tensor: codes, start: first * rowBytes, bytes: count * rowBytes, to: codesAt },
  });
  const strips: CodedStrip[] = [];
  for (let first = 0; first < list.count; first += each) {
    const count = Math.min(each, list.count - first);
    const own = isScattered
      ? { storedFirst: low, read: first === 0 ? read(low, high - low) : undefined }
      : { storedFirst: list.first + first, read: read(list.first + first, count) };
    strips.push({ first, count, ...own });
  }
  const valuesAt = take(each * valueBytes);
  return { companions, order, inputOrder: sorted, codesAt, valuesAt, strips, bytes: at };
}

/** [lowest, highest + 1) */
function spanOf(rows: Int32Array): readonly [number, number] {
  let [low, high] = [rows[0] ?? 0, -1];
  for (const row of rows) {
    low = Math.min(low, row);
    high = Math.max(high, row);
  }
  return [low, high + 1];
}

/** A strip whose codes and companions are in staging memory. */
export function storedStrip(
  staging: Memory,
  { coded, columns }: PlannedPart,
  plan: CodedPlan,
  strip: CodedStrip,
): StoredRows {
  const matrix = coded!;
  const { format, outputs, inputs, group, scaleRows, addToZeros } = matrix;
  return new StoredRows(
    {
      ...{ format, outputs, inputs, group, scaleRows, addToZeros },
      ...{ firstRow: strip.storedFirst, rows: strip.count },
      ...(columns && { firstInput: columns.start, numInputs: columns.count }),
    },
    tensorsOf(staging, matrix, plan, strip),
  );
}

/** Its values. Those of a whole part have the axes of its view, which some forms read. */
export function stripValues(
  stream: Stream,
  staging: Memory,
  { view, rows }: PlannedPart,
  {
    stored,
    dtype,
    plan,
  }: { readonly stored: StoredRows; readonly dtype: FloatDType; readonly plan: CodedPlan },
): Tensor {
  const out = Tensor.packed(staging, dtype, [stored.rows, stored.inputs], plan.valuesAt);
  dequantize(stream, stored, { dtype, out });
  if (!view || stored.rows !== rows) return out;
  const sizes = viewedSizes(view);
  const order = view.order ?? [...sizes.keys()];
  return out.reshape([...order.map((axis) => sizes[axis]!), stored.inputs]);
}

function tensorsOf(staging: Memory, matrix: CodedMatrix, plan: CodedPlan, strip: CodedStrip): StoredTensors {
  const find = (tensor: CodedTensor | undefined): Tensor | undefined => {
    const read = plan.companions.find((one) => one.tensor === tensor);
    return (
      read && Tensor.packed(staging, tensor!.dtype, [read.bytes / byteLength(tensor!.dtype, 1)], read.to)
    );
  };
  const { order, inputOrder, codesAt } = plan;
  const { first, count } = strip;
  const { bytes } = (strip.read ?? plan.strips[0]!.read)!; // those of the first strip are all
  return {
    codes: Tensor.packed(staging, "u8", [bytes], codesAt),
    ...{ scales: find(matrix.scales), zeros: find(matrix.zeros), gIdx: find(matrix.groupOfInput) },
    rowOrder: order && Tensor.packed(staging, "i32", [count], order.at + byteLength("i32", first)),
    kOrder: inputOrder && Tensor.packed(staging, "i32", [inputOrder.inputs.length], inputOrder.at),
  };
}
