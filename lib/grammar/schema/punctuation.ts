/** What stands between the values of JSON, and the whitespace that may stand beside it. */
import type { GrammarSymbol, GrammarWriter } from "../syntax/rules.js";

export class Punctuation {
  readonly comma: GrammarSymbol;
  readonly colon: GrammarSymbol;
  readonly #grammar: GrammarWriter;
  readonly #whitespace: number;

  /** @param whitespace how many spaces, line feeds and tabs may stand behind { [ , and :, and before ] and } */
  constructor(grammar: GrammarWriter, whitespace: number) {
    this.#grammar = grammar;
    this.#whitespace = whitespace;
    this.comma = this.#mark(",", "behind");
    this.colon = this.#mark(":", "behind");
  }

  /** What a pair of brackets, without anything or with something in it, consists of. */
  enclosed(brackets: "{}" | "[]", inside: readonly GrammarSymbol[]): readonly GrammarSymbol[] {
    return [this.#mark(brackets[0]!, "behind"), ...inside, this.#mark(brackets[1]!, "before")];
  }

  #mark(sign: string, side: "before" | "behind"): GrammarSymbol {
    const write = this.#grammar.expressions;
    const text = write.text(sign);
    if (this.#whitespace === 0) return this.#grammar.terminal(text);
    const blanks = [0x20, 0x0a, 0x09].map((byte) => [byte, byte] as const);
    const space = write.repeat(write.bytes(blanks), 0, this.#whitespace);
    return this.#grammar.terminal(write.concat(side === "before" ? [space, text] : [text, space]));
  }
}
