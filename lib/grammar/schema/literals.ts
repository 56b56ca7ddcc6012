/** Whether a number that a schema names is valid for what it says besides. */
import { decimalOf } from "./decimals.js";
import { numberFormats } from "./formats.js";
import { noInteger, otherThan } from "./negation.js";
import { type Conjunction, type SchemaAt, schemaError } from "./schemaAt.js";
import { numberOf } from "./values.js";

/** @throws ArgumentRangeError */
export function allowsNumber(list: Conjunction, value: number): boolean {
  return list.every((at) => {
    const bound = (keyword: string, otherwise: number): number => numberOf(at, keyword) ?? otherwise;
    const others = (at.schema[otherThan] as readonly unknown[] | undefined) ?? [];
    return (
      value >= bound("minimum", -Infinity) &&
      value <= bound("maximum", Infinity) &&
      value > bound("exclusiveMinimum", -Infinity) &&
      value < bound("exclusiveMaximum", Infinity) &&
      isMultiple(at, value) &&
      isOfFormat(at.schema["format"], value) &&
      !others.includes(value) &&
      !(at.schema[noInteger] !== undefined && Number.isInteger(value))
    );
  });
}

/** As decimals: 0.3 is a multiple of 0.1. */
function isMultiple(at: SchemaAt, value: number): boolean {
  const of = numberOf(at, "multipleOf");
  if (of === undefined) return true;
  if (of <= 0) throw schemaError(at.pointer, "multipleOf", `expected a number above 0, got ${of}`);
  const [own, other] = [decimalOf(value), decimalOf(of)];
  const decimals = Math.max(own.fraction.length, other.fraction.length);
  const scaled = ({ whole, fraction }: typeof own): bigint => BigInt(whole + fraction.padEnd(decimals, "0"));
  return scaled(own) % scaled(other) === 0n;
}

function isOfFormat(format: unknown, value: number): boolean {
  const bound = numberFormats.get(format as string);
  return bound === undefined || (Number.isInteger(value) && value >= -bound && value < bound);
}
