/**
 * How weights lie in memory: the formats that products read, and what tells those of codes from one another. Their bytes only the addon
 * knows (native/formats/).
 */
import type { FloatDType } from "../device/dtype.js";
import type { StoredFormat } from "./storedRows.js";

/** The order of WARPLOOP_WEIGHT_FORMATS in native/formats/weight_view.h; the numbers cross the boundary. */
export const weightFormats = ["dense", "int8", "int4", "fp4", "fp8"] as const;
export type WeightFormatName = (typeof weightFormats)[number];

/** The order of ScaleType there. f16u8, f16s8: an f16 for each 256 inputs times a byte for each group. */
export const scaleTypes = ["f32", "f16", "bf16", "e8m0", "f16u8", "f16s8"] as const;
export type ScaleType = (typeof scaleTypes)[number];

/** The order of OffsetType there: nothing, a zero point among the codes, or a minimum that is subtracted, f16 or in two levels. */
export const offsetTypes = ["none", "zero", "min", "f16u8"] as const;
export type OffsetType = (typeof offsetTypes)[number];

/**
 * The order of Activation there. What a product makes of x first: nothing, or signed bytes with a scale for each 32 inputs, of weights
 * in groups of a multiple of 128 (or in none) for each 128.
 */
export const activationTypes = ["float", "int8"] as const;
export type ActivationType = (typeof activationTypes)[number];

/** Numbers of a float dtype. */
export interface DenseFormat {
  readonly format: "dense";
  readonly dtype: FloatDType;
}

/** Codes, with scales for groups of inputs: (code - zero) scale - minimum. */
export interface QuantizedFormat {
  /** int8: signed bytes; int4: 0 to 15; fp4: e2m1; fp8: e4m3. */
  readonly format: Exclude<WeightFormatName, "dense">;
  /** Of its bytes in memory. */
  readonly dtype: "u8";
  /** Inputs that share a scale, a multiple of 16; 0: all. */
  readonly group: number;
  readonly scale: ScaleType;
  readonly offset: OffsetType;
  /** Not "int8" of fp8. */
  readonly activation: ActivationType;
}

/** How a weight is kept: one member for each native format, told apart by `format`. */
export type WeightFormat = DenseFormat | QuantizedFormat;

/** What crosses the boundary of a format: its number, and those of native/formats/weight_view.h FormatNumbers. @internal */
export function formatNumbers(
  of: WeightFormat,
): readonly [format: number, group: number, scale: number, offset: number, activation: number] {
  const format = weightFormats.indexOf(of.format);
  if (of.format === "dense") return [format, 0, 0, 0, 0];
  const types = [scaleTypes.indexOf(of.scale), offsetTypes.indexOf(of.offset)] as const;
  return [format, of.group, ...types, activationTypes.indexOf(of.activation)];
}

/** "dense bf16", "int4 in groups of 128" */
export function formatText(of: WeightFormat): string {
  if (of.format === "dense") return `dense ${of.dtype}`;
  return of.group === 0 ? of.format : `${of.format} in groups of ${of.group}`;
}

/** Stored formats whose scales lie inside, and what keeps them. */
const ofBlocks: Partial<Record<StoredFormat, Omit<QuantizedFormat, "dtype" | "activation">>> = {
  q8_0: { format: "int8", group: 32, scale: "f16", offset: "none" },
  q4_0: { format: "int4", group: 32, scale: "f16", offset: "none" },
  q4_1: { format: "int4", group: 32, scale: "f16", offset: "min" },
  q5_0: { format: "int8", group: 32, scale: "f16", offset: "none" },
  q5_1: { format: "int8", group: 32, scale: "f16", offset: "min" },
  q4_k: { format: "int4", group: 32, scale: "f16u8", offset: "f16u8" },
  q5_k: { format: "int8", group: 32, scale: "f16u8", offset: "f16u8" },
  q6_k: { format: "int8", group: 16, scale: "f16s8", offset: "none" },
  mxfp4: { format: "fp4", group: 32, scale: "e8m0", offset: "none" },
  mxfp4_gguf: { format: "fp4", group: 32, scale: "e8m0", offset: "none" },
};

/** What `quantizedFormatOf` is told of a stored weight. */
export interface StoredScales {
  /** Inputs that share a scale; 0: all of a row. */
  readonly group: number;
  readonly scale: FloatDType;
  /** Whether zero points are stored. */
  readonly zeros: boolean;
}

/**
 * The format that keeps codes, scales and zero points of a stored one as they are, for activations that stay floats; `scales` of those
 * that have theirs beside the codes.
 */
export function quantizedFormatOf(stored: StoredFormat, scales?: StoredScales): QuantizedFormat {
  const known = ofBlocks[stored];
  const common = { dtype: "u8", activation: "float" } as const;
  if (known) return { ...known, ...common };
  const { group, scale, zeros } = scales!;
  const format = stored === "fp8" ? "fp8" : stored.endsWith("8") ? "int8" : "int4";
  return { format, group, scale, offset: zeros ? "zero" : "none", ...common };
}
