/** What stands behind the colon of a field of `"{:>8.2f}".format(value)`, and which of it Python takes for which value. */
import { Float, numberOf, TemplateError, typeName, type Value } from "./values.js";

export interface FormatSpec {
  readonly fill: string | undefined;
  readonly side: string | undefined;
  readonly flags: string;
  readonly width: number;
  readonly comma: string;
  readonly digits: number | undefined;
  /** The letter at the end; empty if there is none. */
  readonly kind: string;
}

const specification =
  /^(?:(?<fill>.)?(?<side>[<>^=]))?(?<flags>[-+ ]?#?0?)(?<width>\d*)(?<comma>[,_]?)(?:\.(?<precision>\d+))?(?<kind>[a-zA-Z%]?)$/su;

/** Letters of numbers with a point. */
const floatKinds = "eEfFgG%";

/** @throws TemplateError for what Python refuses, and for `#` of floats groups of other than decimal digits and of zeros in front, which are not known here */
export function readSpec(value: Value, spec: string): FormatSpec {
  const groups = specification.exec(spec)?.groups;
  if (!groups) throw new TemplateError(`format: invalid format specifier '${spec}'`);
  const { fill, side, flags = "", width, comma = "", precision, kind = "" } = groups;
  const digits = precision === undefined ? undefined : Number(precision);
  const parsed = { fill, side, flags, width: Number(width ?? 0), comma, digits, kind };
  const problem = problemOf(value, parsed);
  if (problem === undefined) return parsed;
  throw new TemplateError(`format: '${spec}' of a ${typeName(value)}: ${problem}`);
}

function problemOf(value: Value, { side, flags, comma, digits, kind }: FormatSpec): string | undefined {
  if (typeof value === "string") {
    if (kind !== "" && kind !== "s") return `unknown format code '${kind}'`;
    return /[-+ #]/.test(flags) || comma !== "" || side === "=" ? "for numbers only" : undefined;
  }
  const isWhole = typeof value === "bigint" || (numberOf(value) !== undefined && !(value instanceof Float));
  if (!isWhole && !(value instanceof Float)) return "expected a str or a number";
  if (!(`${floatKinds}n`.includes(kind) || (isWhole && "bcdoxX".includes(kind))))
    return `unknown format code '${kind}'`;
  const isFloat = value instanceof Float || (kind !== "" && floatKinds.includes(kind));
  if (!isFloat && digits !== undefined) return "whole numbers have no precision";
  if (isFloat && flags.includes("#")) return "# is not known here";
  if (comma !== "" && (flags.includes("0") || side === "="))
    return "groups of zeros in front are not known here";
  return comma !== "" && "bcnoxX".includes(kind) && kind !== ""
    ? `'${comma}' with '${kind}' is not known here`
    : undefined;
}
