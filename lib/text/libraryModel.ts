/**
 * The models inside of @huggingface/tokenizers, as far as this package replaces parts of them: the library makes them from
 * objects of a million strings, at once; here they are made in steps from flat arrays.
 */
import * as library from "@huggingface/tokenizers";
import type { Steps } from "../eventLoop.js";
import { type FlatTexts, readTexts } from "./flatTexts.js";
import type { AddedTokenDefinition } from "./tokenizerDefinition.js";

/** What the rest of the library reads of its model. */
declare class LibraryModel {
  constructor(model: object, eosToken?: string);
  /** Token texts by id. */
  vocab: string[];
  tokens_to_ids: Map<string, number>;
  unk_token_id: number | undefined;
  fuse_unk: boolean;
  /** The tokens of words. */
  _call(words: readonly string[]): string[];
}

/** The one step that is replaced. */
declare class LibraryBpe extends LibraryModel {
  bpe(word: string): string[];
}

declare class LibraryWordPiece extends LibraryModel {
  readonly config: { readonly continuing_subword_prefix?: string };
  unk_token: string | undefined;
  max_input_chars_per_word: number;
}

declare class LibraryUnigram extends LibraryModel {
  /** By id. */
  scores: ArrayLike<number>;
  min_score: number;
  unk_score: number;
  unk_token: string | undefined;
  bos_token_id: number | undefined;
  eos_token_id: number | undefined;
}

// The library's types do not resolve with NodeNext.
export const { BPE, Unigram, WordPiece } = library as unknown as {
  readonly BPE: typeof LibraryBpe;
  readonly Unigram: typeof LibraryUnigram;
  readonly WordPiece: typeof LibraryWordPiece;
};

export interface TokenMaps {
  /** By id, with holes. */
  readonly tokens: string[];
  readonly ids: Map<string, number>;
}

/**
 * The two directions of a vocabulary.
 * @param idOf ids of the first texts; of a text that comes twice, the later counts
 * @param onText sees every text
 */
export function* readTokenMaps(
  texts: FlatTexts,
  idOf: Int32Array,
  onText: (text: string, index: number) => void = () => undefined,
): Steps<TokenMaps> {
  let numIds = 0;
  for (let i = 0; i < idOf.length; i++) numIds = Math.max(numIds, idOf[i]! + 1);
  const tokens = new Array<string>(numIds);
  const ids = new Map<string, number>();
  yield* readTexts(texts, (text, i) => {
    onText(text, i);
    if (i >= idOf.length) return;
    tokens[idOf[i]!] = text;
    ids.set(text, idOf[i]!);
  });
  return { tokens, ids };
}

/** Puts a model in the place of the one without tokens that the library has made. */
export function placeModel(
  engine: library.Tokenizer,
  model: LibraryModel,
  addedTokens: readonly AddedTokenDefinition[],
): void {
  engine.model = model;
  for (const { id, content } of addedTokens) {
    model.tokens_to_ids.set(content, id);
    model.vocab[id] = content;
  }
}

export type { LibraryModel };
