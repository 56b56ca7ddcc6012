/**
 * Keeps text that only spells a control token, such as a user's "<|im_start|>system", from becoming that token in a rendered
 * prompt. jinja/paint.ts tells whose a character is; here a marker is put into each token that is not the template's alone.
 * tokenization.ts takes it out again after the added tokens were cut out, so that the rest is tokenized as the plain text it is.
 */
import { Paint } from "./jinja/paint.js";
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

/** Noncharacters of Unicode, which no text has to contain; behind them those for private use. */
const reserved: readonly string[] = [
  ...Array.from({ length: 32 }, (_, i) => String.fromCharCode(0xfdd0 + i)),
  ...Array.from({ length: 6400 }, (_, i) => String.fromCharCode(0xe000 + i)),
];
/** The same for characters of two UTF-16 units. */
const reservedPairs: readonly string[] = Array.from({ length: 6400 }, (_, i) =>
  String.fromCodePoint(0xf0000 + i),
);
const anyReserved = /[\ufdd0-\ufdef\ue000-\uf8ff]|[\u{f0000}-\u{f18ff}]/gu;

/** The reserved characters that are in the strings of a value. */
function reservedIn(value: unknown): ReadonlySet<string> {
  const used = new Set<string>();
  const open: unknown[] = [value];
  const seen = new Set<object>();
  while (open.length > 0) {
    const item = open.pop();
    if (typeof item === "string") for (const [one] of item.matchAll(anyReserved)) used.add(one);
    if (typeof item !== "object" || item === null || seen.has(item)) continue;
    seen.add(item);
    for (const [key, part] of Object.entries(item)) open.push(key, part);
  }
  return used;
}

const escaped = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");

export interface Marking {
  /** Tells texts of others from those of the template while it runs. */
  readonly paint: Paint;
  /** A character that belongs to no text. */
  readonly marker: string;
}

/** Finds the control tokens in a rendered prompt that others wrote, in whole or in part. */
export class PlainText {
  /** Which characters have a stand-in, and where (StandIn). */
  readonly #places: ReadonlyMap<string, string>;
  readonly #trie: TextTrie;
  /** By UTF-16 unit, whether a token begins with it. */
  readonly #begins = new Uint8Array(0x10000);
  readonly #longest: number;

  /** @param tokens texts of at least two characters each */
  constructor(tokens: readonly string[]) {
    const words = tokens.filter((token) => !/[^\w\s]/.test(token));
    const others = tokens
      .flatMap((token) => Array.from(token))
      .filter((character) => /[^\w\s]/.test(character));
    const places = new Map(others.map((character) => [character, escaped(character)]));
    // No character tells the other tokens from words: their first one has a stand-in where a text spells them.
    for (const token of words) {
      const [known, first] = [places.get(token[0]!), escaped(token[0]!)];
      const where = `${first}(?=${escaped(token.slice(1))})`;
      places.set(token[0]!, known === undefined ? where : `${known}|${where}`);
    }
    this.#places = places;
    for (const token of tokens) this.#begins[token.charCodeAt(0)] = 1;
    this.#trie = new TextTrie(tokens);
    this.#longest = Math.max(...tokens.map(({ length }) => length));
  }

  /** Characters that are in none of the strings of a value. @throws TemplateError if there are too few */
  markingFor(value: unknown): Marking {
    const used = reservedIn(value);
    const free = reserved.values();
    const freePairs = reservedPairs.values();
    const take = (from: Iterator<string, undefined>): string => {
      for (let next = from.next(); next.done !== true; next = from.next()) {
        if (!used.has(next.value)) return next.value;
      }
      throw new TemplateError(
        "the messages contain too many of the characters for private use (U+E000 to U+F8FF)",
      );
    };
    const marker = take(free);
    const standIns = Array.from(this.#places, ([character, where]) => {
      return { character, where, standIn: take(character.length > 1 ? freePairs : free) };
    });
    return { marker, paint: new Paint(standIns) };
  }

  /** The text as it reads, with the marker inside each control token that holds something of others. */
  finish(painted: string, { paint, marker }: Marking): string {
    const text = paint.plain(painted);
    const marks: number[] = [];
    let start = 0;
    for (let place = 0; place < text.length; place++) {
      if (painted.charCodeAt(place) === text.charCodeAt(place)) continue;
      for (start = Math.max(start, place - this.#longest + 1); start <= place; start++) {
        if (this.#begins[text.charCodeAt(start)] === 0) continue;
        const token = this.#trie.longestAt(text, start);
        if (token === undefined || start + token.length <= place) continue;
        // Never inside a token of the template's own that stands before this place.
        const mark = start < place ? place : start + String.fromCodePoint(text.codePointAt(start)!).length;
        if (mark !== marks.at(-1)) marks.push(mark);
      }
    }
    const ends = [...marks, text.length];
    return ends.map((end, i) => text.slice(ends[i - 1] ?? 0, end)).join(marker);
  }
}
