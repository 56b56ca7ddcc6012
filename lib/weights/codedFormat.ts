/**
 * In which format a matrix in codes is kept: as codes where the device multiplies them, else as floats. Codes that a load makes are kept.
 */
import type { FloatDType } from "../device/dtype.js";
import { ArgumentRangeError } from "../errors.js";
import { quantizedFormatOf, type QuantizedFormat } from "../ops/weightFormat.js";
import type { ActivationsOption } from "./activationDtype.js";
import type { PlannedPart, PlannedWeight } from "./weightMap.js";

/** Inputs of a group have to be a multiple of it (native/formats/quantised.h). */
const groupUnit = 16;
/** Dtype of the scales that a load makes. */
export const madeScale = "bf16";
/** Inputs that share the outer scale of formats with two. */
const outerGroup = 256;

export interface KeptOptions {
  /** Formats that the device multiplies. */
  readonly weightFormats: readonly string[];
  /** Products make bytes of activations first, where the format has such products. */
  readonly int8Activations: boolean;
}

/** @returns undefined: it has to become, or stays, floats */
export function keptFormat(
  { coded, made, columns }: PlannedPart,
  { weightFormats, int8Activations }: KeptOptions,
): QuantizedFormat | undefined {
  const activation = (format: QuantizedFormat) =>
    int8Activations && format.format !== "fp8" ? "int8" : "float";
  if (made) {
    const format = quantizedFormatOf(made.format, { group: made.group, scale: madeScale, zeros: false });
    return { ...format, activation: activation(format) };
  }
  if (!coded) return undefined;
  // Inputs of a group have to be neighbours, or become them: of some inputs in another order there is no whole group.
  if (coded.groupOfInput && (!coded.inputOrder || columns)) return undefined;
  const { scales, zeros, inputs } = coded;
  const group = (coded.group ?? 0) < inputs ? (coded.group ?? 0) : 0;
  const scale = scales && scales.dtype !== "u8" ? (scales.dtype as FloatDType) : "f32";
  const format = quantizedFormatOf(coded.format, { group, scale, zeros: zeros !== undefined });
  if (!weightFormats.includes(format.format) || format.group % groupUnit !== 0) return undefined;
  const unit = format.scale.startsWith("f16") && format.scale !== "f16" ? outerGroup : format.group;
  const isDivided = columns !== undefined && unit > 0;
  if (isDivided && (columns.start % unit !== 0 || columns.count % unit !== 0)) return undefined;
  return { ...format, activation: activation(format) };
}

/** @throws ArgumentRangeError if bytes are asked for and no product of the model would make any */
export function checkActivations(
  option: ActivationsOption,
  plan: readonly PlannedWeight[],
  options: KeptOptions,
): void {
  if (option !== "int8") return;
  const isMade = (part: PlannedPart) => keptFormat(part, options)?.activation === "int8";
  if (plan.some(({ parts }) => parts.some(isMade))) return;
  throw new ArgumentRangeError(
    'activations: expected "auto" or "float", got "int8": no matrix of this model is kept in codes of int8, int4 or fp4 on this device',
  );
}
