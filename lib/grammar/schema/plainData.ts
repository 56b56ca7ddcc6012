/** Data that JSON can hold: what it cannot, JSON.stringify writes as something else, or leaves out. */
import { describe } from "../../arguments.js";
import { ArgumentRangeError, ArgumentTypeError } from "../../errors.js";
import { escapePointer } from "./resources.js";

/** Less than JSON.stringify takes, which goes into the depth on the stack. */
const mostLevels = 2000;
/** Of values, each of which has a character at least, and one beside it: whoever writes them out refuses so many. */
const mostValues = 2 ** 20;

/**
 * @param at what errors begin with; behind it comes the pointer of what is wrong
 * @throws ArgumentTypeError, ArgumentRangeError
 */
export function requirePlain(data: unknown, at: string): void {
  try {
    new PlainData(at).require(data, undefined, "", 0);
  } catch (cause) {
    if (cause instanceof ArgumentTypeError || cause instanceof ArgumentRangeError) throw cause;
    throw new ArgumentTypeError(`${at}: expected plain data: ${String(cause)}`, undefined, { cause });
  }
}

/** An array or object on the way to a value: a pointer is made of the value that is wrong, and there may be a million. */
interface Place {
  /** None of the whole. */
  readonly above: Place | undefined;
  readonly key: string | number;
}

class PlainData {
  readonly #at: string;
  #numValues = 0;

  constructor(at: string) {
    this.#at = at;
  }

  require(value: unknown, above: Place | undefined, key: string | number, level: number): void {
    if (typeof value === "string" || typeof value === "boolean" || value === null) return;
    if (typeof value === "number") {
      if (Number.isFinite(value)) return;
      throw new ArgumentRangeError(`${this.#pointer(above, key)}: expected a finite number, got ${value}`);
    }
    if (typeof value !== "object" || !isPlainObject(value))
      throw new ArgumentTypeError(
        `${this.#pointer(above, key)}: expected what JSON can hold, got ${describe(value)}`,
      );
    this.#requireParts(value, { above, key }, level + 1);
  }

  #requireParts(value: object, place: Place, level: number): void {
    if (level > mostLevels)
      throw new ArgumentRangeError(
        `${this.#at}: expected plain data: it is nested too deeply, or contains itself`,
      );
    if (Array.isArray(value)) {
      this.#count(value.length);
      for (let i = 0; i < value.length; i++) this.require(value[i], place, i, level);
      return;
    }
    const keys = Object.keys(value);
    this.#count(keys.length);
    for (const key of keys) this.require((value as Record<string, unknown>)[key], place, key, level);
  }

  #count(more: number): void {
    this.#numValues += more;
    if (this.#numValues > mostValues)
      throw new ArgumentRangeError(`${this.#at}: expected at most ${mostValues} values`);
  }

  #pointer(above: Place | undefined, key: string | number): string {
    return `${this.#at}: ${above === undefined ? "/" : pointerOf({ above, key })}`;
  }
}

function pointerOf({ above, key }: Place): string {
  return above === undefined ? "" : `${pointerOf(above)}/${escapePointer(String(key))}`;
}

/** Of any realm; not such as Map, of which nothing would be left, and not what JSON is told another value of. */
function isPlainObject(value: object): boolean {
  if (typeof (value as { toJSON?: unknown }).toJSON === "function") return false;
  return ["[object Object]", "[object Array]"].includes(Object.prototype.toString.call(value));
}
