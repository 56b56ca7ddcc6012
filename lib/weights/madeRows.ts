/** Rows of floats that a load makes codes of, on their way through the loader's staging memory. */
import type { Stream } from "../device/stream.js";
import { type Memory, Tensor } from "../device/tensor.js";
import { quantize } from "../ops/quantize.js";
import { quantizedSizes, storedOf } from "../ops/quantizedShape.js";
import type { StoredRows } from "../ops/storedRows.js";
import { madeScale } from "./codedFormat.js";
import type { MadeCodes } from "./codedMatrix.js";
import { roomBytes } from "./weightArena.js";
import type { PlannedPart } from "./weightMap.js";

/** Of staging memory, for codes and scales of so many rows. */
export function madeBytes(
  { stored, transpose, columns }: PlannedPart,
  made: MadeCodes,
  rows: number,
): number {
  const inputs = columns?.count ?? stored.shape[transpose ? 0 : 1]!;
  const { codeBytes, groups } = quantizedSizes({ ...made, outputs: rows, inputs });
  return roomBytes("u8", [codeBytes]) + roomBytes(madeScale, [rows, groups]);
}

/**
 * @param values [.., K], any strides
 * @param at where staging memory is free
 */
export function makeCodes(
  stream: Stream,
  values: Tensor,
  made: MadeCodes,
  { staging, at }: { readonly staging: Memory; readonly at: number },
): StoredRows {
  const inputs = values.size(-1);
  const shape = { ...made, outputs: values.numel / inputs, inputs, scale: madeScale } as const;
  const { codeBytes, groups } = quantizedSizes(shape);
  const codes = Tensor.packed(staging, "u8", [codeBytes], at);
  const scales = Tensor.packed(
    staging,
    madeScale,
    [shape.outputs, groups],
    at + roomBytes("u8", [codeBytes]),
  );
  return quantize(stream, values, storedOf(shape, { codes, scales }));
}
