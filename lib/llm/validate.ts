/** Checks of user options: unknown names, wrong types and values out of range each give a typed error that names them. */
import { describe, readArguments } from "../arguments.js";
import { ArgumentRangeError, ArgumentTypeError } from "../errors.js";

export interface NumberRule {
  readonly min?: number;
  readonly max?: number;
  readonly integer?: boolean;
}

/**
 * @param other a number outside the rule that the caller takes, too; named in errors
 * @returns value, or `fallback` when it is undefined. @throws ArgumentTypeError, ArgumentRangeError
 */
export function checkNumber(
  name: string,
  value: unknown,
  fallback: number,
  { min = -Infinity, max = Infinity, integer = false }: NumberRule = {},
  other?: number,
): number {
  if (value === undefined) return fallback;
  if (typeof value !== "number") {
    throw new ArgumentTypeError(`${name}: expected a number, got ${describe(value)}`);
  }
  if (!(value >= min && value <= max) || (integer && !Number.isInteger(value))) {
    const kind = integer ? "an integer" : "a number";
    const range = `from ${min} to ${max}${other === undefined ? "" : `, or ${other}`}`;
    throw new ArgumentRangeError(`${name}: expected ${kind} ${range}, got ${value}`);
  }
  return value;
}

/** @returns value, or `fallback` when it is undefined. @throws ArgumentTypeError, ArgumentRangeError */
export function checkChoice<T extends string>(
  name: string,
  value: unknown,
  fallback: T,
  choices: readonly T[],
): T {
  if (value === undefined) return fallback;
  if (!choices.includes(value as T)) {
    throw new ArgumentRangeError(
      `${name}: expected ${choices.map((c) => `"${c}"`).join(" or ")}, got ${describe(value)}`,
    );
  }
  return value as T;
}

/** @returns value, or `fallback` when it is undefined. @throws ArgumentTypeError */
export function checkText(name: string, value: unknown, fallback: string): string {
  if (value === undefined) return fallback;
  if (typeof value !== "string")
    throw new ArgumentTypeError(`${name}: expected a string, got ${describe(value)}`);
  return value;
}

/** @throws ArgumentTypeError */
export function checkSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined) return undefined;
  try {
    if (value instanceof AbortSignal && typeof value.aborted === "boolean") return value;
  } catch {
    // something that only looks like one
  }
  throw new ArgumentTypeError(`signal: expected an AbortSignal, got ${describe(value)}`);
}

/** A copy of token ids, off the heap: of a burst there are many. @throws ArgumentTypeError, ArgumentRangeError naming the entry */
export function checkTokenIds(name: string, value: unknown, vocabSize: number): Int32Array {
  return readArguments(name, () => {
    if (!(Array.isArray(value) || value instanceof Int32Array || value instanceof Uint32Array)) {
      throw new ArgumentTypeError(`${name}: expected token ids, got ${describe(value)}`);
    }
    const list = value as ArrayLike<unknown>;
    const ids = new Int32Array(list.length);
    for (let i = 0; i < ids.length; i++) {
      const id = list[i];
      if (typeof id !== "number" || id !== (id | 0) || id < 0 || id >= vocabSize) {
        throw new ArgumentRangeError(
          `${name}[${i}]: expected a token id from 0 to ${vocabSize - 1}, got ${describe(id)}`,
        );
      }
      ids[i] = id;
    }
    return ids;
  });
}
