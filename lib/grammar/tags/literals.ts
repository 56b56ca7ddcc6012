/** Texts as they stand in a grammar: a marker that the vocabulary has as a token of its own is that token, and not the same characters. */
import type { Expression, ExpressionWriter } from "../syntax/expressions.js";
import { foundIn } from "../syntax/pattern.js";
import { type ControlToken, controlBytes, specialByte } from "../syntax/controlTokens.js";

export class Literals {
  readonly #write: ExpressionWriter;
  /** By text. */
  readonly #tokens: ReadonlyMap<string, ControlToken>;
  readonly #anyToken: RegExp;

  constructor(write: ExpressionWriter, tokens: readonly ControlToken[]) {
    this.#write = write;
    this.#tokens = new Map(tokens.filter(([text]) => text !== "").map((token) => [token[0], token]));
    const longestFirst = [...this.#tokens.keys()].sort((a, b) => b.length - a.length);
    const sources = longestFirst.map((text) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
    this.#anyToken = new RegExp(sources.length === 0 ? "(?!)" : sources.join("|"), "g");
  }

  /** A text whose markers are tokens. */
  of(text: string): Expression {
    const parts: Expression[] = [];
    let end = 0;
    for (const { 0: token, index } of text.matchAll(this.#anyToken)) {
      parts.push(this.#write.text(text.slice(end, index)));
      parts.push(this.#write.text(controlBytes(this.#tokens.get(token)!)));
      end = index + token.length;
    }
    return this.#write.concat([...parts, this.#write.text(text.slice(end))]);
  }

  /** All texts in which one of these stands. */
  containing(texts: readonly string[]): Expression {
    const { anything } = this.#write;
    return this.#write.concat([anything, this.#write.either(texts.map((text) => this.of(text))), anything]);
  }

  /** @see FreeText */
  free(never: readonly string[], notFirst = ""): Expression {
    const write = this.#write;
    const parts = [write.repeat(write.bytes([[0, specialByte - 1]]))];
    if (never.length > 0) parts.push(write.complement(this.containing(never)));
    if (notFirst !== "") {
      const first = notFirst.replaceAll(/[\\\]^-]/g, "\\$&");
      parts.push(write.complement(foundIn({ source: `^\\s*[${first}]` }, write)));
    }
    return write.both(parts);
  }
}
