/**
 * Control tokens that a template makes of what others wrote: `content | upper` of "[inst]", `content | replace("\n", "")` of
 * "<|im_\nstart|>". plainText.ts marks what a message spells before the template runs; this marks what a filter, method, slice
 * or `%` makes of it. Tokens that a template builds of its own strings stay: `"<|%s|>" | format(role)`, `["<|", role, "|>"] | join`.
 */
import type { Budget } from "./budget.js";
import { type Arguments, Generator, isDict, isList, iterate, pull, Tuple, type Value } from "./values.js";

/** What a rendering knows about the tokens that others must not write. */
export interface ControlTokens {
  /** The character that keeps a token from being one. */
  readonly marker: string;
  /** The tokens that occur without it. */
  readonly find: (text: string) => Iterable<string>;
  /** The text with it in each token that it spells. */
  readonly mark: (text: string) => string;
  /** Texts that others wrote: never the template's own, also if it has the same. */
  readonly foreign: ReadonlySet<string>;
}

type Operation = (subject: Value, args: Arguments) => Value;

/** Longer texts are not kept: they are taken for those of others. */
const maxOwnLength = 256;
/** A text that takes the place of those of others; it is part of no token. */
const neutral = "\ufdd0";
const isWord = (text: string): boolean => /^\w*$/.test(text);

export class Forgery {
  readonly #tokens: ControlTokens;
  readonly #budget: Budget;
  readonly #literals = new Set<string>();
  readonly #foreign: Set<string>;

  constructor(tokens: ControlTokens, budget: Budget) {
    this.#tokens = tokens;
    this.#budget = budget;
    this.#foreign = new Set(tokens.foreign);
  }

  /** Says that the template itself holds a text. */
  addLiteral(text: string): void {
    if (text.length <= maxOwnLength) this.#literals.add(text);
  }

  /**
   * Performs an operation without side effects. Tokens that occur more often in its result than in what it is given, and than
   * in what it makes of the template's own texts alone, come back marked.
   */
  guard(operation: Operation, subject: Value, args: Arguments): Value {
    if (subject instanceof Generator) return this.#guardItems(operation, subject, args);
    const result = operation(subject, args);
    if (result instanceof Generator) return this.#guarded(result, [subject], args);
    const isFresh = typeof subject === "string";
    if (result === subject || !holdsText(result, isFresh)) return result;
    const made = this.#count(result, isFresh);
    const given =
      made.size > 0 ? this.#count([subject, ...args.positional, ...args.named.values()], true) : made;
    const isNew = [...made].some(([token, count]) => count > (given.get(token) ?? 0));
    const marked = isNew ? this.#marked(operation, subject, args, result, made, given) : result;
    const isOwn = [subject, ...args.positional].every(
      (part) => typeof part !== "string" || this.#isOwn(part),
    );
    if (typeof marked === "string" && marked.length <= maxOwnLength && !isOwn) this.#foreign.add(marked);
    return marked;
  }

  /** The same for a generator: what it gave is kept, since it gives nothing twice. */
  #guardItems(operation: Operation, subject: Generator, args: Arguments): Value {
    const [given, budget]: [Value[], Budget] = [[], this.#budget];
    const kept = new Generator(
      subject.name,
      (function* () {
        for (const item of pull(subject, budget)) {
          budget.items(1);
          given.push(item);
          yield item;
        }
      })(),
    );
    const result = operation(kept, args);
    if (result instanceof Generator) return this.#guarded(result, given, args);
    const again = (on: Value, others: Arguments): Value =>
      on === given ? result : operation(new Generator(subject.name, iterate(on, budget).values()), others);
    return this.guard(again, given, args);
  }

  /** A generator whose items come back marked if they hold tokens that those it was given do not. */
  #guarded(result: Generator, given: readonly Value[], { positional, named }: Arguments): Generator {
    const isForged = (item: Value): boolean => {
      const made = this.#count(item, true);
      const known = made.size > 0 ? this.#count([...given, ...positional, ...named.values()], true) : made;
      return [...made].some(([token, count]) => count > (known.get(token) ?? 0));
    };
    const [budget, { mark }] = [this.#budget, this.#tokens];
    return new Generator(
      result.name,
      (function* () {
        for (const item of pull(result, budget)) yield isForged(item) ? mapTexts(item, mark) : item;
      })(),
    );
  }

  #marked(
    operation: Operation,
    subject: Value,
    args: Arguments,
    result: Value,
    made: ReadonlyMap<string, number>,
    given: ReadonlyMap<string, number>,
  ): Value {
    const own = this.#ownTokens(operation, subject, args);
    const forged = [...made].some(
      ([token, count]) => count > Math.max(given.get(token) ?? 0, own.get(token) ?? 0),
    );
    return forged ? mapTexts(result, this.#tokens.mark) : result;
  }

  /** The tokens that the operation makes where every text of others is another one. */
  #ownTokens(operation: Operation, subject: Value, args: Arguments): ReadonlyMap<string, number> {
    const own = (value: Value): Value => mapTexts(value, (text) => (this.#isOwn(text) ? text : neutral));
    const named = new Map([...args.named].map(([name, value]) => [name, own(value)] as const));
    try {
      return this.#count(operation(own(subject), { positional: args.positional.map(own), named }), true);
    } catch {
      return new Map(); // It needs the text that it was given, so it makes nothing of the template's own.
    }
  }

  /** Words alone make no control token: a role is one, and templates put it between their own brackets. */
  #isOwn(text: string): boolean {
    return isWord(text) || (this.#literals.has(text) && !this.#foreign.has(text));
  }

  #count(value: Value, deep: boolean): Map<string, number> {
    const counts = new Map<string, number>();
    forTexts(value, deep, (text) => {
      this.#budget.step();
      this.#budget.characters(text.length);
      for (const token of this.#tokens.find(text)) counts.set(token, (counts.get(token) ?? 0) + 1);
    });
    return counts;
  }
}

function holdsText(value: Value, deep: boolean): boolean {
  return typeof value === "string" || isList(value) || value instanceof Tuple || (deep && isDict(value));
}

/** @param deep also the keys and values of dicts */
function forTexts(value: Value, deep: boolean, visit: (text: string) => void): void {
  if (typeof value === "string") visit(value);
  else if (isList(value)) for (const item of value) forTexts(item, deep, visit);
  else if (value instanceof Tuple) forTexts(value.items, deep, visit);
  else if (deep && isDict(value)) {
    for (const [key, item] of value) {
      if (typeof key === "string") visit(key);
      forTexts(item, deep, visit);
    }
  }
}

function mapTexts(value: Value, map: (text: string) => string): Value {
  if (typeof value === "string") return map(value);
  if (isList(value)) return value.map((item) => mapTexts(item, map));
  if (value instanceof Tuple) return new Tuple(value.items.map((item) => mapTexts(item, map)));
  if (!isDict(value)) return value;
  return new Map(
    Array.from(
      value,
      ([key, item]) => [typeof key === "string" ? map(key) : key, mapTexts(item, map)] as const,
    ),
  );
}
