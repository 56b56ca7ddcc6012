/** Equality, order and keys of values as in Python, counted against the budget. */
import type { Budget } from "./budget.js";
import {
  type Dict,
  type Key,
  type Value,
  View,
  isDict,
  isList,
  sequenceOf,
  numberOf,
  Float,
  typeName,
  Undefined,
  TemplateError,
} from "./values.js";

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

/** A value as the key of a dict. @throws TemplateError if it is unhashable */
export function keyOf(value: Value, budget: Budget): Key {
  if (typeof value === "string") budget.characters(value.length);
  if (typeof value === "string" || value === null || typeof value === "boolean") return value;
  if (typeof value === "number" || typeof value === "bigint") return value;
  if (value instanceof Float) return value.value;
  throw new TemplateError(`unhashable type: '${typeName(value)}'`);
}

/** The same, and the whole numbers that none is exactly: JavaScript compares the two. */
function sizeOf(value: Value): number | bigint | undefined {
  return typeof value === "bigint" ? value : numberOf(value);
}
