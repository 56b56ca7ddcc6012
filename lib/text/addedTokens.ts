/**
 * Cuts added tokens out of a text, by the rules of Hugging Face's tokenizers: the leftmost and there the longest counts. A token
 * that must be a `single_word` counts only between characters that belong to no word; what it overlaps is not looked at again.
 * `lstrip` and `rstrip` take the white space beside the token with it.
 */
import { TextTrie } from "./textTrie.js";
import type { AddedTokenDefinition } from "./tokenizerDefinition.js";

/** A piece of the text: an added token, or the text between two. */
export interface Section {
  readonly token: AddedTokenDefinition | null;
  readonly text: string;
  /** Where it starts, in UTF-16 units. */
  readonly start: number;
}

export class AddedTokenSplitter {
  readonly #tokens = new Map<string, AddedTokenDefinition>();
  readonly #trie: TextTrie;

  /** @param tokens with the text by which each is found */
  constructor(tokens: Iterable<readonly [text: string, token: AddedTokenDefinition]>) {
    for (const [text, token] of tokens) this.#tokens.set(text, token);
    this.#trie = new TextTrie(this.#tokens.keys());
  }

  /** The sections in order, none of text empty. */
  *split(text: string): Generator<Section> {
    let done = 0;
    for (const { at, found } of this.#trie.findAll(text)) {
      const token = this.#tokens.get(found)!;
      // Up to `done` there is only white space, if a token before has taken it.
      let [start, end] = [at, Math.max(done, at + found.length)];
      if (token.singleWord && (endsWithWord(text, start) || startsWithWord(text, end))) continue;
      if (token.lstrip) while (start > done && isWhiteSpace(text, start - 1)) start--;
      if (token.rstrip) while (end < text.length && isWhiteSpace(text, end)) end++;
      if (done < start) yield { token: null, text: text.slice(done, start), start: done };
      yield { token, text: found, start };
      done = end;
    }
    if (done < text.length) yield { token: null, text: text.slice(done), start: done };
  }
}

// Regular expressions of the Rust library have these classes for \w and \s.
const word = String.raw`[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\p{Join_Control}]`;
const wordAtStart = new RegExp(`^${word}`, "u");
const wordAtEnd = new RegExp(`${word}$`, "u");
const whiteSpace = /\p{White_Space}/u;

// A character has at most two units. Half of one at a border belongs to no class.
const startsWithWord = (text: string, at: number): boolean => wordAtStart.test(text.slice(at, at + 2));
const endsWithWord = (text: string, end: number): boolean =>
  wordAtEnd.test(text.slice(Math.max(0, end - 2), end));
// All white space is one unit.
const isWhiteSpace = (text: string, at: number): boolean => whiteSpace.test(text.charAt(at));
