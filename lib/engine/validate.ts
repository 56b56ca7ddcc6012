/** Checks of user options: unknown names, wrong types and values out of range each give a typed error that names them. */
import { checkNames, checkObject, describe, readArguments } from "../arguments.js";
import { ArgumentRangeError, ArgumentTypeError } from "../errors.js";

export interface NumberRule {
  readonly min?: number;
  readonly max?: number;
  readonly integer?: boolean;
}

/** A copy of an options object whose names are checked later. @throws ArgumentTypeError */
export function copyOptions<T extends object>(what: string, options: T): T {
  return readArguments(what, () => {
    checkObject(what, options);
    return { ...options };
  });
}

/**
 * The known options as a plain object: each is read once, so that what was checked is what is used, whatever a getter or a
 * Proxy returns the next time.
 *
 * @throws ArgumentTypeError as checkNames, and when reading an option throws
 */
export function readOptions<T extends object>(
  what: string,
  options: T,
  known: readonly (keyof T & string)[],
): T {
  return readArguments(what, () => {
    checkNames(what, options, known);
    const read: Partial<T> = {};
    for (const name of known) read[name] = options[name];
    return read as T;
  });
}

/** @returns value, or `fallback` when it is undefined. @throws ArgumentTypeError, ArgumentRangeError */
export function checkNumber(
  name: string,
  value: unknown,
  fallback: number,
  { min = -Infinity, max = Infinity, integer = false }: NumberRule = {},
): number {
  if (value === undefined) return fallback;
  if (typeof value !== "number") {
    throw new ArgumentTypeError(`${name}: expected a number, got ${describe(value)}`);
  }
  if (!(value >= min && value <= max) || (integer && !Number.isInteger(value))) {
    const kind = integer ? "an integer" : "a number";
    throw new ArgumentRangeError(`${name}: expected ${kind} from ${min} to ${max}, got ${value}`);
  }
  return value;
}

/** @returns value, or `fallback` when it is undefined. @throws ArgumentTypeError */
export function checkBoolean(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value !== "boolean")
    throw new ArgumentTypeError(`${name}: expected true or false, got ${describe(value)}`);
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

/** Token ids as a plain list. @throws ArgumentTypeError, ArgumentRangeError naming the entry */
export function checkTokenIds(name: string, value: unknown, vocabSize: number): number[] {
  const ids = readArguments(name, () => {
    const isList = Array.isArray(value) || value instanceof Int32Array || value instanceof Uint32Array;
    if (isList) return Array.from(value as ArrayLike<unknown>);
    throw new ArgumentTypeError(`${name}: expected token ids, got ${describe(value)}`);
  });
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i];
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= vocabSize) {
      throw new ArgumentRangeError(
        `${name}[${i}]: expected a token id from 0 to ${vocabSize - 1}, got ${describe(id)}`,
      );
    }
  }
  return ids as number[];
}
