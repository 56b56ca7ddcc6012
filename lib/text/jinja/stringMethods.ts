/** The methods of Python's `str`, as far as they make sense in a template. All take time linear in what they read and write. */
import { Reader } from "./arguments.js";
import type { Budget } from "./budget.js";
import { iterate } from "./iteration.js";
import { braceFormat, pad } from "./printf.js";
import { joinText, replaceText, splitLines, splitRight, splitSpaces, splitText, strip } from "./splitting.js";
import {
  type Arguments,
  characterCount,
  characters,
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

/** The part of a text that the arguments start and end of a method say, and where it begins, in UTF-16 units. */
function partOf(
  text: string,
  read: Reader,
  budget: Budget,
): { readonly part: string; readonly offset: number } | undefined {
  const [start, end] = ["start", "end"].map((name) =>
    read.value(name, null) === null ? undefined : read.integer(name),
  );
  if (start === undefined && end === undefined) return { part: text, offset: 0 };
  budget.items(text.length);
  const units = characters(text);
  const at = (index: number): number => Math.max(0, index < 0 ? index + units.length : index);
  if (at(start ?? 0) > units.length) return undefined; // not even the empty text is found there
  const before = units.slice(0, at(start ?? 0)).join("");
  return {
    part: units.slice(at(start ?? 0), end === undefined ? undefined : at(end)).join(""),
    offset: before.length,
  };
}

function hasAffix(name: "startswith" | "endswith"): Method {
  return (text, args, budget) => {
    const read = new Reader(name, ["affix", "start", "end"], args);
    const affix = read.value("affix");
    const within = partOf(text, read, budget);
    return (affix instanceof Tuple ? affix.items : [affix]).some((item) => {
      if (typeof item !== "string")
        throw new TemplateError(`${name}(): expected a str, got ${typeName(item)}`);
      budget.characters(item.length);
      if (!within) return false;
      return name === "startswith" ? within.part.startsWith(item) : within.part.endsWith(item);
    });
  };
}

function find(name: "find" | "rfind" | "index" | "rindex"): Method {
  return (text, args, budget) => {
    const read = new Reader(name, ["sub", "start", "end"], args);
    const sub = read.string("sub");
    budget.characters(2 * text.length + sub.length);
    const within = partOf(text, read, budget);
    const at = within ? (name.startsWith("r") ? within.part.lastIndexOf(sub) : within.part.indexOf(sub)) : -1;
    if (at < 0 && name.endsWith("index")) throw new TemplateError(`${name}(): substring not found`);
    return at < 0 ? -1 : characterCount(text.slice(0, within!.offset + at));
  };
}

/** Python's `title`: a capital after everything that is no letter. */
export function titleText(text: string, budget: Budget): string {
  budget.string(3 * text.length);
  return text.replace(/\p{L}+/gu, capitalize);
}

const digraphs = "ǄǅǆǇǈǉǊǋǌǱǲǳ";

/** A letter at the beginning of a word: of two letters in one only the first is a capital. */
function titleLetter(letter: string): string {
  const [upper, at] = [letter.toUpperCase(), digraphs.indexOf(letter)];
  if (at >= 0) return digraphs[at - (at % 3) + 1]!;
  return /^[A-Z]{2}/.test(upper) ? upper[0]! + upper.slice(1).toLowerCase() : upper;
}

export function capitalize(text: string): string {
  const first = String.fromCodePoint(text.codePointAt(0) ?? 0);
  return text === "" ? "" : titleLetter(first) + text.slice(first.length).toLowerCase();
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

export const stringMethods: ReadonlyMap<string, Method> = new Map<string, Method>([
  ["upper", mapped("upper", (text) => text.toUpperCase())],
  ["lower", mapped("lower", (text) => text.toLowerCase())],
  // The capital of a letter tells its folded form, but for the i without a dot and the final sigma.
  [
    "casefold",
    mapped("casefold", (text) =>
      text.replace(/[^ı]+/gu, (part) => part.toUpperCase().toLowerCase()).replaceAll("ς", "σ"),
    ),
  ],
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
  ["istitle", (text) => /\p{L}/u.test(text) && text === text.replace(/\p{L}+/gu, capitalize)],
  ["isidentifier", all("isidentifier", /^[\p{L}_][\p{L}\p{N}_]*$/u)],
  ["isspace", (text) => text !== "" && strip(text, "both") === ""],
  ["isupper", (text) => text === text.toUpperCase() && text !== text.toLowerCase()],
  ["islower", (text) => text === text.toLowerCase() && text !== text.toUpperCase()],
  ["ljust", padded("ljust", "<")],
  ["rjust", padded("rjust", ">")],
  ["center", padded("center", "center")],
  [
    "zfill",
    (text, args, budget) => {
      const width = new Reader("zfill", ["width"], args).integer("width");
      const sign = /^[-+]?/.exec(text)![0];
      return sign + pad(text.slice(sign.length), width - sign.length, ">", "0", budget);
    },
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
      const read = new Reader("count", ["sub", "start", "end"], args);
      const [sub, within] = [read.string("sub"), partOf(text, read, budget)];
      if (!within) return 0;
      return sub === ""
        ? characterCount(within.part) + 1
        : splitText(within.part, sub, Infinity, budget).length - 1;
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
      return splitLines(text, keep, budget);
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
