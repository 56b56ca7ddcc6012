/**
 * What the files of a tokenizer say, checked and in the form that a Tokenizer is made from. Plain data: a large file is read
 * on another thread (tokenizerThread.ts), because parsing it takes long.
 */
import { describeError, type JsonObject, show } from "../checkpoint/json.js";
import { TextError } from "../errors.js";
import { withAddedTokens } from "./addedTokenFiles.js";
import { type BpeTables, bpeTables } from "./bpeTables.js";
import { type PieceTables, pieceTables } from "./pieceTables.js";
import { readSpecialTokens, type SpecialTokenNames, type TokenizerConfig } from "./specialTokens.js";
import { parseJsonObject } from "./textFile.js";
import { withClassTemplate, withPrefixSpace } from "./tokenizerClass.js";
import { checkTokenizerJson, type TokenizerDefinition } from "./tokenizerDefinition.js";

export interface PreparedTokenizer {
  /** Path of tokenizer.json; named in errors. */
  readonly file: string;
  /** Its model has neither vocabulary nor merges: they are in `bpe` or `pieces`, unless both are undefined. */
  readonly definition: TokenizerDefinition;
  readonly names: SpecialTokenNames;
  /** Content of tokenizer_config.json. */
  readonly config: JsonObject;
  readonly bpe: BpeTables | undefined;
  readonly pieces: PieceTables | undefined;
}

/**
 * @param text of tokenizer.json
 * @param file named in errors
 * @throws TextError ERR_TOKENIZER naming the file
 */
export function prepareTokenizer(text: string, file: string, files: TokenizerConfig): PreparedTokenizer {
  const { config } = files;
  const names = readSpecialTokens(files);
  const checked = checkTokenizerJson(parseJsonObject(text, file, "ERR_TOKENIZER"), file);
  const framed = withClassTemplate(withAddedTokens(checked, files, names, file), config, names);
  const definition = withPrefixSpace(framed, config);
  const { model, json: whole } = definition;
  let bpe: BpeTables | undefined;
  try {
    bpe = bpeTables(model);
    const foreign = bpe?.foreignMerge;
    if (foreign !== undefined) {
      const got = show((model["merges"] as readonly unknown[])[foreign]);
      throw new Error(`model.merges[${foreign}]: expected tokens of the vocabulary, got ${got}`);
    }
  } catch (cause) {
    const message = `${file}: cannot read it: ${describeError(cause)}`;
    throw new TextError("ERR_TOKENIZER", message, file, { cause });
  }
  const pieces = pieceTables(model);
  if (bpe === undefined && pieces === undefined) return { file, definition, names, config, bpe, pieces };
  const small = { ...model, vocab: {}, merges: [] };
  // The library refuses a Unigram model without any piece.
  const forLibrary = model["type"] === "Unigram" ? { ...small, vocab: [["", 0]], unk_id: 0 } : small;
  // It takes long for many added tokens, and needs none: they are cut out before it sees a text, and placeModel gives them their ids.
  const json = { ...whole, model: forLibrary, added_tokens: [] };
  const stripped = { ...definition, model: small, json };
  return { file, definition: stripped, names, config, bpe, pieces };
}
