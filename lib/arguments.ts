/**
 * What checks of arguments have in common: how a wrong value is printed, which name was probably meant, and that code of the
 * caller (a getter, a Proxy, a toString) that runs while arguments are read cannot end a call in an untyped error.
 */
import { closest, distance } from "fastest-levenshtein";
import { ArgumentRangeError, ArgumentTypeError, WarploopError } from "./errors.js";

const longestText = 80; // characters of a value in a message

/** A value as an error message prints it: short, and without running code of the value. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "function") return "a function";
  if (typeof value === "object") return describeObject(value);
  if (typeof value !== "string") return `${typeof value} ${String(value)}`;
  return JSON.stringify(value.length > longestText ? `${value.slice(0, longestText)}...` : value);
}

function describeObject(value: object): string {
  try {
    if (Array.isArray(value)) return "an array";
    const name: unknown = Object.getPrototypeOf(value)?.constructor?.name;
    return typeof name === "string" && name !== "" && name !== "Object"
      ? `an object of class ${name.slice(0, longestText)}`
      : "an object";
  } catch {
    return "an object that cannot be looked at"; // a Proxy that throws
  }
}

/** `instanceof` that also has an answer for a Proxy that throws. */
export function isInstance<T>(value: unknown, Type: { readonly prototype: T }): value is T {
  try {
    return value instanceof (Type as unknown as new () => T);
  } catch {
    return false;
  }
}

/** True for the errors that lib/errors.ts declares. */
export function isTyped(error: unknown): boolean {
  return (
    isInstance(error, ArgumentTypeError) ||
    isInstance(error, ArgumentRangeError) ||
    isInstance(error, WarploopError)
  );
}

/**
 * Runs `read`, which looks into what a caller passed.
 * @param what the public function and the argument
 * @throws typed errors of `read` as they are; ArgumentTypeError for anything else, with it as the cause
 */
export function readArguments<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (isTyped(cause)) throw cause;
    const message = `${what}: cannot be read: ${messageOf(cause)}`;
    throw new ArgumentTypeError(message, undefined, { cause });
  }
}

function messageOf(error: unknown): string {
  try {
    return isInstance(error, Error) ? error.message : describe(error);
  } catch {
    return "its error cannot be read either";
  }
}

/**
 * A copy of a list of sizes, so that what was checked stays what it is.
 * @param what function and argument
 * @throws ArgumentTypeError for what is no list; ArgumentRangeError for entries that are not whole numbers from `least`
 */
export function checkSizes(what: string, sizes: readonly number[], least = 0): readonly number[] {
  const copy = readArguments(what, () => {
    if (Array.isArray(sizes)) return sizes.slice() as readonly number[];
    throw new ArgumentTypeError(`${what}: expected an array of sizes, got ${describe(sizes)}`);
  });
  for (let i = 0; i < copy.length; i++) {
    if (Number.isSafeInteger(copy[i]) && (copy[i] as number) >= least) continue;
    const expected = `expected whole numbers >= ${least}, got`;
    throw new ArgumentRangeError(`${what}: ${expected} ${describe(copy[i])} at index ${i}`);
  }
  return copy;
}

/** @throws ArgumentTypeError */
export function checkObject(what: string, value: unknown): asserts value is object {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ArgumentTypeError(`${what}: expected an options object, got ${describe(value)}`);
  }
}

/** @throws ArgumentTypeError when `options` is no object or has a name that is not in `known` */
export function checkNames(what: string, options: unknown, known: readonly string[]): void {
  checkObject(what, options);
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    const likely = closestName(unknown, known);
    const hint = likely === undefined ? `known are ${known.join(", ")}` : `did you mean "${likely}"?`;
    throw new ArgumentTypeError(`${what}: unknown option "${unknown}"; ${hint}`, "ERR_UNKNOWN_OPTION");
  }
}

/**
 * The name that was probably meant: another spelling (max_tokens), a few letters off, or a word more or less (abortSignal, temp);
 * undefined when none is near.
 */
export function closestName(name: string, known: readonly string[]): string | undefined {
  const plain = (text: string) => text.replaceAll(/[_-]/g, "").toLowerCase();
  const spelled = plain(name.slice(0, 100));
  const best = closest(spelled, known.map(plain));
  const letters = (text: string) => [...text].sort().join("");
  const isSwapped = distance(spelled, best) === 2 && letters(spelled) === letters(best); // contnet
  const isNear = isSwapped || distance(spelled, best) <= Math.max(1, Math.floor(spelled.length / 4));
  return isNear ? known.find((one) => plain(one) === best) : nameOfSameWords(name.slice(0, 100), known);
}

const leastLetters = 4; // of the words in common: fewer are in too many names

/** The name whose words are all in `name`, or begin with all the words of it; of several the one with the fewest words, if it is one. */
function nameOfSameWords(name: string, known: readonly string[]): string | undefined {
  const wordsOf = (text: string) =>
    (text.match(/[A-Z]?[a-z]+|[A-Z]+|\d+/g) ?? []).map((word) => word.toLowerCase());
  const given = wordsOf(name);
  const isLong = (words: readonly string[]) => words.join("").length >= leastLetters;
  const isAlike = (words: readonly string[]) =>
    (isLong(words) && words.every((word) => given.includes(word))) ||
    (isLong(given) && given.every((part) => words.some((word) => word.startsWith(part))));
  const alike = known.map((one) => ({ one, words: wordsOf(one) })).filter(({ words }) => isAlike(words));
  const fewest = Math.min(...alike.map(({ words }) => words.length));
  const shortest = alike.filter(({ words }) => words.length === fewest);
  return shortest.length === 1 ? shortest[0]!.one : undefined;
}

/** A copy of an options object whose names are checked later. @throws ArgumentTypeError */
export function copyOptions<T extends object>(what: string, options: T): T {
  return readArguments(`${what}: options`, () => {
    checkObject(what, options);
    return { ...options };
  });
}

/** `Names` if it has every option of `T`, else what no list is: an option that is not listed does not compile. */
type AllOptions<T, Names extends readonly string[]> =
  Exclude<keyof T, Names[number]> extends never
    ? Names
    : { readonly missing: Exclude<keyof T, Names[number]> };

/**
 * The known options as a plain object: each is read once, so that what was checked is what is used, whatever a getter or a
 * Proxy returns the next time.
 *
 * @param known the names of all options of `T`: literals, so that the compiler sees a missing one
 * @throws ArgumentTypeError as checkNames, and when reading an option throws
 */
export function readOptions<T extends object, const Names extends readonly (keyof T & string)[]>(
  what: string,
  options: T,
  known: Names & AllOptions<T, Names>,
): T {
  return readArguments(`${what}: options`, () => {
    checkNames(what, options, known);
    const read: Partial<T> = {};
    for (const name of known as Names) read[name] = options[name];
    return read as T;
  });
}

/** @returns value, or `fallback` when it is undefined. @throws ArgumentTypeError */
export function checkBoolean(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value !== "boolean")
    throw new ArgumentTypeError(`${name}: expected true or false, got ${describe(value)}`);
  return value;
}
