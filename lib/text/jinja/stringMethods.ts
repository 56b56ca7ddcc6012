/** The methods of Python's `str`, as far as they make sense in a template. All take time linear in what they read and write. */
import { Reader } from "./arguments.js";
import type { Budget } from "./budget.js";
import { braceFormat, pad } from "./printf.js";
import { joinText, replaceText, splitRight, splitSpaces, splitText, strip } from "./splitting.js";
import {
  type Arguments,
  characterCount,
  iterate,
  TemplateError,
  Tuple,
  typeName,
  type Value,
} from "./values.js";

type Method = (text: string, args: Arguments, budget: Budget) => Value;

function stripMethod(name: string, ends: "both" | "left" | "right"): Method {
  return (text, args, budget) => {
    const chars = new Reader(name, ["chars"], args).value("chars", null);
    if (chars !== null && typeof chars !== "string") {
      throw new TemplateError(`${name}(): expected a str or None, got ${typeName(chars)}`);
    }
    budget.string(text.length);
    return strip(text, ends, chars ?? undefined);
  };
}

function splitMethod(name: "split" | "rsplit"): Method {
  return (text, args, budget) => {
    const read = new Reader(name, ["sep", "maxsplit"], args);
    const count = read.integer("maxsplit", -1);
    const limit = count < 0 ? Infinity : count;
    if (read.value("sep", null) === null) return splitSpaces(text, limit, name === "rsplit", budget);
    return (name === "split" ? splitText : splitRight)(text, read.string("sep"), limit, budget);
  };
}

function partition(name: "partition" | "rpartition"): Method {
  return (text, args, budget) => {
    const separator = new Reader(name, ["sep"], args).string("sep");
    budget.characters(2 * text.length);
    const at = name === "partition" ? text.indexOf(separator) : text.lastIndexOf(separator);
    if (separator === "") throw new TemplateError(`${name}(): empty separator`);
    if (at < 0) return new Tuple(name === "partition" ? [text, "", ""] : ["", "", text]);
    return new Tuple([text.slice(0, at), separator, text.slice(at + separator.length)]);
  };
}

function hasAffix(name: "startswith" | "endswith"): Method {
  return (text, args, budget) => {
    const affix = new Reader(name, ["affix"], args).value("affix");
    return (affix instanceof Tuple ? affix.items : [affix]).some((item) => {
      if (typeof item !== "string")
        throw new TemplateError(`${name}(): expected a str, got ${typeName(item)}`);
      budget.characters(item.length);
      return name === "startswith" ? text.startsWith(item) : text.endsWith(item);
    });
  };
}

function find(name: "find" | "rfind" | "index" | "rindex"): Method {
  return (text, args, budget) => {
    const read = new Reader(name, ["sub", "start"], args);
    const sub = read.string("sub");
    const start = read.integer("start", 0);
    budget.characters(2 * text.length + sub.length);
    const at = name.startsWith("r") ? text.lastIndexOf(sub) : text.indexOf(sub, start);
    if (at < 0 && name.endsWith("index")) throw new TemplateError(`${name}(): substring not found`);
    return at < 0 ? -1 : characterCount(text.slice(0, at));
  };
}

/** Python's `title`: a capital after everything that is no letter. */
export function titleText(text: string, budget: Budget): string {
  budget.string(3 * text.length);
  return text.replace(/\p{L}+/gu, capitalize);
}

export function capitalize(text: string): string {
  const first = String.fromCodePoint(text.codePointAt(0) ?? 0);
  return text === "" ? "" : first.toUpperCase() + text.slice(first.length).toLowerCase();
}

const mapped =
  (name: string, map: (text: string) => string): Method =>
  (text, args, budget) => {
    new Reader(name, [], args);
    budget.string(3 * text.length); // no letter has more than three in the other case
    return map(text);
  };

const all =
  (name: string, pattern: RegExp): Method =>
  (text, args, budget) => {
    new Reader(name, [], args);
    budget.characters(text.length);
    return pattern.test(text);
  };

const padded =
  (name: string, side: string): Method =>
  (text, args, budget) => {
    const read = new Reader(name, ["width", "fillchar"], args);
    const [width, fill] = [read.integer("width"), read.string("fillchar", " ")];
    if (characterCount(fill) !== 1) throw new TemplateError(`${name}(): fillchar: expected one character`);
    return pad(text, width, side, fill, budget);
  };

