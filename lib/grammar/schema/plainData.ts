/** Data that JSON can hold: what it cannot, JSON.stringify writes as something else, or leaves out. */
import { describe } from "../../arguments.js";
import { ArgumentRangeError, ArgumentTypeError } from "../../errors.js";
import { escapePointer } from "./resources.js";

/**
 * @param at what errors begin with; behind it comes the pointer of what is wrong
 * @throws ArgumentTypeError, ArgumentRangeError
 */
export function requirePlain(data: unknown, at: string): void {
  const places = new Map<unknown, Place>();
  try {
    JSON.stringify(data, function (this: unknown, key: string, value: unknown) {
      const place = { above: places.get(this), key };
      requireHeld(value, () => `${at}: ${pointerOf(place) || "/"}`);
      if (typeof value === "object" && value !== null) places.set(value, place);
      return value;
    });
  } catch (cause) {
    if (cause instanceof ArgumentTypeError || cause instanceof ArgumentRangeError) throw cause;
    throw new ArgumentTypeError(`${at}: expected plain data: ${String(cause)}`, undefined, { cause });
  }
}

/** Schemas have hundreds of thousands of values: a pointer is made of the one that is wrong. */
interface Place {
  /** None of the whole. */
  readonly above: Place | undefined;
  readonly key: string;
}

function pointerOf({ above, key }: Place): string {
  return above === undefined ? "" : `${pointerOf(above)}/${escapePointer(key)}`;
}

function requireHeld(value: unknown, at: () => string): void {
  if (typeof value === "number" && !Number.isFinite(value))
    throw new ArgumentRangeError(`${at()}: expected a finite number, got ${value}`);
  const isHeld =
    value === null || ["boolean", "number", "string"].includes(typeof value) || isPlainObject(value);
  if (!isHeld) throw new ArgumentTypeError(`${at()}: expected what JSON can hold, got ${describe(value)}`);
}

/** Of any realm; not such as Map, of which nothing would be left. */
const isPlainObject = (value: unknown): boolean =>
  ["[object Object]", "[object Array]"].includes(Object.prototype.toString.call(value));
