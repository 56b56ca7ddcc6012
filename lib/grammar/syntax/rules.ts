/** A context-free grammar over expressions, written for the addon. */
import { ArgumentRangeError } from "../../errors.js";
import { type Expression, ExpressionWriter } from "./expressions.js";

/** A nonterminal (0 and more), or a terminal (below 0). */
export type GrammarSymbol = number & { readonly __brand: "GrammarSymbol" };

/** What the addon reads. */
export interface WrittenGrammar {
  readonly program: Int32Array;
  /** By terminal, its node in the program. */
  readonly terminals: Int32Array;
  /** For each rule: left side, how many symbols follow, these. */
  readonly rules: Int32Array;
  readonly start: number;
}

/** What one grammar may have: who passes more is told before it takes the memory. */
const maxRules = 200_000;
const maxSymbols = 2_000_000;

export class GrammarWriter {
  readonly expressions = new ExpressionWriter();
  readonly #terminals = new Map<Expression, GrammarSymbol>();
  readonly #rules: number[] = [];
  #nonterminals = 0;
  #numRules = 0;

  terminal(expression: Expression): GrammarSymbol {
    const known = this.#terminals.get(expression);
    if (known !== undefined) return known;
    const symbol = (-1 - this.#terminals.size) as GrammarSymbol;
    this.#terminals.set(expression, symbol);
    return symbol;
  }

  text(text: string): GrammarSymbol {
    return this.terminal(this.expressions.text(text));
  }

  nonterminal(): GrammarSymbol {
    return this.#nonterminals++ as GrammarSymbol;
  }

  /** `left` may become `right`. */
  rule(left: GrammarSymbol, right: readonly GrammarSymbol[]): void {
    this.#requireRoom(1, right.length);
    this.#rules.push(left, right.length);
    for (const symbol of right) this.#rules.push(symbol);
    this.#numRules++;
  }

  /** @throws ArgumentRangeError if so many more are too many */
  #requireRoom(rules: number, symbols: number): void {
    if (this.#numRules + rules > maxRules)
      throw new ArgumentRangeError(`format: the grammar is too large: more than ${maxRules} rules`);
    if (this.#rules.length + symbols > maxSymbols)
      throw new ArgumentRangeError(`format: the grammar is too large: more than ${maxSymbols} symbols`);
  }

  /** One of several sequences. */
  choice(alternatives: readonly (readonly GrammarSymbol[])[]): GrammarSymbol {
    const [only] = alternatives;
    if (alternatives.length === 1 && only!.length === 1) return only![0]!;
    const left = this.nonterminal();
    for (const right of alternatives) this.rule(left, right);
    return left;
  }

  /** `of` at least `min` and at most `max` times, with something between. */
  list(of: GrammarSymbol, { min = 0, max = Infinity, between }: ListBounds = {}): GrammarSymbol {
    const next = between === undefined ? [of] : [between, of];
    if (max === 0) return this.choice([[]]);
    this.#requireRoom(max === Infinity ? 0 : 2 * (max - min), next.length * min);
    // The longest may end after each that is not required: to the left, so that a row has one more item and no more.
    let all: GrammarSymbol;
    if (max === Infinity) {
      all = this.nonterminal();
      this.rule(all, repeated(of, next, Math.max(min, 1)));
      this.rule(all, [all, ...next]);
    } else {
      all = this.choice([repeated(of, next, Math.max(min, 1))]);
      for (let count = Math.max(min, 1); count < max; count++) {
        const longer = this.nonterminal();
        this.rule(longer, [all]);
        this.rule(longer, [all, ...next]);
        all = longer;
      }
    }
    return min === 0 ? this.choice([[], [all]]) : all;
  }

  finish(start: GrammarSymbol): WrittenGrammar {
    const whole = this.nonterminal();
    this.rule(whole, [start]);
    return {
      program: this.expressions.program,
      terminals: Int32Array.from(this.#terminals.keys()),
      rules: Int32Array.from(this.#rules),
      start: whole,
    };
  }
}

export interface ListBounds {
  readonly min?: number;
  readonly max?: number;
  readonly between?: GrammarSymbol;
}

function repeated(
  of: GrammarSymbol,
  next: readonly GrammarSymbol[],
  count: number,
): readonly GrammarSymbol[] {
  return [of, ...Array.from({ length: count - 1 }, () => next).flat()];
}
