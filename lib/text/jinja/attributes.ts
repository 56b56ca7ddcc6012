/**
 * `value.name`, `value[key]` and slices. Methods are those of the tables here, each bound when it is asked for; those that
 * change a value do not exist, as in the sandbox that transformers renders in, and nor does anything that begins with "_".
 */
import { noArguments, Reader } from "./arguments.js";
import type { Budget } from "./budget.js";
import { equals, keyIn } from "./comparisons.js";
import { stringMethods } from "./stringMethods.js";
import {
  type Arguments,
  Attributes,
  Callable,
  characters,
  type Dict,
  Float,
  isDict,
  isKey,
  Namespace,
  numberOf,
  sequenceOf,
  TemplateError,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
} from "./values.js";

/** How the template names what is looked up, for messages; undefined if it is more than a path. */
type Path = () => string | undefined;
type Bound<T> = (value: T, args: Arguments, budget: Budget) => Value;

export function dictItems(dict: Dict, budget: Budget): View {
  return new View("dict_items", budget.list([...dict].map(([key, value]) => new Tuple([key, value]))));
}

const dictMethods: ReadonlyMap<string, Bound<Dict>> = new Map<string, Bound<Dict>>([
  ["items", (dict, _, budget) => dictItems(dict, budget)],
  ["keys", (dict, _, budget) => new View("dict_keys", budget.list([...dict.keys()]))],
  ["values", (dict, _, budget) => new View("dict_values", budget.list([...dict.values()]))],
  ["copy", (dict, _, budget) => (budget.items(dict.size), new Map(dict))],
  [
    "get",
    (dict, args, budget) => {
      const read = new Reader("get", ["key", "default"], args);
      const item = dict.get(keyIn(dict, read.value("key"), budget));
      return item === undefined ? read.value("default", null) : item;
    },
  ],
]);

const listMethods: ReadonlyMap<string, Bound<readonly Value[]>> = new Map<string, Bound<readonly Value[]>>([
  ["copy", (list, _, budget) => budget.list([...list])],
  [
    "count",
    (list, args, budget) => {
      const item = new Reader("count", ["value"], args).value("value");
      return list.filter((other) => equals(other, item, budget)).length;
    },
  ],
  [
    "index",
    (list, args, budget) => {
      const item = new Reader("index", ["value"], args).value("value");
      const at = list.findIndex((other) => equals(other, item, budget));
      if (at < 0) throw new TemplateError("index(): the value is not in the list");
      return at;
    },
  ],
]);

/** Methods that change the value they belong to. */
const changesList = new Set(["append", "extend", "insert", "remove", "reverse", "sort", "clear", "pop"]);
const changesDict = new Set(["clear", "pop", "popitem", "setdefault", "update"]);

function methodOf(value: Value, name: string, budget: Budget): Callable | undefined {
  const bind = <T>(method: Bound<T> | undefined, owner: T): Callable | undefined =>
    method && new Callable(name, (args) => method(owner, args, budget));
  const items = sequenceOf(value);
  if (typeof value === "string") return bind(textMethod(name, budget), value);
  if (isDict(value) ? changesDict.has(name) : items && changesList.has(name)) {
    return new Callable(name, () => {
      throw new TemplateError(`${name}() would change a ${typeName(value)}, which a chat template cannot`);
    });
  }
  if (isDict(value)) return bind(dictMethods.get(name), value);
  if (value instanceof Tuple && name === "copy") return undefined;
  return items && bind(listMethods.get(name), items);
}

/** A method that reads texts as they are, whoever wrote them; `join` only puts them side by side. */
function textMethod(name: string, { paint }: Budget): Bound<string> | undefined {
  const method = stringMethods.get(name);
  if (!method || !paint || name === "join") return method;
  return (text, args, budget) => paint.guard((on, given) => method(on as string, given, budget), text, args);
}

function ownItem(value: Value, key: Value, budget: Budget): Value | undefined {
  if (value instanceof Namespace) return typeof key === "string" ? value.fields.get(key) : undefined;
  if (value instanceof Attributes) return typeof key === "string" ? value.get(key) : undefined;
  // What cannot be a key is in no dict: Jinja takes the TypeError of Python for that.
  if (isDict(value)) return isKey(key) ? value.get(keyIn(value, key, budget)) : undefined;
  if (value instanceof Tuple && typeof key === "string") return value.items[value.names.indexOf(key)];
  const index = typeof key === "string" || key instanceof Float ? undefined : numberOf(key);
  if (index === undefined || !Number.isInteger(index)) return undefined;
  if (value instanceof View) return value.name === "range" ? value.items.at(index) : undefined;
  if (typeof value !== "string") return sequenceOf(value)?.at(index);
  budget.step();
  if (index >= 0 && index < 64 && /^[\0-\ud7ff]*$/.test(value.slice(0, index + 1))) return value[index];
  budget.characters(value.length);
  return characters(value).at(index);
}

