/** The filters that lay out or encode texts. */
import { Reader } from "./arguments.js";
import { dictItems } from "./attributes.js";
import type { Budget } from "./budget.js";
import { iterate } from "./iteration.js";
import type { FilterContext } from "./listFilters.js";
import { joinText, splitLines, splitSpaces, strip } from "./splitting.js";
import { textOf } from "./text.js";
import {
  type Arguments,
  characterCount,
  characters,
  isDict,
  numberOf,
  sequenceOf,
  TemplateError,
  typeName,
  Undefined,
  type Value,
  View,
} from "./values.js";

/** A text, where other filters take what a value prints as. @throws TemplateError for anything else */
function textIn(value: Value, filter: string): string {
  if (typeof value === "string") return value;
  throw new TemplateError(
    value instanceof Undefined ? value.hint : `${filter}: expected a str, got ${typeName(value)}`,
  );
}

/** Number of characters or items. @throws TemplateError for a value without a length */
export function lengthOf(value: Value, budget: Budget): number {
  if (typeof value === "string") {
    budget.characters(value.length);
    return characterCount(value);
  }
  if (value instanceof Undefined) return 0;
  const items = value instanceof View ? value.items : sequenceOf(value);
  const length = isDict(value) ? value.size : items?.length;
  if (length === undefined) throw new TemplateError(`object of type '${typeName(value)}' has no len()`);
  return length;
}

export function indent(value: Value, args: Arguments, { budget }: FilterContext): Value {
  const read = new Reader("indent", ["width", "first", "blank"], args);
  const width = read.value("width", 4);
  const count = typeof width === "string" ? width.length : read.integer("width", 4);
  budget.string(Math.max(0, count));
  const prefix = typeof width === "string" ? width : " ".repeat(Math.max(0, count));
  const text = textIn(value, "indent");
  const indentsBlank = read.flag("blank", false);
  const lines = splitLines(`${text}\n`, false, budget);
  budget.string(text.length + lines.length * prefix.length);
  return lines
    .map((line, i) =>
      (i === 0 ? read.flag("first", false) : indentsBlank || line !== "") ? prefix + line : line,
    )
    .join("\n");
}

export function truncate(value: Value, args: Arguments, { budget }: FilterContext): Value {
  const read = new Reader("truncate", ["length", "killwords", "end", "leeway"], args);
  const [length, end, leeway] = [
    read.integer("length", 255),
    characters(read.string("end", "...")),
    read.integer("leeway", 5),
  ];
  if (length < end.length) throw new TemplateError(`truncate: length: expected at least ${end.length}`);
  if (leeway < 0) throw new TemplateError(`truncate: leeway: expected at least 0, got ${leeway}`);
  // A short list or dict stays one, as in Jinja.
  if (lengthOf(value, budget) <= length + leeway) return value;
  const text = textIn(value, "truncate");
  budget.items(text.length);
  const units = characters(text);
  const kept = units.slice(0, length - end.length).join("");
  const space = read.flag("killwords", false) ? -1 : kept.lastIndexOf(" ");
  return (space < 0 ? kept : kept.slice(0, space)) + end.join("");
}

