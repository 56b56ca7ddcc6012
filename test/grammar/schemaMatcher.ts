/** Texts of a grammar, byte by byte: whether it takes one, and random ones of it. */
import { CompiledGrammar, GrammarVocabulary, Matcher } from "../../lib/grammar/matcher.js";
import type { WrittenGrammar } from "../../lib/grammar/syntax/rules.js";
import type { Random } from "../support/random.js";

/** A token for each byte. */
const bytes = new GrammarVocabulary(Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)));

/** A grammar with its own matchers, which end with it. */
export class TextGrammar implements Disposable {
  readonly #grammar: CompiledGrammar;

  constructor(written: WrittenGrammar) {
    this.#grammar = new CompiledGrammar(written);
  }

  /** Whether the whole text is one of the grammar. */
  accepts(text: string): boolean {
    using matcher = new Matcher(this.#grammar, bytes);
    return Buffer.from(text).every((byte) => matcher.accept(byte)) && matcher.isAccepting;
  }

  /**
   * A random text. Where it may end it does so every other time, so that unbounded texts end, too.
   *
   * @param most bytes @returns undefined for one that is longer
   */
  sample(random: Random, most = 160): string | undefined {
    using matcher = new Matcher(this.#grammar, bytes);
    const mask = new Int32Array(bytes.words);
    const text: number[] = [];
    while (text.length < most) {
      const goesOn = matcher.fillMask(mask);
      if (matcher.isAccepting && (!goesOn || random.uniform() < 0.5)) return Buffer.from(text).toString();
      const allowed = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => isSet(mask, byte));
      if (allowed.length === 0) throw new Error(`nothing goes on with ${Buffer.from(text).toString()}`);
      // What closes strings, arrays and objects comes more often than its share of bytes.
      const closing = allowed.filter((byte) => '"]},'.includes(String.fromCharCode(byte)));
      const among = closing.length > 0 && random.uniform() < 0.2 ? closing : allowed;
      const byte = among[random.integer(0, among.length)]!;
      if (!matcher.accept(byte)) throw new Error(`the mask allows byte ${byte}, and it is refused`);
      text.push(byte);
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#grammar[Symbol.dispose]();
  }
}

const isSet = (mask: Int32Array, bit: number): boolean => ((mask[bit >> 5]! >>> (bit & 31)) & 1) === 1;

/** A value as JSON.stringify writes it, with properties in each order; at most so many texts, the given order first. */
export function textsOf(value: unknown, most = 100): readonly string[] {
  const texts: string[] = [];
  for (const text of written(value)) if (texts.push(text) === most) break;
  return texts;
}

function* written(value: unknown): Generator<string, void, void> {
  if (typeof value !== "object" || value === null) return yield JSON.stringify(value);
  if (Array.isArray(value)) {
    for (const items of sequences(value.map((one: unknown) => () => written(one)))) yield `[${items.join()}]`;
    return;
  }
  const members = Object.entries(value).map(([name, one]) => {
    return function* (): Generator<string, void, void> {
      for (const text of written(one)) yield `${JSON.stringify(name)}:${text}`;
    };
  });
  for (const order of permutations(members)) for (const list of sequences(order)) yield `{${list.join()}}`;
}

/** One text of each. */
function* sequences(parts: readonly (() => Iterable<string>)[]): Generator<readonly string[], void, void> {
  const [first, ...rest] = parts;
  if (!first) return yield [];
  for (const text of first()) for (const more of sequences(rest)) yield [text, ...more];
}

function* permutations<T>(list: readonly T[]): Generator<readonly T[], void, void> {
  if (list.length === 0) yield [];
  for (const [i, one] of list.entries())
    for (const rest of permutations([...list.slice(0, i), ...list.slice(i + 1)])) yield [one, ...rest];
}
