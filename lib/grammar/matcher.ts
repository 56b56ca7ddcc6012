/** Which tokens may come next in a text of a grammar: the addon's matcher (native/grammar/matcher.h), as objects that own their handles. */
import { type Handle, native } from "../device/native.js";
import { inTurns, runNow, type Steps } from "../eventLoop.js";
import type { WrittenGrammar } from "./syntax/rules.js";

const tokensPerStep = 4096;

/** The tokens of a tokenizer by their bytes. */
export class GrammarVocabulary implements Disposable {
  /** Tokens. */
  readonly size: number;
  readonly handle: Handle;
  readonly #tokens: JoinedTokens;

  /** @param tokens the bytes of each; none for one that no grammar has, such as those that end a text */
  constructor(tokens: readonly Uint8Array[] | JoinedTokens, handle?: Handle) {
    this.#tokens = "ends" in tokens ? tokens : runNow(joined(tokens));
    this.size = this.#tokens.ends.length;
    this.handle = handle ?? native.createVocabulary(this.#tokens.bytes, this.#tokens.ends);
  }

  /** Made on another thread: hundreds of thousands of tokens take a tenth of a second. */
  static async inBackground(tokens: readonly Uint8Array[]): Promise<GrammarVocabulary> {
    const all = await inTurns(joined(tokens));
    return new GrammarVocabulary(all, await native.createVocabularyInBackground(all.bytes, all.ends));
  }

  /** The bytes of a token; none where a grammar does not have it. */
  bytesOf(id: number): Uint8Array {
    const { bytes, ends } = this.#tokens;
    return bytes.subarray(id === 0 ? 0 : ends[id - 1], ends[id]);
  }

  /** Words of a mask. */
  get words(): number {
    return Math.ceil(this.size / 32);
  }

  [Symbol.dispose](): void {
    native.disposeVocabulary(this.handle);
  }
}

/** All bytes, and where those of each token end. */
interface JoinedTokens {
  readonly bytes: Uint8Array;
  readonly ends: Int32Array;
}

function* joined(tokens: readonly Uint8Array[]): Steps<JoinedTokens> {
  const ends = new Int32Array(tokens.length);
  let end = 0;
  for (const [i, { length }] of tokens.entries()) {
    ends[i] = end += length;
    if (i % tokensPerStep === 0) yield;
  }
  const bytes = new Uint8Array(end);
  for (const [i, token] of tokens.entries()) {
    bytes.set(token, ends[i]! - token.length);
    if (i % tokensPerStep === 0) yield;
  }
  return { bytes, ends };
}

/** A grammar; matchers of it may outlive it. */
export class CompiledGrammar implements Disposable {
  readonly handle: Handle;

  /** @throws ArgumentRangeError for one that matches no text, or is too complex */
  constructor(grammar: WrittenGrammar | Handle) {
    this.handle = typeof grammar === "number" ? grammar : native.createGrammar(...partsOf(grammar));
  }

  /** Made on another thread: whoever asks for it may have made it to take long. @throws as the constructor */
  static async inBackground(grammar: WrittenGrammar): Promise<CompiledGrammar> {
    return new CompiledGrammar(await native.createGrammarInBackground(...partsOf(grammar)));
  }

  [Symbol.dispose](): void {
    native.disposeGrammar(this.handle);
  }
}

function partsOf({ program, terminals, rules, start }: WrittenGrammar) {
  return [program, terminals, rules, start] as const;
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
   * Finds what the two below are going to say, so that they do not take long.
   *
   * @param most as of forcedBytes
   * @returns a promise where another thread does it; until it settles nothing but Symbol.dispose may be called
   * @throws ArgumentRangeError when the grammar proves too complex; the promise, too
   */
  prepare(most: number): Promise<void> | undefined {
    if (native.prepareNext(this.#handle, most)) return undefined;
    return native.prepareNextInBackground(this.#handle, most);
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