const lines = /[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]*(?:\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]|$)/g;

export const stringMethods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ["upper", mapped("upper", (text) => text.toUpperCase())],
  ["lower", mapped("lower", (text) => text.toLowerCase())],
  ["casefold", mapped("casefold", (text) => text.toLowerCase())],
  ["capitalize", mapped("capitalize", capitalize)],
  ["title", (text, args, budget) => (new Reader("title", [], args), titleText(text, budget))],
  [
    "swapcase",
    mapped("swapcase", (text) =>
      text.replace(/\p{L}/gu, (letter) =>
        letter === letter.toUpperCase() ? letter.toLowerCase() : letter.toUpperCase(),
      ),
    ),
  ],
  ["strip", stripMethod("strip", "both")],
  ["lstrip", stripMethod("lstrip", "left")],
  ["rstrip", stripMethod("rstrip", "right")],
  ["split", splitMethod("split")],
  ["rsplit", splitMethod("rsplit")],
  ["partition", partition("partition")],
  ["rpartition", partition("rpartition")],
  ["startswith", hasAffix("startswith")],
  ["endswith", hasAffix("endswith")],
  ["find", find("find")],
  ["rfind", find("rfind")],
  ["index", find("index")],
  ["rindex", find("rindex")],
  ["isalpha", all("isalpha", /^\p{L}+$/u)],
  ["isdigit", all("isdigit", /^[\p{Nd}\u00b2\u00b3\u00b9\u2070-\u2079\u2080-\u2089]+$/u)],
  ["isdecimal", all("isdecimal", /^\p{Nd}+$/u)],
  ["isnumeric", all("isnumeric", /^\p{N}+$/u)],
  ["isalnum", all("isalnum", /^[\p{L}\p{N}]+$/u)],
  ["isascii", all("isascii", /^[\0-\x7f]*$/)],
  ["isspace", (text) => text !== "" && strip(text, "both") === ""],
  ["isupper", (text) => text === text.toUpperCase() && text !== text.toLowerCase()],
  ["islower", (text) => text === text.toLowerCase() && text !== text.toUpperCase()],
  ["ljust", padded("ljust", "<")],
  ["rjust", padded("rjust", ">")],
  ["center", padded("center", "^")],
  [
    "zfill",
    (text, args, budget) =>
      pad(text, new Reader("zfill", ["width"], args).integer("width"), ">", "0", budget),
  ],
  ["format", (text, args, budget) => braceFormat(text, args, budget)],
  [
    "replace",
    (text, args, budget) => {
      const read = new Reader("replace", ["old", "new", "count"], args);
      return replaceText(text, read.string("old"), read.string("new"), read.integer("count", -1), budget);
    },
  ],
  [
    "count",
    (text, args, budget) => {
      const sub = new Reader("count", ["sub"], args).string("sub");
      return sub === "" ? characterCount(text) + 1 : splitText(text, sub, Infinity, budget).length - 1;
    },
  ],
  [
    "join",
    (text, args, budget) => {
      const items = iterate(new Reader("join", ["items"], args).value("items"), budget);
      const wrong = items.findIndex((item) => typeof item !== "string");
      if (wrong < 0) return joinText(text, items as readonly string[], budget);
      throw new TemplateError(`join(): item ${wrong}: expected a str, got ${typeName(items[wrong]!)}`);
    },
  ],
  [
    "splitlines",
    (text, args, budget) => {
      const keep = new Reader("splitlines", ["keepends"], args).flag("keepends", false);
      budget.characters(text.length);
      const all = Array.from(text.matchAll(lines), ([line]) => (budget.step(), line)).filter(
        (line) => line !== "",
      );
      return budget.list(
        keep ? all : all.map((line) => line.replace(/(?:\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])$/, "")),
      );
    },
  ],
  [
    "removeprefix",
    (text, args) => {
      const prefix = new Reader("removeprefix", ["prefix"], args).string("prefix");
      return text.startsWith(prefix) ? text.slice(prefix.length) : text;
    },
  ],
  [
    "removesuffix",
    (text, args) => {
      const suffix = new Reader("removesuffix", ["suffix"], args).string("suffix");
      return suffix !== "" && text.endsWith(suffix) ? text.slice(0, -suffix.length) : text;
    },
  ],
]);
