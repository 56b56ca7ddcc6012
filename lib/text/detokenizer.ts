/**
 * Text of a token stream while it grows. A character may take several tokens and shows as U+FFFD until its last byte is
 * there, so an incomplete character is held back. Pieces are final: together they are exactly `decode` of all tokens.
 *
 * Works on a window of the last tokens, as Hugging Face's text-generation-inference does (prefix and read offset,
 * https://github.com/huggingface/text-generation-inference): constant time per token however long the text is.
 */
import type { Tokenizer } from "./tokenizer.js";

/** Tokens in the window before its front is given up. */
const maxWindowTokens = 8;
const replacementCharacter = "\ufffd";

export class Detokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #skipSpecialTokens: boolean;
  /** The last tokens: some whose text is out, then those whose text is not. */
  #window: number[] = [];
  /** UTF-16 units of the window's text that are out. */
  #numEmitted = 0;

  /** @param options skipSpecialTokens as in Tokenizer.decode, default true */
  constructor(
    tokenizer: Tokenizer,
    { skipSpecialTokens = true }: { readonly skipSpecialTokens?: boolean } = {},
  ) {
    this.#tokenizer = tokenizer;
    this.#skipSpecialTokens = skipSpecialTokens;
  }

  /**
   * Takes the next token.
   *
   * @param id token id; one without text (skipped, or not in the vocabulary) adds nothing
   * @returns the text that is final now, often empty
   * @throws ArgumentRangeError if id is not a token id; TextError ERR_TOKENIZER if the decoder fails
   */
  push(id: number): string {
    if (!this.#tokenizer.hasText(id, { skipSpecialTokens: this.#skipSpecialTokens })) return "";
    this.#window.push(id);
    if (!this.#tokenizer.decodesInWindows) return "";
    const text = this.#decode(this.#window);
    // Only the last U+FFFD can stand for an incomplete character.
    const isComplete = !text.endsWith(replacementCharacter);
    const end = isComplete ? text.length : text.length - 1;
    const piece = text.slice(this.#numEmitted, end);
    this.#numEmitted = Math.max(this.#numEmitted, end);
    if (this.#window.length >= maxWindowTokens) this.#shorten(text, isComplete);
    return piece;
  }

  /** The text so far of a decoder that does not decode in windows, for a caller who cannot wait; else empty. */
  take(): string {
    if (this.#tokenizer.decodesInWindows) return "";
    const piece = this.#decode(this.#window).slice(this.#numEmitted);
    this.#numEmitted += piece.length;
    return piece;
  }

  /** Ends the text: returns what was held back and starts afresh. */
  flush(): string {
    const piece = this.#decode(this.#window).slice(this.#numEmitted);
    this.#window = [];
    this.#numEmitted = 0;
    return piece;
  }

  /**
   * Gives up the front of the window. Tokens before the split stay as context, because a decoder may treat the beginning
   * differently, such as dropping a space. The split is right if both sides, decoded apart, give the text of the window,
   * and if what is right of it has text already: then no character lies across it.
   */
  #shorten(text: string, isComplete: boolean): void {
    for (let split = isComplete ? this.#window.length : this.#window.length - 1; split > 1; split--) {
      const first = this.#contextStart(split);
      if (first === 0) continue;
      const kept = this.#window.slice(first);
      const keptText = this.#decode(kept);
      const context = this.#decode(this.#window.slice(first, split));
      const rest = keptText.slice(context.length);
      if (!keptText.startsWith(context) || (rest === "" && !isComplete)) continue;
      if (this.#decode(this.#window.slice(0, split)) + rest !== text) continue;
      this.#window = kept;
      this.#numEmitted = Math.max(0, keptText.length - (text.length - this.#numEmitted));
      return;
    }
  }

  /** Start of the shortest run of tokens before `end` that has text by itself; 0 if there is none. */
  #contextStart(end: number): number {
    let first = end - 1;
    while (first > 0 && this.#decode(this.#window.slice(first, end)) === "") first--;
    return first;
  }

  #decode(ids: readonly number[]): string {
    return this.#tokenizer.decode(ids, { skipSpecialTokens: this.#skipSpecialTokens });
  }
}
