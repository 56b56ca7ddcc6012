/** What a loop visits, counted against the budget. */
import type { Budget } from "./budget.js";
import {
  type Value,
  characters,
  Generator,
  View,
  isDict,
  sequenceOf,
  typeName,
  Undefined,
  TemplateError,
} from "./values.js";

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