/** `value.name` if it is an attribute, else `value["name"]`, as Jinja looks it up. */
export function attributeOf(value: Value, name: string, path: Path, budget: Budget): Value {
  requireDefined(value);
  if (name.startsWith("_") && !isDict(value)) return missing(value, name, path);
  const method = methodOf(value, name, budget);
  if (method) return method;
  const item = ownItem(value, name, budget);
  return item === undefined ? missing(value, name, path) : item;
}

/** `value[key]`, else the attribute of that name. */
export function itemOf(value: Value, key: Value, path: Path, budget: Budget): Value {
  requireDefined(value);
  const item = ownItem(value, key, budget);
  if (item !== undefined) return item;
  if (typeof key === "string" && !key.startsWith("_")) {
    const method = methodOf(value, key, budget);
    if (method) return method;
  }
  return missing(value, typeof key === "string" || typeof key === "number" ? key : typeName(key), path);
}

function requireDefined(value: Value): void {
  if (value instanceof Undefined) throw new TemplateError(value.hint);
}

function missing(value: Value, name: string | number, pathOf: Path): Undefined {
  const path = pathOf();
  const what =
    path === undefined ? `'${typeName(value)} object' has no attribute '${name}'` : `'${path}' is undefined`;
  return new Undefined(what);
}

/** `value[start:stop:step]`; undefined parts are left out. */
export function sliceOf(value: Value, parts: readonly (Value | undefined)[], budget: Budget): Value {
  requireDefined(value);
  const [start, stop, step = 1] = parts.map((part) => {
    if (part === undefined || part === null) return undefined;
    const number = numberOf(part);
    if (number !== undefined && Number.isInteger(number)) return number;
    if (part instanceof Undefined) throw new TemplateError(part.hint);
    throw new TemplateError(`slice indices must be integers or None, not ${typeName(part)}`);
  });
  if (step === 0) throw new TemplateError("slice step cannot be zero");
  if (typeof value === "string") return sliceText(value, start, stop, step, budget);
  if (value instanceof View && value.name === "range") {
    return new View("range", pick(value.items, start, stop, step, budget));
  }
  const items = sequenceOf(value);
  if (!items) throw new TemplateError(`'${typeName(value)}' object cannot be sliced`);
  const picked = pick(items, start, stop, step, budget);
  return value instanceof Tuple ? new Tuple(picked) : picked;
}

function sliceText(
  text: string,
  start: number | undefined,
  stop: number | undefined,
  step: number,
  budget: Budget,
): string {
  budget.characters(text.length);
  if (step === 1 && !/[\ud800-\udfff]/.test(text)) return text.slice(start ?? 0, stop ?? text.length);
  budget.items(text.length);
  return pick(characters(text), start, stop, step, budget).join("");
}

function pick<T extends Value>(
  items: readonly T[],
  start: number | undefined,
  stop: number | undefined,
  step: number,
  budget: Budget,
): readonly T[] {
  const { length } = items;
  const [low, high] = step > 0 ? [0, length] : [-1, length - 1];
  const clamp = (index: number): number => Math.min(Math.max(index < 0 ? index + length : index, low), high);
  const first = start === undefined ? (step > 0 ? low : high) : clamp(start);
  const last = stop === undefined ? (step > 0 ? high : low) : clamp(stop);
  if (step === 1) return budget.list(items.slice(first, last));
  const picked: T[] = [];
  for (let i = first; step > 0 ? i < last : i > last; i += step) picked.push(items[i]!);
  return budget.list(picked);
}

/** Calls a value. @throws TemplateError if it is no function */
export function call(value: Value, path: string | undefined, args: Arguments = noArguments): Value {
  if (value instanceof Callable) return value.call(args);
  if (value instanceof Attributes && value.call) return value.call(args);
  if (value instanceof Undefined) throw new TemplateError(value.hint);
  throw new TemplateError(`${path ?? "the value"}: a ${typeName(value)} cannot be called`);
}
