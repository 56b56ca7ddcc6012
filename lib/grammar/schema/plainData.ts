/** Data that JSON can hold: what it cannot, JSON.stringify writes as something else, or leaves out. */
import { describe } from "../../arguments.js";
import { ArgumentRangeError, ArgumentTypeError } from "../../errors.js";
import { escapePointer } from "./resources.js";

/**
 * @param at what errors begin with; behind it comes the pointer of what is wrong
 * @throws ArgumentTypeError, ArgumentRangeError
 */
export function requirePlain(data: unknown, at: string): void {
  const pointers = new Map<unknown, string>();
  try {
    JSON.stringify(data, function (this: unknown, key: string, value: unknown) {
      const above = pointers.get(this);
      const pointer = above === undefined ? "" : `${above}/${escapePointer(key)}`;
      requireHeld(value, `${at}: ${pointer || "/"}`);
      if (typeof value === "object" && value !== null) pointers.set(value, pointer);
      return value;
    });
  } catch (cause) {
    if (cause instanceof ArgumentTypeError || cause instanceof ArgumentRangeError) throw cause;
    throw new ArgumentTypeError(`${at}: expected plain data: ${String(cause)}`, undefined, { cause });
  }
}

function requireHeld(value: unknown, at: string): void {
  if (typeof value === "number" && !Number.isFinite(value))
    throw new ArgumentRangeError(`${at}: expected a finite number, got ${value}`);
  const isKnown =
    value === null || ["boolean", "number", "string"].includes(typeof value) || isPlainObject(value);
  if (!isKnown) throw new ArgumentTypeError(`${at}: expected what JSON can hold, got ${describe(value)}`);
}

/** Of any realm; not such as Map, of which nothing would be left. */
const isPlainObject = (value: unknown): boolean =>
  ["[object Object]", "[object Array]"].includes(Object.prototype.toString.call(value));
