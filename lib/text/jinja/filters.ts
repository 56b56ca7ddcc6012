/** The filters that take one value: texts, numbers, JSON. Filters of lists are in listFilters.ts. */
import { Reader } from "./arguments.js";
import { attributeOf, dictItems } from "./attributes.js";
import type { Budget } from "./budget.js";
import { compare } from "./comparisons.js";
import { iterate } from "./iteration.js";
import { fromJson, toJson } from "./json.js";
import { type Filter, type FilterContext, generate, listFilters } from "./listFilters.js";
import { pad, percentFormat } from "./printf.js";
import { round } from "./rounding.js";
import { replaceText, strip } from "./splitting.js";
import { capitalize } from "./stringMethods.js";
import { parseFloatText, parseIntText, reprOf, textOf } from "./text.js";
import { indent, lengthOf, stripTags, truncate, urlEncode, wordWrap } from "./textFilters.js";
import {
  type Arguments,
  Float,
  isDict,
  isList,
  isTrue,
  numberOf,
  TemplateError,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

export function hasFilter(name: Value): boolean {
  return typeof name === "string" && (filters.has(name) || listFilters.has(name));
}

/** @throws TemplateError if there is no such filter */
export function filterNamed(name: string): Filter {
  const filter = filters.get(name) ?? listFilters.get(name);
  if (!filter) throw new TemplateError(`there is no filter named '${name}'`);
  return readers.has(name) ? readsPlain(filter, decoders.has(name)) : filter;
}

/** Filters that look at the characters of a text; the others take it as a whole, or letter by letter. */
const readers: ReadonlySet<string> = new Set([
  ...["upper", "lower", "capitalize", "title", "wordcount", "int", "float", "indent", "truncate", "wordwrap"],
  ...["striptags", "trim", "center", "replace", "format", "fromjson"],
]);
/** Filters that make characters of others: "<" of "&lt;". */
const decoders: ReadonlySet<string> = new Set(["striptags", "fromjson"]);

/** The filter for texts that others had a hand in (paint.ts). */
function readsPlain(filter: Filter, isDecoder: boolean): Filter {
  return (value, args, context) => {
    const { paint } = context.budget;
    const run = (on: Value, given: Arguments): Value => filter(on, given, context);
    return paint ? paint.guard(run, value, args, isDecoder) : run(value, args);
  };
}

const onText =
  (name: string, map: (text: string, budget: Budget) => Value): Filter =>
  (value, args, { budget }) => {
    new Reader(name, [], args);
    const text = textOf(value, budget);
    budget.string(3 * text.length); // no letter has more than three in the other case
    return map(text, budget);
  };

function toNumber(name: "int" | "float"): Filter {
  return (value, args) => {
    const read = new Reader(name, name === "int" ? ["default", "base"] : ["default"], args);
    const fallback = read.value("default", name === "int" ? 0 : new Float(0));
    if (typeof value === "string") {
      const float = parseFloatText(value.slice(0, 1000));
      if (name === "float") return float === undefined ? fallback : new Float(float);
      const base = read.integer("base", 10);
      const int = parseIntText(value.slice(0, 1000), base);
      if (int !== undefined) return int;
      return float === undefined || !Number.isFinite(float) ? fallback : Math.trunc(float);
    }
    if (value instanceof Undefined) throw new TemplateError(value.hint);
    if (typeof value === "bigint") return name === "int" ? value : new Float(Number(value));
    const number = numberOf(value);
    if (number === undefined || (name === "int" && !Number.isFinite(number))) return fallback;
    return name === "int" ? Math.trunc(number) : new Float(number);
  };
}

const htmlEscapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "'": "&#39;",
  '"': "&#34;",
};

