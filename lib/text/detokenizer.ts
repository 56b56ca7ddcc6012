/**
 * Text of a token stream while it grows. A character may take several tokens and shows as U+FFFD until its last byte is
 * there, so an incomplete character is held back. Pieces are final: together they are exactly what `decode` of all tokens
 * adds to the text of those before the stream, the context. Without it a first space would be lost, which decoders drop.
 *
 * Works on a window of the last tokens, as Hugging Face's text-generation-inference does (prefix and read offset,
 * https://github.com/huggingface/text-generation-inference): constant time per token however long the text is.
 */
import type { Tokenizer } from "./tokenizer.js";

/** Tokens in the window before its front is given up. */
const maxWindowTokens = 8;
/** Tokens of the context to begin with: more than the three that an incomplete character has at most. */
const numContextTokens = 4;
const replacementCharacter = "\ufffd";

export class Detokenizer {
  readonly #tokenizer: Tokenizer;
  readonly #skipSpecialTokens: boolean;
  /** The last tokens: some whose text is out, then those whose text is not. */
  #window: number[] = [];
  /** UTF-16 units of the window's text that are out. */
  #numEmitted = 0;
  /** Whether the context ends inside a character and nothing has come out: then its U+FFFD may stay, and is not ours. */
  #startsInside = false;

  /**
   * @param options skipSpecialTokens as in Tokenizer.decode, default true; context: the tokens before the stream. Where
   * these end inside a character, it belongs to the stream if the stream completes it
   */
  constructor(
    tokenizer: Tokenizer,
    {
      skipSpecialTokens = true,
      context = [],
    }: { readonly skipSpecialTokens?: boolean; readonly context?: ArrayLike<number> } = {},
  ) {
    this.#tokenizer = tokenizer;
    this.#skipSpecialTokens = skipSpecialTokens;
    this.#window = this.#lastOf(context);
    const text = this.#decode(this.#window);
    this.#startsInside = text.endsWith(replacementCharacter);
    this.#numEmitted = this.#startsInside ? text.length - 1 : text.length;
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
    const piece = this.#emit(text, end);
    if (this.#window.length >= maxWindowTokens) this.#shorten(text, isComplete);
    return piece;
  }

  /** The text so far of a decoder that does not decode in windows, for a caller who cannot wait; else empty. */
  take(): string {
    if (this.#tokenizer.decodesInWindows) return "";
    const text = this.#decode(this.#window);
    return this.#emit(text, text.length);
  }

  /** Ends the text: returns what was held back and starts afresh, without a context. */
  flush(): string {
    const text = this.#decode(this.#window);
    const piece = this.#emit(text, text.length);
    this.#window = [];
    this.#numEmitted = 0;
    this.#startsInside = false;
    return piece;
  }

  /** The window's text up to `end`, without what is out. */
  #emit(text: string, end: number): string {
    if (end <= this.#numEmitted) return "";
    const piece = text.slice(this.#numEmitted, end);
    this.#numEmitted = end;
    const isOfContext = this.#startsInside && piece.startsWith(replacementCharacter);
    this.#startsInside = false;
    return isOfContext ? piece.slice(1) : piece;
  }

  /** As few tokens from the end of the context as do for `decodesInWindows`; else those that have text. */
  #lastOf(context: ArrayLike<number>): number[] {
    const last: number[] = [];
    let numWanted = this.#tokenizer.decodesInWindows ? numContextTokens : Infinity;
    for (let i = context.length - 1; i >= 0; i--) {
      const id = context[i]!;
      if (!this.#tokenizer.hasText(id, { skipSpecialTokens: this.#skipSpecialTokens })) continue;
      if (last.push(id) < numWanted) continue;
      const window = [...last].reverse();
      if (this.#decode(window).replace(/\ufffd$/, "") !== "") return window;
      numWanted *= 2;
    }
    return last.reverse();
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
