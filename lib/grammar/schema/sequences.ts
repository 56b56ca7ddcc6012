/** Symbols one after another, so and so many of them, with few rules: counts are written in binary. */
import type { GrammarSymbol, GrammarWriter } from "../syntax/rules.js";

export class Sequences {
  readonly #grammar: GrammarWriter;
  readonly #known = new Map<string, GrammarSymbol>();

  constructor(grammar: GrammarWriter) {
    this.#grammar = grammar;
  }

  /** At least `min` and at most `max`. */
  of(one: GrammarSymbol, min: number, max: number): readonly GrammarSymbol[] {
    const more = max === Infinity ? this.#any(one) : this.#upTo(one, max - min);
    return [...this.#exactly(one, min), more];
  }

  /** The same with something between them. */
  separated(one: GrammarSymbol, between: GrammarSymbol, min: number, max: number): GrammarSymbol {
    const grammar = this.#grammar;
    if (max < Math.max(min, 1)) return grammar.choice(max < min ? [] : [[]]);
    const next = this.#once(`next ${between} ${one}`, (all) => grammar.rule(all, [between, one]));
    const some = [one, ...this.of(next, Math.max(0, min - 1), max - 1)];
    return grammar.choice(min === 0 ? [[], some] : [some]);
  }

  #any(one: GrammarSymbol): GrammarSymbol {
    return this.#once(`any ${one}`, (all) => {
      this.#grammar.rule(all, []);
      this.#grammar.rule(all, [all, one]);
    });
  }

  #exactly(one: GrammarSymbol, count: number): readonly GrammarSymbol[] {
    const all: GrammarSymbol[] = [];
    for (let power = 0; 2 ** power <= count; power++)
      if (Math.floor(count / 2 ** power) % 2 === 1) all.push(this.#power(one, power));
    return all;
  }

  /** 2^power of them. */
  #power(one: GrammarSymbol, power: number): GrammarSymbol {
    if (power === 0) return one;
    return this.#once(`2^${power} ${one}`, (all) => {
      const half = this.#power(one, power - 1);
      this.#grammar.rule(all, [half, half]);
    });
  }

  /** Up to one less than the largest power, or that and what is left: each count in one way. */
  #upTo(one: GrammarSymbol, most: number): GrammarSymbol {
    return this.#once(`0 to ${most} ${one}`, (all) => {
      if (most === 0) return this.#grammar.rule(all, []);
      const power = Math.floor(Math.log2(most));
      this.#grammar.rule(all, [this.#upTo(one, 2 ** power - 1)]);
      this.#grammar.rule(all, [this.#power(one, power), this.#upTo(one, most - 2 ** power)]);
    });
  }

  #once(name: string, write: (symbol: GrammarSymbol) => void): GrammarSymbol {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const symbol = this.#grammar.nonterminal();
    this.#known.set(name, symbol);
    write(symbol);
    return symbol;
  }
}