/** Where Python's textwrap may break a text: behind white space, hyphens in words, and dashes. */
const chunk =
  /[\t-\r ]+|(?<=[\p{L}\p{N}_!"'&.,?])-{2,}(?=[\p{L}\p{N}_])|[^\t-\r ]+?(?:-(?:(?<=[\p{L}_]{2}-)|(?<=[\p{L}_]-[\p{L}_]-))(?=[\p{L}_]-?[\p{L}_])|(?=[\t-\r ]|$)|(?<=[\p{L}\p{N}_!"'&.,?])(?=-{2,}[\p{L}\p{N}_]))/gu;
const wordChunk = /[\t-\r ]+|[^\t-\r ]+/g;

export function wordWrap(value: Value, args: Arguments, { budget }: FilterContext): Value {
  const read = new Reader("wordwrap", ["width", "break_long_words", "wrapstring", "break_on_hyphens"], args);
  const [width, wrap] = [read.integer("width", 79), read.value("wrapstring", null) ?? "\n"];
  if (width < 1) throw new TemplateError(`wordwrap: width: expected at least 1, got ${width}`);
  const breaks = read.flag("break_long_words", true);
  const hyphens = read.flag("break_on_hyphens", true);
  const text = textIn(value, "wordwrap");
  budget.items(text.length);
  const lines = splitLines(text, false, budget).map((line) => {
    // The pattern looks along a run of hyphens from each of its characters.
    for (const [run] of line.matchAll(/-+/g)) budget.characters(run.length ** 2);
    const pieces = line.matchAll(hyphens ? chunk : wordChunk);
    const chunks = Array.from(pieces, ([piece]) => (budget.step(), piece));
    return joinText(textOf(wrap, budget), wrapChunks(chunks, width, breaks, hyphens), budget);
  });
  return joinText(textOf(wrap, budget), lines, budget);
}

const isBlank = (text: string): boolean => strip(text, "both") === "";

/** Behind the last hyphen that fits, if anything else stands before it. */
function hyphenEnd(text: string, size: number): number {
  const hyphen = text.slice(0, size).lastIndexOf("-");
  return hyphen > 0 && /[^-]/.test(text.slice(0, hyphen)) ? hyphen + 1 : size;
}

/** Lines of at most `width` units, without white space at their ends; that before the first line stays. */
function wrapChunks(
  chunks: readonly string[],
  width: number,
  breaks: boolean,
  hyphens: boolean,
): readonly string[] {
  const lines: string[] = [];
  const rest = [...chunks].reverse();
  while (rest.length > 0) {
    const line: string[] = [];
    let length = 0;
    if (lines.length > 0 && isBlank(rest.at(-1)!)) rest.pop();
    for (; rest.length > 0 && length + rest.at(-1)!.length <= width; length += line.at(-1)!.length) {
      line.push(rest.pop()!);
    }
    const next = rest.at(-1);
    if (next !== undefined && next.length > width) {
      if (breaks) {
        const end = hyphens ? hyphenEnd(next, width - length) : width - length;
        line.push(next.slice(0, end));
        rest[rest.length - 1] = next.slice(end);
      } else if (line.length === 0) line.push(rest.pop()!);
    }
    if (line.length > 0 && isBlank(line.at(-1)!)) line.pop();
    if (line.length > 0) lines.push(line.join(""));
  }
  return lines;
}

const entities: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\xa0",
};

/** Text without comments and tags, its white space as single spaces. @throws TemplateError for entities that are not known */
export function stripTags(value: Value, args: Arguments, { budget }: FilterContext): Value {
  new Reader("striptags", [], args);
  const text = textOf(value, budget);
  budget.characters(4 * text.length);
  const plain = without(without(text, "<!--", "-->"), "<", ">");
  const spaced = splitSpaces(plain, Infinity, false, budget).join(" ");
  return spaced.replace(
    /&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|(\w+));/g,
    (all, decimal?: string, hex?: string, name = "") => {
      const code = Number(decimal ?? `0x${hex ?? "110000"}`);
      const character = code > 0x10ffff ? entities[name] : String.fromCodePoint(code);
      if (character === undefined) throw new TemplateError(`striptags: the entity ${all} is not known here`);
      return character;
    },
  );
}

/** Text without all that stands between two marks, up to the first one that does not end. */
function without(text: string, open: string, close: string): string {
  let [kept, at] = ["", 0];
  for (;;) {
    const start = text.indexOf(open, at);
    const end = start < 0 ? -1 : text.indexOf(close, start);
    if (end < 0) return kept + text.slice(at);
    kept += text.slice(at, start);
    at = end + close.length;
  }
}

function quoteUrl(value: Value, isQuery: boolean, budget: Budget): string {
  const text = textOf(value, budget);
  budget.string(9 * text.length);
  if (/\p{Cs}/u.test(text)) throw new TemplateError("urlencode: the text has half a surrogate pair");
  const quote = (part: string): string => {
    const hex = (one: string): string => `%${one.charCodeAt(0).toString(16).toUpperCase()}`;
    const quoted = encodeURIComponent(part).replace(/[!'()*]/g, hex);
    return isQuery ? quoted.replaceAll("%20", "+") : quoted.replaceAll("%2F", "/");
  };
  return budget.paint?.rewrite(text, quote) ?? quote(text);
}

/** A text quoted for a path, or pairs as a query. */
export function urlEncode(value: Value, args: Arguments, { budget }: FilterContext): Value {
  new Reader("urlencode", [], args);
  if (
    typeof value === "string" ||
    value === null ||
    numberOf(value) !== undefined ||
    typeof value === "bigint"
  )
    return quoteUrl(value, false, budget);
  const pairs = isDict(value) ? dictItems(value, budget).items : iterate(value, budget);
  const texts = pairs.map((pair) => {
    const [key, item, ...rest] = iterate(pair, budget);
    if (key === undefined || item === undefined || rest.length > 0)
      throw new TemplateError("urlencode: expected pairs");
    return `${quoteUrl(key, true, budget)}=${quoteUrl(item, true, budget)}`;
  });
  return joinText("&", texts, budget);
}
