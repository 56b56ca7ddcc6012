/** Python's `str` and `repr` of values, and numbers read from text. */
import { type Budget, TextBuilder } from "./budget.js";
import {
  Callable,
  type Dict,
  Float,
  Generator,
  isDict,
  isList,
  Namespace,
  sequenceOf,
  TemplateError,
  Tuple,
  typeName,
  Undefined,
  type Value,
  View,
} from "./values.js";

/** What a value prints as. */
export function textOf(value: Value, budget: Budget): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "bigint") return intText(value);
  if (value instanceof Undefined) return "";
  const out = new TextBuilder(budget);
  writeRepr(value, out, budget);
  return out.toString();
}

/** Python's `repr`. */
export function reprOf(value: Value, budget: Budget): string {
  const out = new TextBuilder(budget);
  writeRepr(value, out, budget);
  return out.toString();
}

function writeRepr(value: Value, out: TextBuilder, budget: Budget): void {
  if (typeof value === "string") out.add(stringRepr(value, budget));
  else if (typeof value === "number" || typeof value === "bigint") out.add(intText(value));
  else if (typeof value === "boolean") out.add(value ? "True" : "False");
  else if (value === null) out.add("None");
  else if (value instanceof Float) out.add(floatText(value.value));
  else if (value instanceof Undefined) out.add("Undefined");
  else if (value instanceof View) writeView(value, out, budget);
  else if (value instanceof Generator) {
    throw new TemplateError(`the text of a ${value.name} is an address in memory: use it with "| list"`);
  } else if (isDict(value) || value instanceof Namespace) writeDict(value, out, budget);
  else if (isList(value) || value instanceof Tuple) writeSequence(value, out, budget);
  else if (value instanceof Callable) {
    throw new TemplateError(`the text of the function ${value.name} is an address in memory: call it`);
  } else out.add(`<${typeName(value)}>`);
}

function writeSequence(value: readonly Value[] | Tuple, out: TextBuilder, budget: Budget): void {
  const items = sequenceOf(value)!;
  out.add(isList(value) ? "[" : "(");
  for (const [i, item] of items.entries()) {
    if (i > 0) out.add(", ");
    writeRepr(item, out, budget);
  }
  out.add(isList(value) ? "]" : items.length === 1 ? ",)" : ")");
}

function writeView({ name, items, text }: View, out: TextBuilder, budget: Budget): void {
  if (name === "range" && text === undefined) throw new TemplateError("a slice of a range has no text here");
  out.add(text ?? `${name}(`);
  if (text !== undefined) return;
  writeSequence(items, out, budget);
  out.add(")");
}

function writeDict(value: Dict | Namespace, out: TextBuilder, budget: Budget): void {
  out.add(isDict(value) ? "{" : "<Namespace {");
  let separator = "";
  for (const [key, item] of isDict(value) ? value : value.fields) {
    out.add(separator);
    writeRepr(key, out, budget);
    out.add(": ");
    writeRepr(item, out, budget);
    separator = ", ";
  }
  out.add(isDict(value) ? "}" : "}>");
}

const escapes: Readonly<Record<string, string>> = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function stringRepr(text: string, { paint }: Budget): string {
  const read = paint?.plain(text) ?? text;
  const quote = read.includes("'") && !read.includes('"') ? '"' : "'";
  // Python prints what Unicode calls printable as it is: no controls, format characters, separators but the space.
  const escape = (part: string): string =>
    part.replace(/[\\'"]|(?! )[\p{C}\p{Z}]/gu, (character) => {
      if (character === "'" || character === '"') return character === quote ? `\\${character}` : character;
      const code = character.codePointAt(0)!;
      const [letter, width] = code < 0x100 ? ["x", 2] : code < 0x10000 ? ["u", 4] : ["U", 8];
      return escapes[character] ?? `\\${letter}${code.toString(16).padStart(width, "0")}`;
    });
  return quote + (paint?.rewrite(text, escape) ?? escape(text)) + quote;
}

export function intText(value: number | bigint): string {
  if (typeof value === "bigint") return String(value);
  return Number.isSafeInteger(value) || !Number.isFinite(value) ? String(value) : BigInt(value).toString();
}

/** Python's shortest text of a float: an exponent below 1e-4 and from 1e16 on, and always a point or an exponent. */
export function floatText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value > 0 ? "inf" : "-inf";
  if (Object.is(value, -0)) return "-0.0";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [digits, exponent] = value.toExponential().split("e") as [string, string];
    return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
  }
  const text = String(value);
  return text.includes(".") ? text : `${text}.0`;
}

/** Python's integers have no limit. @throws TemplateError for one that a number of JavaScript cannot hold */
export function requireExact(digits: string): void {
  const value = Number(digits);
  if (Number.isSafeInteger(value)) return;
  if (!Number.isFinite(value) || BigInt(digits) !== BigInt(value)) {
    throw new TemplateError(`the integer ${digits.slice(0, 40)} is beyond 2^53`);
  }
}

/** Python's `int(text)`: undefined if it is none. */
export function parseIntText(text: string, base = 10): number | undefined {
  const digits = text.trim().replaceAll(/(?<=\w)_(?=\w)/g, "");
  if (base === 10 && !/^[+-]?\d{1,400}$/.test(digits)) return undefined;
  if (base === 10) requireExact(digits.replace("+", ""));
  const value = base === 10 ? Number(digits) : Number.parseInt(digits, base);
  return Number.isFinite(value) ? value : undefined;
}

/** Python's `float(text)`: undefined if it is none. */
export function parseFloatText(text: string): number | undefined {
  const trimmed = text.trim();
  if (/^[+-]?(inf|infinity)$/i.test(trimmed)) return trimmed.startsWith("-") ? -Infinity : Infinity;
  if (/^[+-]?nan$/i.test(trimmed)) return NaN;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed) ? Number(trimmed) : undefined;
}
