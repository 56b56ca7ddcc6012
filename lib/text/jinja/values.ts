/**
 * The values of a template, with Python's rules for truth and text, because templates are written for Jinja on Python
 * (iteration.ts and comparisons.ts have the others). Strings, numbers (int; a bigint where a number would round), booleans,
 * null (None), arrays (list) and maps (dict) are JavaScript's own. Nothing here has a prototype that a template could reach:
 * attributes are looked up in tables (attributes.ts).
 */

/** What a template or its input did wrong; the message is meant for the caller. */
export class TemplateError extends Error {}

/** True for what V8 throws where calls are nested too deeply; other RangeErrors are about sizes. */
export function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && error.message.startsWith("Maximum call stack");
}

/** Python's float, which prints as "1.0" where an int prints as "1". */
export class Float {
  constructor(readonly value: number) {}
}

/** A name or attribute that does not exist: prints as nothing, is false and empty, and cannot be used otherwise. */
export class Undefined {
  constructor(readonly hint: string) {}
}

export class Tuple {
  /** @param names of the items, where they have some, as in Python's named tuples */
  constructor(
    readonly items: readonly Value[],
    readonly names: readonly string[] = [],
  ) {}
}

/** Python's iterators: give each item once, when it is asked for; true whatever they hold, and without a length. */
export class Generator {
  constructor(
    readonly name: string,
    readonly source: Iterator<Value, unknown>,
  ) {}
}

/** What `range()` and the methods of dicts give: has items and a length, but is no list. */
export class View {
  constructor(
    readonly name: "range" | "dict_items" | "dict_keys" | "dict_values",
    readonly items: readonly Value[],
    readonly text?: string,
  ) {}
}

/** The only values that a template can change: `namespace(...)`. */
export class Namespace {
  constructor(readonly fields: Map<string, Value>) {}
}

/** An object of the interpreter with attributes, such as `loop`. */
export class Attributes {
  constructor(
    readonly name: string,
    readonly get: (name: string) => Value | undefined,
    readonly call?: (args: Arguments) => Value,
  ) {}
}

export interface Arguments {
  readonly positional: readonly Value[];
  readonly named: ReadonlyMap<string, Value>;
}

/** A macro, method or global function. */
export class Callable {
  constructor(
    readonly name: string,
    readonly call: (args: Arguments) => Value,
  ) {}
}

export type Key = string | number | bigint | boolean | null;
export type Dict = ReadonlyMap<Key, Value>;
export type Value =
  | string
  | number
  | bigint
  | boolean
  | null
  | Float
  | Undefined
  | Tuple
  | Generator
  | View
  | Namespace
  | Attributes
  | Callable
  | readonly Value[]
  | Dict;

export function isDict(value: Value): value is Dict {
  return value instanceof Map;
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** The items of a list or tuple; undefined for other values. */
export function sequenceOf(value: Value): readonly Value[] | undefined {
  if (isList(value)) return value;
  return value instanceof Tuple ? value.items : undefined;
}

/** A Python string is a sequence of code points. */
export function characters(text: string): readonly string[] {
  return Array.from(text);
}

/** Number of code points. */
export function characterCount(text: string): number {
  let count = 0;
  for (let i = 0; i < text.length; i++) if ((text.charCodeAt(i) & 0xfc00) !== 0xdc00) count++;
  return count;
}

/** The number of an int, float or bool; undefined for other values. */
export function numberOf(value: Value): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return Number(value);
  return value instanceof Float ? value.value : undefined;
}

export function isTrue(value: Value): boolean {
  const number = numberOf(value);
  if (number !== undefined) return number !== 0;
  if (typeof value === "bigint") return value !== 0n;
  if (typeof value === "string") return value !== "";
  if (isDict(value)) return value.size > 0;
  const items = sequenceOf(value);
  if (items) return items.length > 0;
  if (value instanceof View) return value.items.length > 0;
  return value !== null && !(value instanceof Undefined);
}

/** Python's name of the type, for messages. */
export function typeName(value: Value): string {
  if (typeof value === "string") return "str";
  if (typeof value === "number" || typeof value === "bigint") return "int";
  if (typeof value === "boolean") return "bool";
  if (value === null) return "NoneType";
  if (value instanceof Float) return "float";
  if (value instanceof Undefined) return "Undefined";
  if (isList(value)) return "list";
  if (value instanceof Tuple) return "tuple";
  if (isDict(value)) return "dict";
  if (value instanceof Namespace) return "Namespace";
  return value instanceof Callable ? "function" : value.name;
}

/** True for what a dict can have as a key. */
export function isKey(value: Value): boolean {
  return (
    value === null ||
    value instanceof Float ||
    ["string", "number", "bigint", "boolean"].includes(typeof value)
  );
}
