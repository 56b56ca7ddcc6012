/** Values of options: from the text of an argument to what the library takes. Ranges are the library's to check. */
import { InvalidArgumentError, Option } from "commander";

/** @throws InvalidArgumentError */
export function number(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) return value;
  throw new InvalidArgumentError(`expected a number, got "${text}"`);
}

/** A whole number, also as 32k. */
export function whole(text: string): number {
  const [, digits, unit = ""] = /^(-?\d+)(k?)$/i.exec(text) ?? [];
  if (digits !== undefined) return Number(digits) * (unit === "" ? 1 : 1024);
  throw new InvalidArgumentError(`expected a whole number, got "${text}"`);
}

/** Bytes: 2GB, 512MB, 1.5GiB, or a number of them. */
export function bytes(text: string): number {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?) ?([kmgt]i?b?|b|)$/i.exec(text) ?? [];
  if (digits === undefined)
    throw new InvalidArgumentError(`expected a size such as 2GB or 512MiB, got "${text}"`);
  const power = "kmgt".indexOf(unit.charAt(0).toLowerCase()) + 1; // of "b" and of nothing: 0
  const base = /i/i.test(unit) ? 1024 : 1000;
  return Math.floor(Number(digits) * base ** (unit === "" ? 0 : power));
}

/** Whole numbers between commas. */
export function wholes(text: string): number[] {
  return text.split(",").map((part) => whole(part.trim()));
}

/** For an option that may come several times. */
export function collect(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), text];
}

/** An option with its value. */
export function option<T>(flags: string, about: string, parse?: (text: string, before: T | undefined) => T) {
  const made = new Option(flags, about);
  return parse ? made.argParser(parse) : made;
}
