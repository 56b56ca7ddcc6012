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

/** A value as JSON.stringify writes it, with properties in each order; at most so many texts. */
export function textsOf(value: unknown, most = 300): readonly string[] {
  if (Array.isArray(value)) {
    const items = value.map((one) => textsOf(one, most));
    const lists = items.reduce<readonly string[]>(
      (heads, next, i) =>
        heads.flatMap((head) => next.map((text) => (i === 0 ? text : `${head},${text}`))).slice(0, most),
      [""],
    );
    return lists.map((list) => `[${list}]`);
  }
  if (typeof value !== "object" || value === null) return [JSON.stringify(value)];
  const members = Object.entries(value).map(([name, one]) => ({
    name: JSON.stringify(name),
    texts: textsOf(one, 6),
  }));
  const orders = (rest: typeof members): readonly string[] => {
    if (rest.length === 0) return [""];
    const each = rest.flatMap((member) => {
      const tails = orders(rest.filter((other) => other !== member));
      return member.texts.flatMap((text) =>
        tails.map((tail) => `${member.name}:${text}${tail === "" ? "" : `,${tail}`}`),
      );
    });
    return each.slice(0, most);
  };
  return orders(members).map((list) => `{${list}}`);
}
