/**
 * Who wrote which character. While a template runs, the characters that control tokens are spelled with (`<`, `|`, `[` ...) are
 * stand-ins of their own in what others wrote, one for one. So a text may be split, joined, reversed, replaced in or read letter by
 * letter: a token that holds a stand-in in the end was not written by the template. Letters and digits have none: a role is a
 * word, and templates put it between their own brackets.
 *
 * Operations that look at characters look at the plain ones (`budget.plain`, `guard`), so that a template renders as without.
 */
import { type Arguments, isDict, isList, TemplateError, Tuple, type Value } from "./values.js";

type Operation = (subject: Value, args: Arguments) => Value;

export interface StandIn {
  readonly character: string;
  /** Of the same length. */
  readonly standIn: string;
  /** Where the character has one: a regular expression that matches the character, and looks at what follows. */
  readonly where: string;
}

const identity = Uint16Array.from({ length: 0x10000 }, (_, unit) => unit);

/** Replaces UTF-16 units by those of a table: one pass, whatever the text holds. */
function mapUnits(text: string, table: Uint16Array): string {
  const units = new Uint16Array(text.length);
  for (let i = 0; i < text.length; i++) units[i] = table[text.charCodeAt(i)]!;
  return Buffer.from(units.buffer).toString("utf16le");
}

export class Paint {
  /** By UTF-16 unit; characters of two units, and what has a stand-in in some places only, are in `#others`. */
  readonly #painting = identity.slice();
  readonly #cleaning = identity.slice();
  readonly #others: readonly {
    readonly where: RegExp;
    readonly standIn: string;
    readonly character: string;
  }[];
  readonly #paintable: RegExp;
  readonly #painted: RegExp;
  readonly #runs: RegExp;

  constructor(standIns: readonly StandIn[]) {
    const isSimple = ({ character, where }: StandIn): boolean =>
      character.length === 1 && new RegExp(`^(?:${where})$`, "u").test(character);
    for (const { character, standIn } of standIns.filter(isSimple)) {
      this.#painting[character.charCodeAt(0)] = standIn.charCodeAt(0);
      this.#cleaning[standIn.charCodeAt(0)] = character.charCodeAt(0);
    }
    this.#others = standIns
      .filter((one) => !isSimple(one))
      .map(({ where, ...others }) => ({ where: new RegExp(where, "gu"), ...others }));
    this.#paintable = new RegExp(standIns.map(({ where }) => where).join("|"), "gu");
    const painted = standIns.map(({ standIn }) => standIn).join("");
    this.#painted = new RegExp(`[${painted}]`, "u");
    this.#runs = new RegExp(`[${painted}]+|[^${painted}]+`, "gu");
  }

  /** The text as one of others. */
  paint(text: string): string {
    if (text.search(this.#paintable) < 0) return text;
    return this.#others.reduce(
      (changed, { where, standIn }) => changed.replace(where, standIn),
      mapUnits(text, this.#painting),
    );
  }

  /** The text as it reads. */
  plain(text: string): string {
    if (!this.#isPainted(text)) return text;
    return this.#others.reduce(
      (changed, { standIn, character }) => changed.replaceAll(standIn, () => character),
      mapUnits(text, this.#cleaning),
    );
  }

  /** What a function that maps each character by itself makes of the plain text. */
  rewrite(text: string, map: (part: string) => string): string {
    return text.replace(this.#runs, (part) =>
      this.#isPainted(part) ? this.paint(map(this.plain(part))) : map(part),
    );
  }

  /**
   * Performs an operation without side effects on a text: the result reads as that of the plain texts. Its characters keep who
   * wrote them where the operation does the same with stand-ins, and with stand-ins in what it looks for; else all are those of
   * others. So are those that it makes of other ones (`"\u003c" | fromjson`), if `isDecoder`.
   */
  guard(operation: Operation, subject: Value, args: Arguments, isDecoder = false): Value {
    const given = [subject, ...args.positional, ...args.named.values()];
    if (!isDecoder && !given.some((value) => this.#holdsPaint(value))) return operation(subject, args);
    const plain = (value: Value): Value => mapTexts(value, (text) => this.plain(text));
    const paint = (value: Value): Value => mapTexts(value, (text) => this.paint(text));
    const result = operation(plain(subject), mapArguments(args, plain));
    if (!holdsText(result)) return result;
    const tries = [args, mapArguments(args, paint, 1), mapArguments(args, paint)];
    for (const attempt of tries) {
      const painted = outcome(operation, subject, attempt);
      if (painted === undefined || !isSame(plain(painted), result)) continue;
      return isDecoder && !this.#holds(given, painted) ? paint(result) : painted;
    }
    return paint(result);
  }

  #isPainted(text: string): boolean {
    return this.#painted.test(text);
  }

  #holdsPaint(value: Value): boolean {
    return someText(value, (text) => this.#isPainted(text));
  }

  /** True if every paintable character of the result occurs in what was given, as it is there. */
  #holds(given: readonly Value[], result: Value): boolean {
    const known = new Set<string>();
    for (const value of given) someText(value, (text) => (this.#see(text, known), false));
    const made = new Set<string>();
    someText(result, (text) => (this.#see(text, made), false));
    return [...made].every((character) => known.has(character));
  }

  #see(text: string, into: Set<string>): void {
    for (const [character] of text.matchAll(this.#paintable)) into.add(character);
  }
}

function outcome(operation: Operation, subject: Value, args: Arguments): Value | undefined {
  try {
    return operation(subject, args);
  } catch (cause) {
    if (cause instanceof TemplateError) return undefined;
    throw cause;
  }
}

/** @param count of the positional ones; all if it is left out, and the named ones as well */
function mapArguments(
  { positional, named }: Arguments,
  map: (value: Value) => Value,
  count?: number,
): Arguments {
  return {
    positional: positional.map((value, i) => (count === undefined || i < count ? map(value) : value)),
    named:
      count === undefined ? new Map([...named].map(([name, value]) => [name, map(value)] as const)) : named,
  };
}

function holdsText(value: Value): boolean {
  return typeof value === "string" || isList(value) || value instanceof Tuple || isDict(value);
}

function someText(value: Value, holds: (text: string) => boolean): boolean {
  if (typeof value === "string") return holds(value);
  if (isList(value)) return value.some((item) => someText(item, holds));
  if (value instanceof Tuple) return someText(value.items, holds);
  if (!isDict(value)) return false;
  return [...value].some(([key, item]) => (typeof key === "string" && holds(key)) || someText(item, holds));
}

function mapTexts(value: Value, map: (text: string) => string): Value {
  if (typeof value === "string") return map(value);
  if (isList(value)) return value.map((item) => mapTexts(item, map));
  if (value instanceof Tuple)
    return new Tuple(
      value.items.map((item) => mapTexts(item, map)),
      value.names,
    );
  if (!isDict(value)) return value;
  return new Map(
    Array.from(
      value,
      ([key, item]) => [typeof key === "string" ? map(key) : key, mapTexts(item, map)] as const,
    ),
  );
}

function isSame(a: Value, b: Value): boolean {
  if (a instanceof Tuple && b instanceof Tuple) return isSame(a.items, b.items);
  if (isList(a) && isList(b)) return a.length === b.length && a.every((item, i) => isSame(item, b[i]!));
  if (isDict(a) && isDict(b)) return isSame([...a].flat(), [...b].flat());
  return a === b || (!holdsText(a) && !holdsText(b));
}
