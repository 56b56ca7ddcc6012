/**
 * Brings token ids and their text together. A marker that the vocabulary has as a token counts only where the model wrote that
 * token: the same characters, spelled in an answer or in a value, are text. Special tokens that are no markers are left out.
 */

/** What is needed of a tokenizer. */
export interface Vocabulary {
  tokenId(token: string): number | undefined;
  isSpecial(id: number): boolean;
  decode(ids: Iterable<number>, options?: { readonly skipSpecialTokens?: boolean }): string;
}

/** A piece of output, as the chunks of `llm.generate` with `skipSpecialTokens: false` are. */
export interface OutputChunk {
  readonly text: string;
  readonly tokenIds?: readonly number[] | undefined;
}

export interface Piece {
  readonly text: string;
  /** The text is that of one token, a marker. */
  readonly isToken: boolean;
}

/** Tokens whose text has not come: more are never under way, unless the text does not show them. */
const maxExpected = 16;

export class TokenPieces {
  readonly #vocabulary: Vocabulary | undefined;
  readonly #markers: readonly string[];
  readonly #keepsSpecial: boolean;
  readonly #markerIds: ReadonlyMap<number, string>;
  /** Texts of special tokens, empty for those that stand in a marker. */
  readonly #specialTexts = new Map<number, string>();
  /** Tokens whose text is still to come: it may be held back by a stop string, or stand in a later chunk. */
  #expected: { readonly text: string; readonly isMarker: boolean }[] = [];
  #held = "";

  /**
   * @param markers all of them
   * @param tokens those that count as tokens where the vocabulary has them
   * @param keepsSpecial special tokens that are no markers are not left out
   */
  constructor(
    vocabulary: Vocabulary | undefined,
    markers: readonly string[],
    tokens: readonly string[],
    keepsSpecial = false,
  ) {
    this.#vocabulary = vocabulary;
    this.#markers = markers;
    this.#keepsSpecial = keepsSpecial;
    const ids = tokens.map((text) => [vocabulary?.tokenId(text), text] as const);
    this.#markerIds = new Map(ids.filter((entry): entry is [number, string] => entry[0] !== undefined));
  }

  /** Markers that are tokens. */
  get tokens(): ReadonlySet<string> {
    return new Set(this.#markerIds.values());
  }

  push({ text, tokenIds = [] }: OutputChunk): Piece[] {
    if (this.#vocabulary) for (const id of tokenIds) this.#expect(this.#vocabulary, id);
    this.#held += text;
    return this.#take();
  }

  /** The rest, when nothing more comes. */
  finish(): Piece[] {
    const text = this.#held;
    this.#held = "";
    return text === "" ? [] : [{ text, isToken: false }];
  }

  #expect(vocabulary: Vocabulary, id: number): void {
    const marker = this.#markerIds.get(id);
    const text = marker ?? this.#specialText(vocabulary, id);
    if (text === "") return;
    this.#expected.push({ text, isMarker: marker !== undefined });
    if (this.#expected.length > maxExpected) this.#expected.shift();
  }

  #specialText(vocabulary: Vocabulary, id: number): string {
    if (this.#keepsSpecial || !vocabulary.isSpecial(id)) return "";
    const known = this.#specialTexts.get(id);
    if (known !== undefined) return known;
    const decoded = vocabulary.decode([id], { skipSpecialTokens: false });
    const text = this.#markers.some((marker) => marker.includes(decoded)) ? "" : decoded;
    this.#specialTexts.set(id, text);
    return text;
  }

  #take(): Piece[] {
    const pieces: Piece[] = [];
    const add = (text: string, isToken: boolean): void => {
      if (text !== "") pieces.push({ text, isToken });
    };
    for (;;) {
      // The first that is there: texts come in the order of their tokens, so those before it do not come any more.
      const k = this.#expected.findIndex(({ text }) => this.#held.includes(text));
      if (k < 0) break;
      const { text, isMarker } = this.#expected[k]!;
      const at = this.#held.indexOf(text);
      add(this.#held.slice(0, at), false);
      if (isMarker) add(text, true);
      this.#held = this.#held.slice(at + text.length);
      this.#expected = this.#expected.slice(k + 1);
    }
    const numHeld = Math.max(
      heldBack(
        this.#held,
        this.#expected.map(({ text }) => text),
      ),
      /[\ud800-\udbff]$/.test(this.#held.slice(-1)) ? 1 : 0,
    );
    add(this.#held.slice(0, this.#held.length - numHeld), false);
    this.#held = this.#held.slice(this.#held.length - numHeld);
    return pieces;
  }
}

/** Text that is looked at together: what stands behind a marker is searched again from there, so not more than this often. */
const sliceChars = 256;

/** A text in slices, which divide no character. */
export function* slices(text: string): Generator<string> {
  for (let at = 0; at < text.length;) {
    let end = Math.min(at + sliceChars, text.length);
    if (end < text.length && /[\ud800-\udbff]/.test(text[end - 1]!)) end++;
    yield text.slice(at, end);
    at = end;
  }
}

/** Length of the longest end of a text with which one of the markers begins. */
export function heldBack(text: string, markers: readonly string[]): number {
  let longest = 0;
  for (const marker of markers) {
    for (let n = Math.min(marker.length - 1, text.length); n > longest; n--) {
      if (text.endsWith(marker.slice(0, n))) longest = n;
    }
  }
  return longest;
}
