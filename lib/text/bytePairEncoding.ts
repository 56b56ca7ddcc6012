/**
 * Byte pair encoding: of all neighbours that a merge names, those of the lowest rank and there the leftmost are joined, until
 * there are none (Sennrich et al., arXiv 1508.07909). Takes the place of that one step in @huggingface/tokenizers, which keeps
 * a million strings for it and takes seconds for a long word; everything around it stays the library's. The same tokens, in
 * O(n log n) with a small constant.
 */
import type { JsonObject } from "../checkpoint/json.js";
import type { Steps } from "../eventLoop.js";
import { type BpeTables, MergeTable } from "./bpeTables.js";
import { BPE, readTokenMaps, type TokenMaps } from "./libraryModel.js";
import { RankHeap } from "./rankHeap.js";

/** Words that are remembered, and their length in UTF-16 units. */
const maxRemembered = 10_000;
const maxRememberedChars = 64;

const none = -1;

export class BytePairEncoding extends BPE {
  readonly #symbols: readonly string[];
  readonly #symbolOfChar: ReadonlyMap<string, number>;
  readonly #table: MergeTable;
  readonly #remembered = new Map<string, string[]>();

  private constructor(model: JsonObject, merges: Int32Array, vocabulary: Vocabulary) {
    super({ ...model, vocab: {}, merges: [] });
    this.#symbols = vocabulary.symbols;
    this.#symbolOfChar = vocabulary.symbolOfChar;
    this.#table = new MergeTable(merges);
    this.vocab = vocabulary.tokens;
    this.tokens_to_ids = vocabulary.ids;
    this.unk_token_id = vocabulary.ids.get(model["unk_token"] as string);
  }

  /** @param model of tokenizer.json; its vocabulary and merges are not looked at */
  static *make(model: JsonObject, tables: BpeTables): Steps<BytePairEncoding> {
    return new BytePairEncoding(model, tables.merges, yield* readVocabulary(tables));
  }

  /** The library fuses unknown characters also across words. */
  override _call(words: readonly string[]): string[] {
    return this.fuse_unk ? words.flatMap((word) => super._call([word])) : super._call(words);
  }

  /** The tokens of a word. */
  override bpe(word: string): string[] {
    const known = this.#remembered.get(word);
    if (known !== undefined) return known;
    const tokens = word.length < 2 ? (word === "" ? [] : [word]) : this.#merge(word);
    if (word.length <= maxRememberedChars) {
      if (this.#remembered.size >= maxRemembered) this.#remembered.clear();
      this.#remembered.set(word, tokens);
    }
    return tokens;
  }

  #merge(word: string): string[] {
    const chars = Array.from(word);
    const n = chars.length;
    const symbols = Int32Array.from(chars, (char) => this.#symbolOfChar.get(char) ?? none);
    // A linked list of what is left; entry i is what began as character i. ranks[i]: of the merge with its right neighbour.
    const next = Int32Array.from(chars, (_, i) => i + 1);
    const previous = Int32Array.from(chars, (_, i) => i - 1);
    const ranks = new Int32Array(n).fill(none);
    const heap = new RankHeap(n);
    const rate = (i: number): void => {
      const right = next[i]!;
      const at =
        right < n && symbols[i]! >= 0 && symbols[right]! >= 0
          ? this.#table.find(symbols[i]!, symbols[right]!)
          : none;
      ranks[i] = at < 0 ? none : this.#table.slots[at + 2]!;
      if (at >= 0) heap.push(ranks[i], i);
    };
    for (let i = 0; i + 1 < n; i++) rate(i);
    while (heap.pop()) {
      const i = heap.position;
      if (ranks[i] !== heap.rank) continue; // merged since, or with another neighbour
      const right = next[i]!;
      symbols[i] = this.#table.slots[this.#table.find(symbols[i]!, symbols[right]!) + 3]!;
      ranks[right] = none;
      next[i] = next[right]!;
      if (next[i] < n) previous[next[i]] = i;
      rate(i);
      if (previous[i]! >= 0) rate(previous[i]!);
    }
    const tokens: string[] = [];
    for (let i = 0; i < n; i = next[i]!)
      tokens.push(symbols[i]! < 0 ? chars[i]! : this.#symbols[symbols[i]!]!);
    return tokens;
  }
}

interface Vocabulary extends TokenMaps {
  readonly symbols: readonly string[];
  readonly symbolOfChar: ReadonlyMap<string, number>;
}

function* readVocabulary(tables: BpeTables): Steps<Vocabulary> {
  const symbols: string[] = [];
  const symbolOfChar = new Map<string, number>();
  const maps = yield* readTokenMaps(tables, tables.ids, (symbol, i) => {
    symbols.push(symbol);
    if (symbol.length <= 2 && symbol.length === String.fromCodePoint(symbol.codePointAt(0) ?? 0).length)
      symbolOfChar.set(symbol, i);
  });
  return { symbols, symbolOfChar, ...maps };
}
