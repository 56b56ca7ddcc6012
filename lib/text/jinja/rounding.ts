/** Rounding as Python does it: of the exact value that a float has, halves to the even neighbour. */
import { Reader } from "./arguments.js";
import { type Arguments, Float, numberOf, TemplateError, typeName, type Value } from "./values.js";

/** Python's `round(value, digits)` of a float; digits may be negative. @throws TemplateError beyond what a float can hold */
export function roundFloat(value: number, digits: number): number {
  // Beyond these, every float has fewer digits, or is less than half of one.
  if (!Number.isFinite(value) || digits > 323) return value;
  if (digits < -308) return 0 * value;
  let [numerator, denominator] = fractionOf(Math.abs(value));
  if (digits > 0) numerator *= 10n ** BigInt(digits);
  else denominator *= 10n ** BigInt(-digits);
  const rounded = Number(`${divideToEven(numerator, denominator)}e${-digits}`);
  if (!Number.isFinite(rounded)) throw new TemplateError("round: the rounded value is too large for a float");
  return value < 0 || Object.is(value, -0) ? -rounded : rounded;
}

/** A float that is not negative as an exact fraction. */
function fractionOf(value: number): [bigint, bigint] {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const bits = view.getBigUint64(0);
  const exponent = Number(bits >> 52n);
  const mantissa = (bits & ((1n << 52n) - 1n)) | (exponent === 0 ? 0n : 1n << 52n);
  const shift = Math.max(exponent, 1) - 1075;
  return shift >= 0 ? [mantissa << BigInt(shift), 1n] : [mantissa, 1n << BigInt(-shift)];
}

function divideToEven(numerator: bigint, denominator: bigint): bigint {
  const [quotient, twice] = [numerator / denominator, 2n * (numerator % denominator)];
  return twice > denominator || (twice === denominator && quotient % 2n === 1n) ? quotient + 1n : quotient;
}

function roundInteger(value: number, digits: number): number {
  if (digits >= 0) return value;
  if (digits < -308) return 0;
  const size = divideToEven(BigInt(Math.abs(value)), 10n ** BigInt(-digits)) * 10n ** BigInt(-digits);
  return value < 0 ? 0 - Number(size) : Number(size);
}

/** The filter `round`. */
export function round(value: Value, args: Arguments): Value {
  const read = new Reader("round", ["precision", "method"], args);
  const [precision, method] = [read.integer("precision", 0), read.string("method", "common")];
  const number = numberOf(value);
  if (number === undefined) throw new TemplateError(`round: expected a number, got ${typeName(value)}`);
  if (method === "common") {
    return value instanceof Float
      ? new Float(roundFloat(number, precision))
      : roundInteger(number, precision);
  }
  if (method !== "ceil" && method !== "floor")
    throw new TemplateError("round: method must be common, ceil or floor");
  const scale = Number(`1e${precision}`);
  const rounded = Math[method](number * scale) / scale;
  if (!Number.isFinite(rounded)) throw new TemplateError("round: the rounded value is too large for a float");
  return new Float(rounded);
}
