/**
 * What the files of a tokenizer say, checked and in the form that a Tokenizer is made from. Plain data: a large file is read
 * on another thread (tokenizerThread.ts), because parsing it takes long.
 */
import { TextError } from "../errors.js";
import { describeError, type JsonObject } from "../weights/json.js";
import { withAddedTokens } from "./addedTokenFiles.js";
import { type BpeTables, bpeTables } from "./bpeTables.js";
import { readSpecialTokens, type SpecialTokenNames, type TokenizerConfig } from "./specialTokens.js";
import { parseJsonObject } from "./textFile.js";
import { withClassTemplate } from "./tokenizerClass.js";
import { checkTokenizerJson, type TokenizerDefinition } from "./tokenizerDefinition.js";

export interface PreparedTokenizer {
  /** Path of tokenizer.json; named in errors. */
  readonly file: string;
  /** With `tables` its model has neither vocabulary nor merges. */
  readonly definition: TokenizerDefinition;
  readonly names: SpecialTokenNames;
  /** Content of tokenizer_config.json. */
  readonly config: JsonObject;
  /** Undefined if the library keeps the vocabulary itself. */
  readonly tables: BpeTables | undefined;
}

/**
 * @param json text of tokenizer.json
 * @param file named in errors
 * @throws TextError ERR_TOKENIZER naming the file
 */
export function prepareTokenizer(json: string, file: string, files: TokenizerConfig): PreparedTokenizer {
  const { config } = files;
  const names = readSpecialTokens(files);
  const checked = checkTokenizerJson(parseJsonObject(json, file, "ERR_TOKENIZER"), file);
  const definition = withClassTemplate(withAddedTokens(checked, files, names, file), config, names);
  let tables: BpeTables | undefined;
  try {
    tables = bpeTables(definition.model);
  } catch (cause) {
    const message = `${file}: cannot read it: ${describeError(cause)}`;
    throw new TextError("ERR_TOKENIZER", message, file, { cause });
  }
  if (tables === undefined) return { file, definition, names, config, tables };
  const model = { ...definition.model, vocab: {}, merges: [] };
  const small = { ...definition, model, json: { ...definition.json, model } };
  return { file, definition: small, names, config, tables };
}
