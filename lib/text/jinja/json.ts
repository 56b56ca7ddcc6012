/** JSON of templates: values from JavaScript, `tojson` as transformers defines it (Python's json.dumps), `fromjson`. */
import { type Budget, TextBuilder } from "./budget.js";
import type { Paint } from "./paint.js";
import { floatText, intText } from "./text.js";
import { Float, isDict, type Key, sequenceOf, TemplateError, typeName, type Value } from "./values.js";

/**
 * A value of JavaScript as a template sees it. Properties that are undefined are absent, as in JSON.
 *
 * @param place of the value, for messages
 * @param mapText is applied to every string, keys included
 * @param readText the same, for strings that are no keys, which may stand for something else
 * @throws TemplateError naming the place, if it is something else than JSON has
 */
export function valueOf(
  value: unknown,
  place: string,
  mapText: (text: string) => string = asItIs,
  readText: (text: string) => Value = mapText,
): Value {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return readText(value);
  if (typeof value === "boolean") return value;
  if (typeof value === "bigint") return wholeOf(value);
  if (typeof value === "number") return numberAt(value, place);
  if (Array.isArray(value)) return value.map((item, i) => valueOf(item, `${place}[${i}]`, mapText, readText));
  if (typeof value === "object" && Object.prototype.toString.call(value) === "[object Object]") {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    return new Map(
      entries.map(([key, item]) => [mapText(key), valueOf(item, `${place}.${key}`, mapText, readText)]),
    );
  }
  throw new TemplateError(
    `${place}: expected what JSON can hold, got ${Object.prototype.toString.call(value)}`,
  );
}

const asItIs = (text: string): string => text;

/** As a number where that is the same: the rest of the interpreter computes with those. */
function wholeOf(value: bigint): number | bigint {
  return BigInt(Number(value)) === value ? Number(value) : value;
}

function numberAt(value: number, place: string): Value {
  if (!Number.isInteger(value)) return new Float(value);
  if (Number.isSafeInteger(value)) return value;
  // 2^63 - 1 reads as 2^63 here: nobody knows which one was meant.
  throw new TemplateError(
    `${place}: ${value} is beyond 2^53, where numbers of JavaScript are rounded: give a bigint or a string`,
  );
}

export interface JsonStyle {
  readonly ensureAscii: boolean;
  /** One level of indentation; undefined for one line. */
  readonly indent: string | undefined;
  readonly itemSeparator: string;
  readonly keySeparator: string;
  readonly sortKeys: boolean;
}

/** @throws TemplateError for values that JSON does not have */
export function toJson(value: Value, style: JsonStyle, budget: Budget): string {
  const out = new TextBuilder(budget);
  write(value, 0, { ...style, paint: budget.paint }, out);
  return out.toString();
}

type Style = JsonStyle & { readonly paint: Paint | undefined };

function write(value: Value, depth: number, style: Style, out: TextBuilder): void {
  const items = sequenceOf(value);
  if (items) {
    writeItems(["[", "]"], items, depth, style, out, (item) => write(item, depth + 1, style, out));
  } else if (isDict(value)) {
    const entries = [...value];
    if (style.sortKeys) entries.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
    writeItems(["{", "}"], entries, depth, style, out, ([key, item]) => {
      out.add(quote(keyText(key), style));
      out.add(style.keySeparator);
      write(item, depth + 1, style, out);
    });
  } else {
    out.add(scalar(value, style));
  }
}

function writeItems<T>(
  [open, close]: readonly [string, string],
  items: readonly T[],
  depth: number,
  { indent, itemSeparator }: Style,
  out: TextBuilder,
  writeItem: (item: T) => void,
): void {
  const newLine = (levels: number): void => {
    if (indent === undefined) return;
    out.add("\n");
    for (let i = 0; i < levels; i++) out.add(indent);
  };
  out.add(open);
  for (const [i, item] of items.entries()) {
    if (i > 0) out.add(itemSeparator);
    newLine(depth + 1);
    writeItem(item);
  }
  if (items.length > 0) newLine(depth);
  out.add(close);
}

function scalar(value: Value, style: Style): string {
  if (typeof value === "string") return quote(value, style);
  if (typeof value === "boolean" || value === null) return String(value);
  if (typeof value === "number" || typeof value === "bigint") return intText(value);
  if (value instanceof Float) {
    if (Number.isFinite(value.value)) return floatText(value.value);
    return Number.isNaN(value.value) ? "NaN" : value.value > 0 ? "Infinity" : "-Infinity";
  }
  throw new TemplateError(`Object of type ${typeName(value)} is not JSON serializable`);
}

function keyText(key: Key): string {
  return typeof key === "number" || typeof key === "bigint" ? intText(key) : String(key);
}

function quote(text: string, { ensureAscii, paint }: Style): string {
  const escape = (part: string): string => {
    const json = JSON.stringify(part).slice(1, -1);
    if (!ensureAscii) return json;
    return json.replace(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  };
  return `"${paint?.rewrite(text, escape) ?? escape(text)}"`;
}

/** A string or a number of JSON. */
const literal = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/g;

/**
 * JSON with strings in place of the numbers that JSON.parse does not read as Python does, such as 1.0 and 2^63 - 1.
 *
 * @returns also what turns these strings into the numbers, and leaves others as they are
 */
function keepNumbers(text: string): { readonly json: string; readonly read: (text: string) => Value } {
  const isUsed = (sign: string): boolean =>
    text.includes(sign) || text.toLowerCase().includes(`\\u${sign.charCodeAt(0).toString(16)}`);
  const signs = Array.from({ length: 32 }, (_, i) => String.fromCharCode(0xfdd0 + i));
  const sign = signs.find((one) => !isUsed(one));
  if (sign === undefined) throw new TemplateError("fromjson: the text contains all of U+FDD0 to U+FDEF");
  const json = text.replace(literal, (part) =>
    part.startsWith('"') || /^-?\d{1,15}$/.test(part) ? part : `"${sign}${part}"`,
  );
  const read = (string: string): Value => {
    if (!string.startsWith(sign)) return string;
    const digits = string.slice(1);
    return /^-?\d+$/.test(digits) ? wholeOf(BigInt(digits)) : new Float(Number(digits));
  };
  return { json, read };
}

/** @throws TemplateError if the text is not JSON */
export function fromJson(text: string, budget: Budget): Value {
  budget.characters(text.length);
  try {
    const { json, read } = keepNumbers(text);
    return valueOf(JSON.parse(json), "fromjson", undefined, read);
  } catch (cause) {
    if (cause instanceof SyntaxError) throw new TemplateError(`fromjson: ${cause.message}`, { cause });
    throw cause;
  }
}
