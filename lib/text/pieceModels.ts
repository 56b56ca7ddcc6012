/**
 * WordPiece and Unigram models in place of those of @huggingface/tokenizers, made in steps from flat arrays (pieceTables.ts). The
 * library's take 10 ms for a thousand characters, or seconds for a long word; its Unigram overflows the stack with long texts,
 * fuses unknown characters across words, and knows no bytes.
 */
import type { JsonObject } from "../checkpoint/json.js";
import { byteTokens } from "./byteChars.js";
import type { Steps } from "../eventLoop.js";
import { MergeTable } from "./bpeTables.js";
import { type LibraryModel, readTokenMaps, type TokenMaps, Unigram, WordPiece } from "./libraryModel.js";
import type { PieceTables, UnigramTables } from "./pieceTables.js";

/**
 * @param model of tokenizer.json; its vocabulary is not looked at
 * @param eosToken ends the texts of a Unigram model
 */
export function* pieceModel(
  model: JsonObject,
  tables: PieceTables,
  eosToken: string | undefined,
): Steps<LibraryModel> {
  const maps = yield* readTokenMaps(tables, tables.ids);
  return tables.unigram
    ? new FlatUnigram(model, { ...tables.unigram, trie: tables.trie }, maps, eosToken)
    : new FlatWordPiece(model, tables.trie, maps);
}

class FlatWordPiece extends WordPiece {
  readonly #trie: MergeTable;
  /** Where pieces begin that go on with a word; -1 if there are none. */
  readonly #inside: number;

  constructor(model: JsonObject, trie: Int32Array, { tokens, ids }: TokenMaps) {
    super({ ...model, vocab: {} });
    this.vocab = tokens;
    this.tokens_to_ids = ids;
    this.unk_token_id = ids.get(model["unk_token"] as string);
    this.#trie = new MergeTable(trie);
    const prefix = Array.from(model["continuing_subword_prefix"] as string);
    this.#inside = prefix.reduce((state, char) => (state < 0 ? state : this.#next(state, char).state), 0);
  }

  /** Of each word from its start the longest piece each time; a word that is too long, or not made of pieces, is unknown. */
  override _call(words: readonly string[]): string[] {
    const tokens: string[] = [];
    for (const word of words) {
      const chars = Array.from(word);
      const pieces = chars.length > this.max_input_chars_per_word ? undefined : this.#piecesOf(chars);
      if (pieces === undefined && this.unk_token === undefined) throw new Error("there is no unknown token");
      for (const piece of pieces ?? [this.unk_token!]) tokens.push(piece);
    }
    return tokens;
  }

  #piecesOf(chars: readonly string[]): string[] | undefined {
    const pieces: string[] = [];
    for (let start = 0, end = 0; start < chars.length; start = end) {
      let state = start === 0 ? 0 : this.#inside;
      for (let i = start; i < chars.length && state >= 0; i++) {
        const next = this.#next(state, chars[i]!);
        state = next.state;
        if (next.isEnd) end = i + 1;
      }
      if (end === start) return undefined;
      const piece = chars.slice(start, end).join("");
      pieces.push(start === 0 ? piece : (this.config.continuing_subword_prefix ?? "") + piece);
    }
    return pieces;
  }

  #next(state: number, char: string): { readonly state: number; readonly isEnd: boolean } {
    const at = this.#trie.find(state, char.codePointAt(0)!);
    const { slots } = this.#trie;
    return at < 0 ? { state: -1, isEnd: false } : { state: slots[at + 3]!, isEnd: slots[at + 2] === 1 };
  }
}

class FlatUnigram extends Unigram {
  readonly #fallsBack: boolean;
  readonly #trie: MergeTable;

  constructor(
    model: JsonObject,
    tables: UnigramTables & Pick<PieceTables, "trie">,
    { tokens, ids }: TokenMaps,
    eosToken: string | undefined,
  ) {
    super({ ...model, vocab: [["", 0]], unk_id: 0 }, eosToken); // the library refuses an empty vocabulary
    const unknownId = (model["unk_id"] ?? undefined) as number | undefined;
    this.vocab = tokens;
    this.tokens_to_ids = ids;
    this.scores = tables.scores;
    this.min_score = tables.leastScore;
    this.unk_score = tables.unknownScore;
    this.unk_token_id = unknownId;
    this.unk_token = unknownId === undefined ? undefined : tokens[unknownId];
    this.#fallsBack = model["byte_fallback"] === true;
    this.bos_token_id = ids.get(" ");
    this.eos_token_id = eosToken === undefined ? undefined : ids.get(eosToken);
    this.#trie = new MergeTable(tables.trie);
  }

  /** Of each word the tokens of the largest score; unknown characters side by side are one token, or bytes. */
  override _call(words: readonly string[]): string[] {
    const tokens: string[] = [];
    for (const word of words) {
      let unknown = "";
      for (const piece of this.#best(word)) {
        // As in the Rust library also a spelled unknown token.
        if ((this.tokens_to_ids.get(piece) ?? this.unk_token_id) === this.unk_token_id) {
          unknown += piece;
          continue;
        }
        this.#addUnknown(unknown, tokens);
        unknown = "";
        tokens.push(piece);
      }
      this.#addUnknown(unknown, tokens);
    }
    return tokens;
  }

  #addUnknown(text: string, tokens: string[]): void {
    if (text === "") return;
    const isByBytes = this.#fallsBack && !this.tokens_to_ids.has(text);
    const bytes = isByBytes ? Array.from(encoder.encode(text), (byte) => byteTokens[byte]!) : [text];
    const isKnown = bytes.every((byte) => this.tokens_to_ids.has(byte));
    for (const token of isKnown ? bytes : [text]) tokens.push(token);
  }

  /** The pieces of a word, unknown ones of one character each: the path of the largest score. */
  #best(word: string): string[] {
    const chars = Array.from(word);
    const scores = new Float64Array(chars.length + 1);
    /** Where the last piece of the best path to a place begins. */
    const begins = new Int32Array(chars.length + 1).fill(-1);
    const offer = (begin: number, end: number, score: number): void => {
      if (begins[end]! >= 0 && score <= scores[end]!) return;
      scores[end] = score;
      begins[end] = begin;
    };
    const { slots } = this.#trie;
    for (let begin = 0; begin < chars.length; begin++) {
      let [state, prefix] = [0, ""];
      let isOneKnown = false;
      for (let i = begin; i < chars.length; i++) {
        const at = this.#trie.find(state, chars[i]!.codePointAt(0)!);
        if (at < 0) break;
        prefix += chars[i]!;
        state = slots[at + 3]!;
        if (slots[at + 2] !== 1) continue;
        offer(begin, i + 1, scores[begin]! + this.scores[this.tokens_to_ids.get(prefix)!]!);
        isOneKnown ||= i === begin;
      }
      if (!isOneKnown) offer(begin, begin + 1, scores[begin]! + this.unk_score);
    }
    const pieces: string[] = [];
    for (let end = chars.length; end > 0; end = begins[end]!)
      pieces.push(chars.slice(begins[end], end).join(""));
    return pieces.reverse();
  }
}

const encoder = new TextEncoder();
