/** Stripping, splitting, replacing and joining texts as Python does, in linear time. */
import type { Budget } from "./budget.js";
import { TemplateError } from "./values.js";

/** White space of Python's `str`, as far as it is one UTF-16 unit, which all of it is. */
const spaces = new Set("\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000");
for (let code = 0x2000; code <= 0x200a; code++) spaces.add(String.fromCharCode(code));

/** Text without the given characters (default: white space) at its ends. */
export function strip(text: string, ends: "both" | "left" | "right", chars?: string): string {
  const set = chars === undefined ? spaces : new Set(chars);
  const units = chars === undefined ? text : Array.from(text);
  let [start, end] = [0, units.length];
  if (ends !== "right") while (start < end && set.has(units[start]!)) start++;
  if (ends !== "left") while (start < end && set.has(units[end - 1]!)) end--;
  return typeof units === "string" ? units.slice(start, end) : units.slice(start, end).join("");
}

/** `text.replace(old, new, count)` with as many replacements as count says; all if it is negative. */
export function replaceText(text: string, old: string, by: string, count: number, budget: Budget): string {
  budget.characters(text.length);
  let limit = count < 0 ? Infinity : count;
  if (old === "") {
    const units = Array.from(text);
    limit = Math.min(limit, units.length + 1);
    budget.string(text.length + limit * by.length);
    return units.map((unit, i) => (i < limit ? by + unit : unit)).join("") + (limit > units.length ? by : "");
  }
  const pieces = splitText(text, old, limit, budget);
  budget.string(text.length + (pieces.length - 1) * (by.length - old.length));
  return pieces.join(by);
}

/** Pieces between at most `limit` separators, from the left. */
export function splitText(text: string, separator: string, limit: number, budget: Budget): readonly string[] {
  if (separator === "") throw new TemplateError("split(): empty separator");
  budget.characters(text.length);
  const pieces: string[] = [];
  let start = 0;
  for (
    let at;
    pieces.length < limit && (at = text.indexOf(separator, start)) >= 0;
    start = at + separator.length
  ) {
    pieces.push(text.slice(start, at));
    if (pieces.length % 1024 === 0) budget.items(1024);
  }
  pieces.push(text.slice(start));
  return budget.list(pieces);
}

export function splitRight(
  text: string,
  separator: string,
  limit: number,
  budget: Budget,
): readonly string[] {
  if (separator === "") throw new TemplateError("rsplit(): empty separator");
  if (limit === Infinity) return splitText(text, separator, limit, budget);
  const pieces: string[] = [];
  let end = text.length;
  budget.characters(text.length);
  while (pieces.length < limit && end >= separator.length) {
    const at = text.lastIndexOf(separator, end - separator.length);
    if (at < 0) break;
    pieces.push(text.slice(at + separator.length, end));
    if (pieces.length % 1024 === 0) budget.items(1024);
    end = at;
  }
  return budget.list([text.slice(0, end), ...pieces.reverse()]);
}

/** Pieces between runs of white space. */
export function splitSpaces(
  text: string,
  limit: number,
  isRight: boolean,
  budget: Budget,
): readonly string[] {
  budget.characters(text.length);
  const words: { readonly start: number; readonly end: number }[] = [];
  for (let i = 0; i < text.length;) {
    while (i < text.length && spaces.has(text[i]!)) i++;
    const start = i;
    while (i < text.length && !spaces.has(text[i]!)) i++;
    if (i === start) break;
    words.push({ start, end: i });
    if (words.length % 1024 === 0) budget.items(1024);
  }
  const slices = (some: typeof words): string[] => some.map(({ start, end }) => text.slice(start, end));
  if (words.length <= limit) return budget.list(slices(words));
  if (isRight) {
    const rest = text.slice(0, words[words.length - limit - 1]!.end);
    return budget.list([rest, ...slices(words.slice(words.length - limit))]);
  }
  return budget.list([...slices(words.slice(0, limit)), text.slice(words[limit]!.start)]);
}

const line = /[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]*(?:\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]|$)/g;

/** Python's `splitlines`. */
export function splitLines(text: string, keepEnds: boolean, budget: Budget): readonly string[] {
  budget.characters(text.length);
  const all = Array.from(text.matchAll(line), ([one]) => (budget.step(), one)).filter((one) => one !== "");
  return budget.list(
    keepEnds ? all : all.map((one) => one.replace(/(?:\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])$/, "")),
  );
}

/** `separator.join(items)`. */
export function joinText(separator: string, items: readonly string[], budget: Budget): string {
  const length = items.reduce(
    (sum, item) => sum + item.length,
    Math.max(0, items.length - 1) * separator.length,
  );
  budget.string(length);
  return items.join(separator);
}
