/** The filters of lists, dicts and what else can be iterated. */
import { Reader } from "./arguments.js";
import { itemOf } from "./attributes.js";
import type { Budget } from "./budget.js";
import { compare, equals, keyOf } from "./comparisons.js";
import { iterate, pull } from "./iteration.js";
import { binary } from "./operators.js";
import { joinText } from "./splitting.js";
import { testNamed } from "./tests.js";
import { textOf } from "./text.js";
import {
  type Arguments,
  Generator,
  isDict,
  isTrue,
  TemplateError,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

/** What filters share within one rendering. */
export interface FilterContext {
  readonly budget: Budget;
  /** @throws TemplateError if there is no such filter */
  readonly filterNamed: (name: string) => Filter;
}

export type Filter = (value: Value, args: Arguments, context: FilterContext) => Value;

/** A function that follows an attribute such as "function.name" or "0"; null gives the value itself. */
function attributeGetter(attribute: Value, budget: Budget, fallback?: Value): (item: Value) => Value {
  if (attribute === null) return (item) => item;
  const parts = typeof attribute === "string" ? attribute.split(".") : [attribute];
  return (item) => {
    let value = item;
    for (const part of parts) {
      const key = typeof part === "string" && /^\d+$/.test(part) ? Number(part) : part;
      value = itemOf(value, key, () => undefined, budget);
      if (value instanceof Undefined && fallback !== undefined) return fallback;
    }
    return value;
  };
}

/** What a filter gives that is a generator function in Jinja. */
export function generate(make: () => Iterator<Value, void>): Generator {
  return new Generator("generator", make());
}

/** Strings without their case, as Jinja sorts and compares by default. */
function foldCase(value: Value, isCaseSensitive: boolean, budget: Budget): Value {
  if (typeof value !== "string" || isCaseSensitive) return value;
  budget.string(3 * value.length);
  return value.toLowerCase();
}

function sorted<T>(
  items: readonly T[],
  key: (item: T) => Value,
  isReversed: boolean,
  budget: Budget,
): readonly T[] {
  budget.items(items.length);
  const keyed = items.map((item) => ({ item, key: key(item) }));
  keyed.sort((a, b) => (isReversed ? compare(b.key, a.key, budget) : compare(a.key, b.key, budget)));
  return keyed.map(({ item }) => item);
}

const sort: Filter = (value, args, { budget }) => {
  const read = new Reader("sort", ["reverse", "case_sensitive", "attribute"], args);
  const attribute = read.value("attribute", null);
  const names = typeof attribute === "string" ? attribute.split(",") : [attribute];
  const getters = names.map((name) => attributeGetter(name, budget));
  const isCaseSensitive = read.flag("case_sensitive", false);
  const key = (item: Value): Value => {
    // Always a sequence, as in Jinja: equal values without an order are no error.
    return new Tuple(getters.map((get) => foldCase(get(item), isCaseSensitive, budget)));
  };
  return sorted(iterate(value, budget), key, read.flag("reverse", false), budget);
};

const dictSort: Filter = (value, args, { budget }) => {
  const read = new Reader("dictsort", ["case_sensitive", "by", "reverse"], args);
  if (!isDict(value)) throw new TemplateError(`dictsort: expected a dict, got ${typeName(value)}`);
  const by = ["key", "value"].indexOf(read.string("by", "key"));
  if (by < 0) throw new TemplateError("dictsort: by: expected 'key' or 'value'");
  const isCaseSensitive = read.flag("case_sensitive", false);
  const key = (item: readonly Value[]): Value => foldCase(item[by]!, isCaseSensitive, budget);
  return sorted([...value], key, read.flag("reverse", false), budget).map((pair) => new Tuple(pair));
};

const groupBy: Filter = (value, args, { budget }) => {
  const read = new Reader("groupby", ["attribute", "default", "case_sensitive"], args);
  const fallback = read.value("default", null);
  const get = attributeGetter(read.value("attribute"), budget, fallback ?? undefined);
  const isCaseSensitive = read.flag("case_sensitive", false);
  const key = (item: Value): Value => foldCase(get(item), isCaseSensitive, budget);
  const groups: { readonly key: Value; readonly items: Value[] }[] = [];
  for (const item of sorted(iterate(value, budget), key, false, budget)) {
    const last = groups.at(-1);
    if (last && equals(key(last.items[0]!), key(item), budget)) last.items.push(item);
    else groups.push({ key: get(item), items: [item] });
  }
  return budget.list(groups.map((group) => new Tuple([group.key, group.items], ["grouper", "list"])));
};

function unique(value: Value, args: Arguments, { budget }: FilterContext): Value {
  const read = new Reader("unique", ["case_sensitive", "attribute"], args);
  const get = attributeGetter(read.value("attribute", null), budget);
  const isCaseSensitive = read.flag("case_sensitive", false);
  return generate(function* () {
    const seen = new Set<Value | undefined>();
    for (const item of pull(value, budget)) {
      const value = foldCase(get(item), isCaseSensitive, budget);
      // All that is not there is the same.
      const key = value instanceof Undefined ? undefined : keyOf(value, budget);
      const plain = typeof key === "string" ? budget.plain(key) : key;
      if (seen.has(plain)) continue;
      budget.items(1);
      seen.add(plain);
      yield item;
    }
  });
}

/** select, reject, selectattr, rejectattr: items that a test, or their truth, holds for. */
function selection(name: string): Filter {
  return (value, { positional }, { budget }) => {
    const isAttribute = name.endsWith("attr");
    const get = attributeGetter(isAttribute ? (positional[0] ?? null) : null, budget);
    const [test, argument = null] = positional.slice(isAttribute ? 1 : 0);
    const holds = test === undefined ? undefined : testNamed(textOf(test, budget));
    return generate(function* () {
      if (!isTrue(value)) return;
      for (const item of pull(value, budget)) {
        const subject = get(item);
        const isSelected = holds ? holds(subject, argument, budget) : isTrue(subject);
        if (isSelected === name.startsWith("select")) yield item;
      }
    });
  };
}

const map: Filter = (value, args, context) => {
  const { budget, filterNamed } = context;
  const [name, ...rest] = args.positional;
  if (name === undefined) {
    const read = new Reader("map", ["attribute", "default"], args);
    const fallback = read.value("default", null);
    const get = attributeGetter(read.value("attribute"), budget, fallback ?? undefined);
    return mapped(value, get, budget);
  }
  const filter = filterNamed(textOf(name, budget));
  const filterArgs = { positional: rest, named: args.named };
  return mapped(value, (item) => filter(item, filterArgs, context), budget);
};

function mapped(value: Value, change: (item: Value) => Value, budget: Budget): Generator {
  return generate(function* () {
    if (isTrue(value)) for (const item of pull(value, budget)) yield change(item);
  });
}

const join: Filter = (value, args, { budget }) => {
  const read = new Reader("join", ["d", "attribute"], args);
  const get = attributeGetter(read.value("attribute", null), budget);
  const texts = iterate(value, budget).map((item) => textOf(get(item), budget));
  return joinText(textOf(read.value("d", ""), budget), texts, budget);
};

const sum: Filter = (value, args, { budget }) => {
  const read = new Reader("sum", ["attribute", "start"], args);
  const get = attributeGetter(read.value("attribute", null), budget);
  const add = (total: Value, item: Value): Value => binary("+", total, get(item), () => undefined, budget);
  return iterate(value, budget).reduce(add, read.value("start", 0));
};

function extreme(name: "min" | "max"): Filter {
  return (value, args, { budget }) => {
    const read = new Reader(name, ["case_sensitive", "attribute"], args);
    const get = attributeGetter(read.value("attribute", null), budget);
    const isCaseSensitive = read.flag("case_sensitive", false);
    const key = (item: Value): Value => foldCase(get(item), isCaseSensitive, budget);
    const items = sorted(iterate(value, budget), key, name === "max", budget);
    return items.length > 0 ? items[0]! : new Undefined("No aggregated item, sequence was empty.");
  };
}

/** batch fills rows of `size` items, slice makes `size` rows as equally long as can be. */
function rows(name: "batch" | "slice"): Filter {
  return (value, args, { budget }) => {
    const read = new Reader(name, [name === "batch" ? "linecount" : "slices", "fill_with"], args);
    const size = read.integer(name === "batch" ? "linecount" : "slices");
    const fill = read.value("fill_with", null);
    if (size < 1) throw new TemplateError(`${name}: expected a positive size, got ${size}`);
    budget.items(size);
    return generate(() =>
      name === "batch" ? batches(value, size, fill, budget) : slices(value, size, fill, budget),
    );
  };
}

function* batches(value: Value, size: number, fill: Value, budget: Budget): Iterator<Value, void> {
  let row: Value[] = [];
  for (const item of pull(value, budget)) {
    if (row.length === size) {
      yield budget.list(row);
      row = [];
    }
    row.push(item);
  }
  if (row.length === 0) return;
  const missing = fill === null ? 0 : size - row.length;
  yield budget.list([...row, ...Array.from({ length: missing }, () => fill)]);
}

function* slices(value: Value, size: number, fill: Value, budget: Budget): Iterator<Value, void> {
  const items = iterate(value, budget);
  const [least, longer] = [Math.floor(items.length / size), items.length % size];
  for (let i = 0; i < size; i++) {
    const start = i * least + Math.min(i, longer);
    const row = items.slice(start, start + least + (i < longer ? 1 : 0));
    yield budget.list(fill !== null && i >= longer ? [...row, fill] : row);
  }
}

const first: Filter = (value, args, { budget }) => {
  new Reader("first", [], args);
  for (const item of pull(value, budget)) return item;
  return new Undefined("No first item, sequence was empty.");
};

const last: Filter = (value, args, { budget }) => {
  new Reader("last", [], args);
  if (value instanceof Generator) throw new TemplateError(`last: a ${value.name} is not reversible`);
  return iterate(value, budget).at(-1) ?? new Undefined("No last item, sequence was empty.");
};

const reverse: Filter = (value, args, { budget }) => {
  new Reader("reverse", [], args);
  const items = budget.list([...iterate(value, budget)].reverse());
  if (typeof value === "string") return (items as readonly string[]).join("");
  return value instanceof Generator ? items : new Generator("list_reverseiterator", items.values());
};

export const listFilters: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  ["batch", rows("batch")],
  ["dictsort", dictSort],
  ["first", first],
  ["groupby", groupBy],
  ["join", join],
  ["last", last],
  [
    "list",
    (value, args, { budget }) => (new Reader("list", [], args), budget.list([...iterate(value, budget)])),
  ],
  ["map", map],
  ["max", extreme("max")],
  ["min", extreme("min")],
  ["reject", selection("reject")],
  ["rejectattr", selection("rejectattr")],
  ["reverse", reverse],
  ["select", selection("select")],
  ["selectattr", selection("selectattr")],
  ["slice", rows("slice")],
  ["sort", sort],
  ["sum", sum],
  ["unique", unique],
]);