function escape(value: Value, args: Arguments, { budget }: FilterContext): Value {
  new Reader("escape", [], args);
  const text = textOf(value, budget);
  budget.string(5 * text.length);
  const quote = (part: string): string => part.replace(/[&<>'"]/g, (character) => htmlEscapes[character]!);
  return budget.paint?.rewrite(text, quote) ?? quote(text);
}

function tojson(value: Value, args: Arguments, { budget }: FilterContext): Value {
  const read = new Reader("tojson", ["ensure_ascii", "indent", "separators", "sort_keys"], args);
  const level = read.value("indent", null);
  const separators = read.value("separators", null);
  const [item, key, ...rest] =
    separators === null ? [level === null ? ", " : ",", ": "] : iterate(separators, budget);
  if (typeof item !== "string" || typeof key !== "string" || rest.length > 0) {
    throw new TemplateError("tojson: separators: expected two strings");
  }
  const spaces =
    level === null ? 0 : typeof level === "string" ? level.length : Math.max(0, read.integer("indent"));
  budget.string(spaces);
  const style = {
    ensureAscii: read.flag("ensure_ascii", false),
    indent: level === null ? undefined : typeof level === "string" ? level : " ".repeat(spaces),
    itemSeparator: item,
    keySeparator: key,
    sortKeys: read.flag("sort_keys", false),
  };
  return toJson(value, style, budget);
}

/** Where Python's pprint breaks lines. */
const prettyWidth = 80;

/** What pprint writes in one line: dicts with their keys in order. @throws TemplateError for what takes several lines */
function prettyPrint(value: Value, args: Arguments, { budget }: FilterContext): Value {
  new Reader("pprint", [], args);
  const text = reprOf(withSortedKeys(value, budget), budget);
  if (text.length <= prettyWidth) return text;
  throw new TemplateError(`pprint: a text of more than ${prettyWidth} characters: use tojson`);
}

function withSortedKeys(value: Value, budget: Budget): Value {
  if (isList(value)) return budget.list(value.map((item) => withSortedKeys(item, budget)));
  if (value instanceof Tuple) return new Tuple(value.items.map((item) => withSortedKeys(item, budget)));
  if (!isDict(value)) return value;
  budget.items(value.size);
  const entries = [...value].sort(([a], [b]) => compare(a, b, budget));
  return new Map(entries.map(([key, item]) => [key, withSortedKeys(item, budget)]));
}

const defaultFilter: Filter = (value, args) => {
  const read = new Reader("default", ["default_value", "boolean"], args);
  const isMissing = value instanceof Undefined || (read.flag("boolean", false) && !isTrue(value));
  return isMissing ? read.value("default_value", "") : value;
};

/** Jinja's own way: a capital behind white space, hyphens and opening brackets. */
const titleWords = (text: string): string =>
  text.replace(/(?:[^-\s\x1c-\x1f\x85({[<]|\ufeff)+/gu, (word) => {
    const first = String.fromCodePoint(word.codePointAt(0)!);
    return first.toUpperCase() + word.slice(first.length).toLowerCase();
  });

const filters: ReadonlyMap<string, Filter> = new Map<string, Filter>([
  ["upper", onText("upper", (text) => text.toUpperCase())],
  ["lower", onText("lower", (text) => text.toLowerCase())],
  ["capitalize", onText("capitalize", capitalize)],
  ["title", onText("title", titleWords)],
  ["string", (value, args, { budget }) => (new Reader("string", [], args), textOf(value, budget))],
  ["safe", (value, args, { budget }) => (new Reader("safe", [], args), textOf(value, budget))],
  ["e", escape],
  ["escape", escape],
  ["pprint", prettyPrint],
  ["wordcount", onText("wordcount", (text) => text.match(/[\p{L}\p{N}_]+/gu)?.length ?? 0)],
  ["length", (value, args, { budget }) => (new Reader("length", [], args), lengthOf(value, budget))],
  ["count", (value, args, { budget }) => (new Reader("count", [], args), lengthOf(value, budget))],
  ["int", toNumber("int")],
  ["float", toNumber("float")],
  ["round", round],
  ["indent", indent],
  ["truncate", truncate],
  ["wordwrap", wordWrap],
  ["striptags", stripTags],
  ["urlencode", urlEncode],
  ["forceescape", escape],
  ["tojson", tojson],
  ["default", defaultFilter],
  ["d", defaultFilter],
  [
    "abs",
    (value) => {
      if (typeof value === "bigint") return value < 0n ? -value : value;
      const number = numberOf(value);
      if (number === undefined) throw new TemplateError(`abs: expected a number, got ${typeName(value)}`);
      return value instanceof Float ? new Float(Math.abs(number)) : Math.abs(number);
    },
  ],
  [
    "trim",
    (value, args, { budget }) => {
      const chars = new Reader("trim", ["chars"], args).value("chars", null);
      const text = textOf(value, budget);
      budget.string(text.length);
      return strip(text, "both", chars === null ? undefined : textOf(chars, budget));
    },
  ],
  [
    "center",
    (value, args, { budget }) => {
      const width = new Reader("center", ["width"], args).integer("width", 80);
      return pad(textOf(value, budget), width, "center", " ", budget);
    },
  ],
  [
    "replace",
    (value, args, { budget }) => {
      const read = new Reader("replace", ["old", "new", "count"], args);
      const [old, by] = [textOf(read.value("old"), budget), textOf(read.value("new"), budget)];
      return replaceText(textOf(value, budget), old, by, read.integer("count", -1), budget);
    },
  ],
  [
    "format",
    (value, { positional, named }, { budget }) =>
      percentFormat(textOf(value, budget), named.size > 0 ? new Map(named) : new Tuple(positional), budget),
  ],
  [
    "fromjson",
    (value, args, { budget }) => {
      new Reader("fromjson", [], args);
      if (typeof value === "string") return fromJson(value, budget);
      throw new TemplateError(`fromjson: expected a str, got ${typeName(value)}`);
    },
  ],
  [
    "items",
    (value, args, { budget }) => {
      new Reader("items", [], args);
      return generate(function* () {
        if (value instanceof Undefined) return;
        if (!isDict(value)) throw new TemplateError(`items: expected a dict, got ${typeName(value)}`);
        yield* dictItems(value, budget).items;
      });
    },
  ],
  [
    "attr",
    (value, args, { budget }) => {
      const name = new Reader("attr", ["name"], args).string("name");
      return isDict(value)
        ? new Undefined(`'dict object' has no attribute '${name}'`)
        : attributeOf(value, name, () => undefined, budget);
    },
  ],
]);
