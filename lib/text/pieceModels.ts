/**
 * WordPiece and Unigram models of @huggingface/tokenizers that are made in steps from flat arrays (pieceTables.ts) instead of
 * from one large object. How they encode is the library's business; only the tree of pieces of a Unigram model is an array, too.
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
    ? new FlatUnigram(model, tables.unigram, maps, eosToken)
    : new FlatWordPiece(model, maps);
}

class FlatWordPiece extends WordPiece {
  constructor(model: JsonObject, { tokens, ids }: TokenMaps) {
    super({ ...model, vocab: {} });
    this.vocab = tokens;
    this.tokens_to_ids = ids;
    this.unk_token_id = ids.get(model["unk_token"] as string);
  }
}

class FlatUnigram extends Unigram {
  readonly #fallsBack: boolean;

  constructor(
    model: JsonObject,
    tables: UnigramTables,
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
    this.trie = new FlatTrie(tables.trie);
  }

  /** The library fuses unknown characters also across words, and knows no bytes. */
  override _call(words: readonly string[]): string[] {
    return words.flatMap((word) => this.#inBytes(super._call([word])));
  }

  #inBytes(tokens: string[]): string[] {
    if (!this.#fallsBack) return tokens;
    return tokens.flatMap((token) => {
      if (this.tokens_to_ids.has(token)) return [token];
      const bytes = Array.from(encoder.encode(token), (byte) => byteTokens[byte]!);
      return bytes.every((byte) => this.tokens_to_ids.has(byte)) ? bytes : [token];
    });
  }
}

const encoder = new TextEncoder();

class FlatTrie {
  readonly #table: MergeTable;

  constructor(slots: Int32Array) {
    this.#table = new MergeTable(slots);
  }

  *common_prefix_search(chars: readonly string[], start: number): Generator<string> {
    const { slots } = this.#table;
    let [state, prefix] = [0, ""];
    for (let i = start; i < chars.length; i++) {
      const at = this.#table.find(state, chars[i]!.codePointAt(0)!);
      if (at < 0) return;
      prefix += chars[i]!;
      state = slots[at + 3]!;
      if (slots[at + 2] === 1) yield prefix;
    }
  }
}
