/** Numbers as decimal digits. */

/** Of -12.5 { isNegative: true, whole: "12", fraction: "5" }. */
export interface Decimal {
  readonly isNegative: boolean;
  readonly whole: string;
  /** Without zeros at its end. */
  readonly fraction: string;
}

/** The shortest digits that are read as the number; of an integer all of them. @param value finite */
export function decimalOf(value: number): Decimal {
  const shown = Number.isInteger(value) ? BigInt(value).toString() : String(value);
  const [, sign = "", digits = "", behind = "", exponent = "0"] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/.exec(shown)!;
  const point = digits.length + Number(exponent);
  const all = digits + behind;
  const whole = point <= 0 ? "0" : all.slice(0, point).padEnd(point, "0");
  const fraction = point <= 0 ? "0".repeat(-point) + all : all.slice(point);
  return {
    isNegative: sign === "-",
    whole: whole.replace(/^0+(?=\d)/, ""),
    fraction: fraction.replace(/0+$/, ""),
  };
}

/** The next number on a side of one. @param value finite, not 0 */
export function nextDouble(value: number, side: "above" | "below"): number {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  const isLarger = value > 0 === (side === "above"); // in magnitude, which is in the order of the bits
  view.setBigUint64(0, view.getBigUint64(0) + (isLarger ? 1n : -1n));
  return view.getFloat64(0);
}
