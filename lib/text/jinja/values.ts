/**
 * The values of a template, with Python's rules for truth, text, equality and order, because templates are written for
 * Jinja on Python. Strings, numbers (int; a bigint where a number would round), booleans, null (None), arrays (list) and maps (dict) are JavaScript's own.
 * Nothing here has a prototype that a template could reach: attributes are looked up in tables (attributes.ts).
 */
import type { Budget } from "./budget.js";

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

/** What a loop over the value visits: items, keys, or characters. @throws TemplateError if it cannot be iterated */
export function iterate(value: Value, budget: Budget): readonly Value[] {
  const items = sequenceOf(value);
  if (items) return items;
  if (value instanceof View) return value.items;
  if (value instanceof Generator) return drain(value, budget);
  if (value instanceof Undefined) return [];
  if (isDict(value)) return budget.list([...value.keys()]);
  if (typeof value === "string") {
    budget.items(value.length);
    return characters(value);
  }
  throw new TemplateError(`'${typeName(value)}' object is not iterable`);
}

function drain({ source }: Generator, budget: Budget): readonly Value[] {
  const items: Value[] = [];
  for (let next = source.next(); next.done !== true; next = source.next()) {
    budget.step();
    items.push(next.value);
    if (items.length % 1024 === 0) budget.items(1024);
  }
  budget.items(items.length % 1024);
  return items;
}

/** The items that `iterate` gives, one after the other; a generator that is left early keeps the others. */
export function* pull(value: Value, budget: Budget): Iterable<Value> & Iterator<Value, undefined> {
  const source = value instanceof Generator ? value.source : iterate(value, budget)[Symbol.iterator]();
  for (let next = source.next(); next.done !== true; next = source.next()) {
    budget.step();
    yield next.value;
  }
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

/** The same, and the whole numbers that none is exactly: JavaScript compares the two. */
function sizeOf(value: Value): number | bigint | undefined {
  return typeof value === "bigint" ? value : numberOf(value);
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

/** Python's `==`. */
export function equals(a: Value, b: Value, budget: Budget): boolean {
  budget.step();
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== undefined || y !== undefined) return x === y;
  if (typeof a === "string" && typeof b === "string") {
    if (a.length !== b.length) return false;
    budget.characters(a.length);
    return a === b || budget.plain(a) === budget.plain(b);
  }
  if (a instanceof Undefined) return b instanceof Undefined;
  if (isDict(a) && isDict(b)) {
    if (a.size !== b.size) return false;
    return [...a].every(([key, value]) => {
      const other = keyIn(b, key, budget);
      return b.has(other) && equals(value, b.get(other)!, budget);
    });
  }
  const [p, q] = [sequenceOf(a), sequenceOf(b)];
  if (a instanceof View && b instanceof View && a.name === "range" && b.name === "range") {
    return equals(a.items, b.items, budget);
  }
  if (p && q && isList(a) === isList(b)) {
    return p.length === q.length && p.every((item, i) => equals(item, q[i]!, budget));
  }
  return a === b;
}

/**
 * Python's order of numbers, strings and sequences.
 *
 * @returns negative, 0 or positive
 * @throws TemplateError for types that have no order
 */
export function compare(a: Value, b: Value, budget: Budget): number {
  budget.step();
  const [x, y] = [sizeOf(a), sizeOf(b)];
  if (x !== undefined && y !== undefined) return x < y ? -1 : x > y ? 1 : 0;
  if (typeof a === "string" && typeof b === "string") {
    budget.characters(Math.min(a.length, b.length));
    const [p, q] = [budget.plain(a), budget.plain(b)];
    return p < q ? -1 : p > q ? 1 : 0;
  }
  const [p, q] = [sequenceOf(a), sequenceOf(b)];
  if (p && q && isList(a) === isList(b)) {
    for (let i = 0; i < Math.min(p.length, q.length); i++) {
      if (!equals(p[i]!, q[i]!, budget)) return compare(p[i]!, q[i]!, budget);
    }
    return p.length - q.length;
  }
  const hint = [a, b].find((value) => value instanceof Undefined)?.hint;
  throw new TemplateError(
    hint ?? `'<' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`,
  );
}

/** The key of a dict that equals the value (True is 1 there), else the value as a key. @throws TemplateError if it is unhashable */
export function keyIn(dict: Dict, value: Value, budget: Budget): Key {
  const key = keyOf(value, budget);
  if (dict.has(key)) return key;
  if (typeof key === "string" && budget.paint) {
    const spelled = [budget.paint.plain(key), budget.paint.paint(key)];
    return spelled.find((other) => dict.has(other)) ?? key;
  }
  const other = typeof key === "boolean" ? Number(key) : key === 1 ? true : key === 0 ? false : key;
  return dict.has(other) ? other : key;
}

/** True for what a dict can have as a key. */
export function isKey(value: Value): boolean {
  return (
    value === null ||
    value instanceof Float ||
    ["string", "number", "bigint", "boolean"].includes(typeof value)
  );
}

/** A value as the key of a dict. @throws TemplateError if it is unhashable */
export function keyOf(value: Value, budget: Budget): Key {
  if (typeof value === "string") budget.characters(value.length);
  if (typeof value === "string" || value === null || typeof value === "boolean") return value;
  if (typeof value === "number" || typeof value === "bigint") return value;
  if (value instanceof Float) return value.value;
  throw new TemplateError(`unhashable type: '${typeName(value)}'`);
}
