/** Python's two ways to put values into a text: `"%s" % value` and `"{}".format(value)`. */
import { type Budget, TextBuilder } from "./budget.js";
import { readSpec } from "./formatSpec.js";
import { roundFloat } from "./rounding.js";
import { floatText, intText, parseIntText, reprOf, textOf } from "./text.js";
import {
  type Arguments,
  characterCount,
  characters,
  Float,
  isDict,
  isList,
  numberOf,
  sequenceOf,
  TemplateError,
  Tuple,
  typeName,
  Undefined,
  type Value,
} from "./values.js";

const directive =
  /%(?:\((?<key>[^()]*)\))?(?<flags>[-#0 +]*)(?<width>\*|\d*)(?:\.(?<precision>\*|\d*))?[hlL]?(?<kind>.?)/gsu;

/** `format % value`. @throws TemplateError if values and directives do not match */
export function percentFormat(format: string, value: Value, budget: Budget): string {
  const list = value instanceof Tuple ? value.items : [value];
  let used = 0;
  const take = (): Value => {
    const item = list[used++];
    if (item === undefined) throw new TemplateError("not enough arguments for format string");
    return item;
  };
  const size = (text: string | undefined): number | undefined => {
    if (text === undefined) return undefined;
    const number = text === "*" ? numberOf(take()) : Number(text || "0");
    if (number === undefined) throw new TemplateError("* wants int");
    return number;
  };
  const out = new TextBuilder(budget);
  let end = 0;
  for (const match of format.matchAll(directive)) {
    out.add(format.slice(end, match.index));
    end = match.index + match[0].length;
    const { key, flags = "", width, precision, kind = "" } = match.groups!;
    if (kind === "%") {
      out.add("%");
      continue;
    }
    const layout = { width: size(width) ?? 0, precision: size(precision) };
    const item = key === undefined ? take() : isDict(value) ? value.get(key) : undefined;
    if (item === undefined) throw new TemplateError(`format requires a mapping with '${key}'`);
    const text = percentText(kind, item, layout.precision, flags, budget);
    const fill = fillOf(flags, kind);
    out.add(pad(text, layout.width, flags.includes("-") ? "<" : fill === "0" ? "=" : ">", fill, budget));
  }
  out.add(format.slice(end));
  // Python takes everything with items for a mapping, whose items need not be used, but for tuples and texts.
  if (used < list.length && !(isDict(value) || isList(value))) {
    throw new TemplateError("not all arguments converted during string formatting");
  }
  return out.toString();
}

function fillOf(flags: string, kind: string): string {
  return flags.includes("0") && !flags.includes("-") && !"srac".includes(kind) ? "0" : " ";
}

function percentText(
  kind: string,
  value: Value,
  precision: number | undefined,
  flags: string,
  budget: Budget,
): string {
  if (kind === "s" || kind === "r" || kind === "a") {
    if (kind === "a") throw new TemplateError("%a format: use %r");
    const text = kind === "s" ? textOf(value, budget) : reprOf(value, budget);
    return firstCharacters(text, precision, budget);
  }
  if (kind === "c" && typeof value === "string" && characterCount(value) === 1) return value;
  if (typeof value === "bigint" && "diu".includes(kind)) {
    return withSign(padDigits(intText(value), precision ?? 0), flags);
  }
  const number = numberOf(value);
  if (number === undefined) {
    throw new TemplateError(`%${kind} format: a real number is required, not ${typeName(value)}`);
  }
  if (kind === "c") {
    if (!(value instanceof Float) && number >= 0 && number <= 0x10ffff) {
      const character = String.fromCodePoint(number);
      return budget.paint?.paint(character) ?? character; // nobody knows who wrote the number
    }
    throw new TemplateError("%c format: the code of a character is an integer below 0x110000");
  }
  if (value instanceof Float && "xXo".includes(kind)) {
    throw new TemplateError(`%${kind} format: an integer is required, not float`);
  }
  if (flags.includes("#") && "eEfFgG".includes(kind))
    throw new TemplateError(`%#${kind}: # is not known here`);
  const text = numberText(kind, number, precision ?? 6, precision ?? 0, budget);
  return withSign(flags.includes("#") ? prefixed(kind, text) : text, flags);
}

/** So many characters of a text; all if no number says it. */
function firstCharacters(text: string, count: number | undefined, budget: Budget): string {
  if (count === undefined) return text;
  budget.items(text.length);
  return characters(text).slice(0, count).join("");
}

function numberText(kind: string, number: number, precision: number, digits: number, budget: Budget): string {
  budget.string(precision + digits);
  if ("xXob".includes(kind) && !Number.isInteger(number)) {
    throw new TemplateError(`%${kind} format: an integer is required, not float`);
  }
  switch (kind) {
    case "d":
    case "i":
    case "u":
      return padDigits(intText(Math.trunc(number)), digits);
    case "x":
      return padDigits(number.toString(16), digits);
    case "X":
      return padDigits(number.toString(16).toUpperCase(), digits);
    case "o":
      return padDigits(number.toString(8), digits);
    case "b":
      return padDigits(number.toString(2), digits);
    case "f":
    case "F":
      return fixedText(roundFloat(number, precision), Math.min(precision, 100));
    case "e":
    case "E":
      return inCase(kind, exponentText(number, Math.min(precision, 100)));
    case "g":
    case "G":
      return inCase(kind, generalText(number, Math.min(Math.max(precision, 1), 100)));
    default:
      throw new TemplateError(`unsupported format character '${kind}'`);
  }
}

const inCase = (kind: string, text: string): string =>
  kind === "G" || kind === "E" ? text.toUpperCase() : text;

function fixedText(number: number, digits: number): string {
  if (!Number.isFinite(number)) return floatText(number);
  const text =
    Math.abs(number) < 1e21
      ? number.toFixed(digits)
      : intText(number) + (digits > 0 ? `.${"0".repeat(digits)}` : "");
  return Object.is(number, -0) ? `-${text}` : text;
}

function exponentText(number: number, digits: number): string {
  if (!Number.isFinite(number)) return floatText(number);
  const exponent = number === 0 ? 0 : Number(number.toExponential().split("e")[1]);
  const text = roundFloat(number, digits - exponent)
    .toExponential(digits)
    .replace(/e([+-])(\d)$/, "e$10$2");
  return Object.is(number, -0) ? `-${text}` : text;
}

/**
 * C's "%g": so many digits, without zeros at the end, and an exponent where that is shorter.
 *
 * @param limit exponent from which on it is written
 */
function generalText(number: number, precision: number, limit = precision): string {
  if (!Number.isFinite(number)) return floatText(number);
  const text = exponentText(number, precision - 1);
  const exponent = Number(text.split("e")[1]);
  const isFixed = exponent >= -4 && exponent < limit;
  const plain = isFixed
    ? fixedText(roundFloat(number, precision - 1 - exponent), precision - 1 - exponent)
    : text;
  return plain.replace(/(\.\d*?)0+(?=e|$)/, "$1").replace(/\.(?=e|$)/, "");
}

function padDigits(text: string, digits: number): string {
  return text.startsWith("-") ? `-${text.slice(1).padStart(digits, "0")}` : text.padStart(digits, "0");
}

/** `0x` before the digits of a base other than ten. */
function prefixed(kind: string, text: string): string {
  return "xXob".includes(kind) ? text.replace(/^-?/, `$&0${kind}`) : text;
}

function withSign(text: string, flags: string): string {
  if (text.startsWith("-")) return text;
  return flags.includes("+") ? `+${text}` : flags.includes(" ") ? ` ${text}` : text;
}

/**
 * @param side where the text stands in its field: "<", ">", "^" of formats, "=" with its sign before the field, or "center" of the
 * method of that name
 */
export function pad(text: string, width: number, side: string, fill: string, budget: Budget): string {
  const missing = width - characterCount(text);
  if (missing <= 0) return text;
  budget.string(text.length + missing * fill.length);
  // The method puts the odd character to the left where the width is odd, too.
  const odd = side === "center" ? missing & width & 1 : 0;
  const left = side === "<" ? 0 : side === ">" || side === "=" ? missing : Math.floor(missing / 2) + odd;
  const [sign = ""] = (side === "=" && /^[-+ ]?(?:0[xXob])?/.exec(text)) || [];
  return sign + fill.repeat(left) + text.slice(sign.length) + fill.repeat(missing - left);
}

const replacement = /\{\{|\}\}|\{(?<path>[^{}!:]*)(?:!(?<conversion>[rsa]))?(?::(?<spec>[^{}]*))?\}|[{}]/g;
/** `format.format(...)`; fields are positions, names, and indices of them. @throws TemplateError */
export function braceFormat(format: string, { positional, named }: Arguments, budget: Budget): string {
  let next = 0;
  const find = (path: string): Value => {
    const [first = "", ...rest] = path.split(/[.[\]]+/).filter((part, i) => i === 0 || part !== "");
    const name = first === "" ? String(next++) : first;
    let value = parseIntText(name) === undefined ? named.get(name) : positional[Number(name)];
    if (value === undefined) throw new TemplateError(`format: there is no argument '${name}'`);
    for (const part of rest) {
      if (value instanceof Undefined) throw new TemplateError(value.hint);
      const items: readonly Value[] | undefined =
        typeof value === "string" ? characters(value) : sequenceOf(value);
      const item: Value | undefined = isDict(value) ? value.get(part) : items?.[Number(part)];
      value = item ?? (item === null ? null : new Undefined(`format: '${path}' is undefined`));
    }
    return value;
  };
  const out = new TextBuilder(budget);
  let end = 0;
  for (const match of format.matchAll(replacement)) {
    out.add(format.slice(end, match.index));
    end = match.index + match[0].length;
    const { path, conversion, spec = "" } = match.groups!;
    if (match[0].length === 1) throw new TemplateError(`format: single '${match[0]}' in the format string`);
    if (path === undefined) out.add(match[0][0]!);
    else {
      const value = find(path);
      out.add(braceText(conversion === "r" ? reprOf(value, budget) : value, spec, budget));
    }
  }
  out.add(format.slice(end));
  return out.toString();
}

function braceText(value: Value, spec: string, budget: Budget): string {
  if (spec === "") return textOf(value, budget);
  const { fill, side, flags, width, comma, digits, kind } = readSpec(value, spec);
  const number = numberOf(value);
  let text: string;
  if (number === undefined) {
    text = firstCharacters(textOf(value, budget), digits, budget);
  } else if (kind === "%") {
    text = withSign(numberText("f", number * 100, digits ?? 6, 0, budget), flags) + "%";
  } else {
    const usual = value instanceof Float ? (digits === undefined ? "" : "g") : "d";
    const letter = kind === "n" && value instanceof Float ? "g" : kind === "" || kind === "n" ? usual : kind;
    if (kind === "" && digits !== undefined && value instanceof Float) {
      budget.string(digits);
      text = generalText(number, Math.min(Math.max(digits, 1), 100), Math.max(digits, 1) - 1);
      if (/^-?\d+$/.test(text)) text += ".0";
    } else text = letter === "" ? floatText(number) : numberText(letter, number, digits ?? 6, 0, budget);
    text = withSign(flags.includes("#") ? prefixed(letter, text) : text, flags);
  }
  if (comma)
    text = text.replace(/^([-+ ]?)(\d+)/, (_, sign: string, whole: string) => sign + grouped(whole, comma));
  const isNumber = number !== undefined || typeof value === "bigint";
  const zero = flags.includes("0") && fill === undefined ? "0" : (fill ?? " ");
  const usualSide = isNumber ? (zero === "0" && flags.includes("0") ? "=" : ">") : "<";
  return pad(text, width, side ?? usualSide, zero, budget);
}

function grouped(digits: string, comma: string): string {
  return digits.replace(/\B(?=(?:\d{3})+$)/g, comma);
}
