/**
 * Float dtypes as values and as raw bits, for tests: an input is first rounded to its dtype, then the float64 reference
 * and the device both start from the rounded values. Rounding is to nearest, ties to even, straight from float64 (no
 * double rounding through float32). Independent of lib/device/dtype.ts on purpose: it checks that one.
 */

/** The dtypes in which activations, weights and KV pages may be stored. */
export type FloatDType = "f32" | "bf16" | "f16";

/** A float format: significant bits with the implicit one, exponents of the normal range, largest finite value. */
export interface FloatFormat {
  readonly significandBits: number;
  readonly minExponent: number;
  readonly maxFinite: number;
}

export const floatFormats: Readonly<Record<FloatDType, FloatFormat>> = {
  f32: { significandBits: 24, minExponent: -126, maxFinite: (2 - 2 ** -23) * 2 ** 127 },
  bf16: { significandBits: 8, minExponent: -126, maxFinite: (2 - 2 ** -7) * 2 ** 127 },
  f16: { significandBits: 11, minExponent: -14, maxFinite: 65504 },
};

/** Every value rounded to the nearest value of the dtype. */
export function roundTo(dtype: FloatDType, values: Float64Array): Float64Array {
  return values.map((value) => roundValue(dtype, value));
}

/** One value rounded to the nearest value of the dtype, ties to even; overflow gives infinity. */
export function roundValue(dtype: FloatDType, value: number): number {
  if (value === 0 || !Number.isFinite(value)) return value;
  const { significandBits, minExponent, maxFinite } = floatFormats[dtype];
  // Below the normal range the spacing stays that of the smallest normal exponent: subnormals.
  const spacing = 2 ** (Math.max(exponentOf(value), minExponent) - significandBits + 1);
  const rounded = roundHalfEven(Math.abs(value) / spacing) * spacing;
  return Math.sign(value) * (rounded > maxFinite ? Infinity : rounded); // -0 when a negative value underflows
}

/** The array that holds values of a dtype. */
type Storage<D extends FloatDType> = D extends "f32" ? Float32Array : Uint16Array;

/** Storage of a dtype: float32 values, or the raw 16 bits of each element. Values are rounded first. */
export function toStorage<D extends FloatDType>(dtype: D, values: Float64Array): Storage<D> {
  const stored =
    dtype === "f32"
      ? Float32Array.from(values, (value) => roundValue("f32", value))
      : Uint16Array.from(values, dtype === "bf16" ? bf16Bits : f16Bits);
  return stored as Storage<D>;
}

/** The values behind `toStorage`, exactly. */
export function fromStorage(dtype: FloatDType, storage: Float32Array | Uint16Array): Float64Array {
  if (dtype === "f32") return Float64Array.from(storage);
  return Float64Array.from(storage, dtype === "bf16" ? bf16Value : f16Value);
}

const scratch = new DataView(new ArrayBuffer(8));

/** floor(log2 |value|), exactly; float64 subnormals count as -1023, below every format here. */
function exponentOf(value: number): number {
  scratch.setFloat64(0, value);
  return ((scratch.getUint32(0) >>> 20) & 0x7ff) - 1023;
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

function bf16Bits(value: number): number {
  if (Number.isNaN(value)) return 0x7fc0;
  scratch.setFloat32(0, roundValue("bf16", value)); // exact: bf16 is the upper half of a float32
  return scratch.getUint16(0);
}

function bf16Value(bits: number): number {
  scratch.setUint32(0, bits * 0x10000);
  return scratch.getFloat32(0);
}

function f16Bits(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const rounded = roundValue("f16", value);
  const sign = rounded < 0 || Object.is(rounded, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(rounded);
  if (magnitude === Infinity) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | (magnitude * 2 ** 24);
  const exponent = exponentOf(magnitude);
  return sign | ((exponent + 15) << 10) | ((magnitude / 2 ** exponent - 1) * 2 ** 10);
}

function f16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 2 ** 10) * 2 ** (exponent - 15);
}
