/** The model of a tokenizer in place of the library's, where this package has one. */
import type { Steps } from "../eventLoop.js";
import { BytePairEncoding } from "./bytePairEncoding.js";
import type { LibraryModel } from "./libraryModel.js";
import { pieceModel } from "./pieceModels.js";
import type { PreparedTokenizer } from "./preparedTokenizer.js";

/** @returns undefined if the library has the vocabulary itself */
export function* tokenizerModel({
  definition,
  bpe,
  pieces,
  names,
}: PreparedTokenizer): Steps<LibraryModel | undefined> {
  if (bpe) return yield* BytePairEncoding.make(definition.model, bpe);
  return pieces && (yield* pieceModel(definition.model, pieces, names.byName["eos_token"]));
}
