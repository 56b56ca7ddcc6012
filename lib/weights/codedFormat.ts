/**
 * In which format a matrix in codes is kept: as codes where the device multiplies them, else as floats.
 */
import type { FloatDType } from "../device/dtype.js";
import { quantizedFormatOf, type QuantizedFormat } from "../ops/weightFormat.js";
import type { PlannedPart } from "./weightMap.js";

/** Inputs of a group have to be a multiple of it (native/formats/quantised.h). */
const groupUnit = 16;
/** Inputs that share the outer scale of formats with two. */
const outerGroup = 256;

/**
 * @param known formats that the device multiplies
 * @returns undefined: it has to become floats
 */
export function keptFormat(
  { coded, columns }: PlannedPart,
  known: readonly string[],
): QuantizedFormat | undefined {
  if (!coded || coded.groupOfInput) return undefined; // inputs of a group have to be neighbours
  const { scales, zeros, inputs } = coded;
  const group = (coded.group ?? 0) < inputs ? (coded.group ?? 0) : 0;
  const scale = scales && scales.dtype !== "u8" ? (scales.dtype as FloatDType) : "f32";
  const format = quantizedFormatOf(coded.format, { group, scale, zeros: zeros !== undefined });
  if (!known.includes(format.format) || format.group % groupUnit !== 0) return undefined;
  const unit = format.scale.startsWith("f16") && format.scale !== "f16" ? outerGroup : format.group;
  const isDivided = columns !== undefined && unit > 0;
  if (isDivided && (columns.start % unit !== 0 || columns.count % unit !== 0)) return undefined;
  return format;
}
