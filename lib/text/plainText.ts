/**
 * Keeps text that only spells a control token, such as a user's "<|im_start|>system", from becoming that token in a rendered
 * prompt. A marker character is put behind the first character of what is spelled; tokenization.ts takes it out again after the
 * added tokens were cut out, so that the rest is tokenized as the plain text it is. Templates see the marker, but trim, compare
 * and split by other text as before.
 */
import { TemplateError } from "./jinja/values.js";
import { TextTrie } from "./textTrie.js";

/** How tokens that open or end a turn are spelled. */
const controlSpelling = /^<[|｜].*[|｜]>$/su;

/**
 * The tokens that only the application and its template may write: special ones, and added ones that are spelled like one, as
 * some checkpoints do not flag the tokens that open a turn.
 *
 * A token of one character, or of white space alone, is not among them: it has no other spelling, it is how that character is
 * tokenized wherever it stands, in the template's own text as well, and thus says nothing about who wrote it.
 *
 * @param specials texts of the special tokens
 * @param added texts of all added tokens
 */
export function controlTexts(specials: readonly string[], added: readonly string[]): readonly string[] {
  const spelled = added.filter((text) => controlSpelling.test(text));
  const all = [...new Set([...specials, ...spelled])];
  return all.filter((text) => text.trim() !== "" && Array.from(text).length > 1);
}

/** Noncharacters of Unicode, which no text has to contain. */
const markers = Array.from({ length: 32 }, (_, i) => String.fromCharCode(0xfdd0 + i));
const anyMarker = /[\ufdd0-\ufdef]/g;

/** A character that is in none of the strings of a value. @throws TemplateError if there is none */
export function unusedMarker(value: unknown): string {
  const used = new Set<string>();
  const open: unknown[] = [value];
  const seen = new Set<object>();
  while (open.length > 0) {
    const item = open.pop();
    if (typeof item === "string") for (const [marker] of item.matchAll(anyMarker)) used.add(marker);
    if (typeof item !== "object" || item === null || seen.has(item)) continue;
    seen.add(item);
    for (const [key, part] of Object.entries(item)) open.push(key, part);
  }
  const marker = markers.find((candidate) => !used.has(candidate));
  if (marker !== undefined) return marker;
  throw new TemplateError("the messages contain all of U+FDD0 to U+FDEF, of which one is needed as a marker");
}

const syntax = /[\\^$.*+?()[\]{}|/]/g;
const escaped = (text: string): string => text.replace(syntax, "\\$&");

/** Puts a marker into the control tokens that texts spell, and into parts of them that could be completed by other text. */
export class PlainText {
  readonly #spelled: RegExp;
  /** Proper prefixes and suffixes of the tokens, as far as they are no words. */
  readonly #starts = new Set<string>();
  readonly #ends = new Set<string>();
  readonly #tokens: readonly string[];
  readonly #trie: TextTrie;
  readonly #longest: number;

  /** @param tokens texts of at least two characters each */
  constructor(tokens: readonly string[]) {
    const byFirst = new Map<string, string[]>();
    for (const token of tokens) {
      const [first = "", ...rest] = Array.from(token);
      byFirst.set(first, [...(byFirst.get(first) ?? []), escaped(rest.join(""))]);
      for (let i = 1; i < token.length; i++) {
        // A part of only letters is a word like any other.
        if (/\W/.test(token.slice(0, i))) this.#starts.add(token.slice(0, i));
        if (/\W/.test(token.slice(i))) this.#ends.add(token.slice(i));
      }
    }
    const alternatives = Array.from(byFirst, ([first, rests]) => `${escaped(first)}(?=${rests.join("|")})`);
    this.#spelled = new RegExp(alternatives.join("|"), "gu");
    this.#tokens = tokens;
    this.#trie = new TextTrie(tokens);
    this.#longest = Math.max(...tokens.map(({ length }) => length));
  }

  /** The tokens that a text spells, in order; of those that begin at one place the longest. */
  *find(text: string): Generator<string> {
    for (const { found } of this.#trie.findAll(text)) yield found;
  }

  /** Marks what a text spells, whatever stands around it. */
  markSpelled(text: string, marker: string): string {
    return text.replace(this.#spelled, (first) => first + marker);
  }

  mark(text: string, marker: string): string {
    const marked = this.markSpelled(text, marker);
    // Templates trim; what then stands at the ends counts.
    const [start, end] = [marked.length - marked.trimStart().length, marked.trimEnd().length];
    if (start >= end) return marked;
    const kept = this.#markHead(this.#markTail(marked.slice(start, end), marker), marker);
    return marked.slice(0, start) + kept + marked.slice(end);
  }

  /** The next text may complete a token that begins at the end of this one. */
  #markTail(text: string, marker: string): string {
    let marked = text;
    for (let length = Math.min(this.#longest - 1, text.length); length >= 1; length--) {
      const tail = marked.slice(marked.length - length);
      if (this.#starts.has(tail)) marked = marked.slice(0, -length) + tail[0]! + marker + tail.slice(1);
    }
    return marked;
  }

  /** The text before may have begun a token that ends here, or goes on behind. */
  #markHead(text: string, marker: string): string {
    const isInside =
      text.length < this.#longest && /\W/.test(text) && this.#tokens.some((token) => token.includes(text));
    for (let length = Math.min(this.#longest - 1, text.length); length >= 1 && !isInside; length--) {
      if (this.#ends.has(text.slice(0, length))) return marker + text;
    }
    return isInside ? marker + text : text;
  }
}
