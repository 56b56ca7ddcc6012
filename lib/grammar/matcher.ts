/** Which tokens may come next in a text of a grammar: the addon's matcher (native/grammar/matcher.h), as objects that own their handles. */
import { type Handle, native } from "../device/native.js";
import type { WrittenGrammar } from "./syntax/rules.js";

/** The tokens of a tokenizer by their bytes. */
export class GrammarVocabulary implements Disposable {
  /** Tokens. */
  readonly size: number;
  readonly handle: Handle;

  /** @param tokens the bytes of each; none for one that no grammar has, such as those that end a text */
  constructor(tokens: readonly Uint8Array[]) {
    let end = 0;
    const ends = Int32Array.from(tokens, ({ length }) => (end += length));
    this.size = tokens.length;
    this.handle = native.createVocabulary(Buffer.concat(tokens), ends);
  }

  /** Words of a mask. */
  get words(): number {
    return Math.ceil(this.size / 32);
  }

  [Symbol.dispose](): void {
    native.disposeVocabulary(this.handle);
  }
}

/** A grammar; matchers of it may outlive it. */
export class CompiledGrammar implements Disposable {
  readonly handle: Handle;

  /** @throws ArgumentRangeError for one that matches no text, or is too complex */
  constructor({ program, terminals, rules, start }: WrittenGrammar) {
    this.handle = native.createGrammar(program, terminals, rules, start);
  }

  [Symbol.dispose](): void {
    native.disposeGrammar(this.handle);
  }
}

/** One text, token by token. */
export class Matcher implements Disposable {
  readonly #handle: Handle;

  constructor(grammar: CompiledGrammar, vocabulary: GrammarVocabulary) {
    this.#handle = native.createMatcher(grammar.handle, vocabulary.handle);
  }

  /** Whether the text is complete. */
  get isAccepting(): boolean {
    return native.isAccepting(this.#handle);
  }

  /**
   * Sets the bit of each token that may come next and clears all others: token v has bit v mod 32 of word floor(v / 32).
   *
   * @param words of `vocabulary.words` elements
   * @returns whether there is any
   * @throws ArgumentRangeError when the grammar proves too complex
   */
  fillMask(words: Int32Array): boolean {
    return native.fillMask(this.#handle, words);
  }

  /** Adds a token. @returns false, with nothing changed, if it may not come */
  accept(token: number): boolean {
    return native.acceptToken(this.#handle, token);
  }

  /** Takes back the last tokens. @throws ArgumentRangeError for more than there are */
  rollback(count: number): void {
    native.rollbackTokens(this.#handle, count);
  }

  /** The bytes that must come next, at most so many; none where there is a choice, and to end is one. */
  forcedBytes(most: number): Uint8Array {
    return native.forcedBytes(this.#handle, most);
  }

  [Symbol.dispose](): void {
    native.disposeMatcher(this.#handle);
  }
}
