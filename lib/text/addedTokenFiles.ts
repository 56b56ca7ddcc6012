/**
 * The added tokens of a checkpoint, as transformers puts them together: those of tokenizer.json, changed and extended by
 * `added_tokens_decoder` of tokenizer_config.json (or by added_tokens.json, its predecessor), and the special tokens that the
 * files name, if the vocabulary has them. A named token that has no id anywhere is none: the model has no row for it.
 */
import { dirname, join } from "node:path";
import { isObject, show, type JsonObject } from "../checkpoint/json.js";
import { FieldChecker, isIntIn, isText } from "./fieldChecker.js";
import type { SpecialTokenNames, TokenizerConfig } from "./specialTokens.js";
import {
  flagFields,
  maxAddedTokens,
  maxTokenId,
  type AddedTokenDefinition,
  type TokenizerDefinition,
} from "./tokenizerDefinition.js";

/** A token with the id that a file gives it. */
interface ListedToken {
  readonly id: number;
  readonly flags: Omit<AddedTokenDefinition, "id">;
}

/**
 * @param file path of tokenizer.json; errors name the file beside it
 * @returns the definition with all added tokens
 * @throws TextError ERR_TOKENIZER naming file, field, expected and got
 */
export function withAddedTokens(
  definition: TokenizerDefinition,
  files: TokenizerConfig,
  names: SpecialTokenNames,
  file: string,
): TokenizerDefinition {
  const tokens = new Map<string, AddedTokenDefinition>();
  const vocabulary = new Vocabulary(definition);
  for (const token of definition.addedTokens) {
    const id = tokens.get(token.content)?.id ?? vocabulary.place(token.content, token.id);
    tokens.set(token.content, { ...token, id });
  }
  for (const { id, flags } of listedTokens(files, tokens, names, dirname(file))) {
    const known = tokens.get(flags.content);
    const special = flags.special || known?.special === true;
    tokens.set(flags.content, { ...flags, special, id: known?.id ?? vocabulary.place(flags.content, id) });
  }
  for (const [content, fields] of names.all) {
    const id = vocabulary.idOf(content);
    if (tokens.has(content) || id === undefined) continue;
    tokens.set(content, { ...flagsOf(content, { ...fields, special: true }), id });
  }
  const addedTokens = [...tokens.values()];
  return {
    ...definition,
    addedTokens,
    json: { ...definition.json, added_tokens: addedTokens.map(jsonOf) },
    vocabSize: addedTokens.reduce((size, { id }) => Math.max(size, id + 1), definition.vocabSize),
  };
}

/** Ids of the model's vocabulary, and of the added tokens that get one. */
class Vocabulary {
  readonly #model: JsonObject;
  #unigramIds: ReadonlyMap<string, number> | undefined;
  #taken: Set<number> | undefined;

  constructor({ model }: TokenizerDefinition) {
    this.#model = model;
  }

  idOf(token: string): number | undefined {
    const { vocab } = this.#model;
    if (isObject(vocab)) return Object.hasOwn(vocab, token) ? (vocab[token] as number) : undefined;
    this.#unigramIds ??= new Map((vocab as [string, number][]).map(([text], id) => [text, id]));
    return this.#unigramIds.get(token);
  }

  /** The id that the vocabulary has for a token; else the wanted one, if it is free; else the next after all. */
  place(token: string, wanted: number): number {
    const known = this.idOf(token);
    if (known !== undefined) return known;
    this.#taken ??= this.#allIds();
    let id = wanted;
    if (this.#taken.has(id)) {
      id = 0;
      for (const taken of this.#taken) id = Math.max(id, taken + 1);
    }
    this.#taken.add(id);
    return id;
  }

  #allIds(): Set<number> {
    const { vocab } = this.#model;
    const ids = isObject(vocab) ? (Object.values(vocab) as number[]) : (vocab as unknown[]).keys();
    return new Set<number>(ids);
  }
}

function listedTokens(
  { config, addedTokens }: TokenizerConfig,
  known: ReadonlyMap<string, unknown>,
  names: SpecialTokenNames,
  folder: string,
): ListedToken[] {
  const decoder = config["added_tokens_decoder"] ?? undefined;
  if (decoder === undefined) {
    const check = new ListChecker(join(folder, "added_tokens.json"));
    const listed = check.entries("", addedTokens).map(([content, id]) => ({
      id: check.id(show(content), id),
      flags: flagsOf(check.content("a token", content), { special: names.all.has(content) }),
    }));
    // It has no flags: what tokenizer.json says of a token stands.
    return listed.filter(({ flags }) => !known.has(flags.content));
  }
  const check = new ListChecker(join(folder, "tokenizer_config.json"));
  const listed = check.entries("added_tokens_decoder", decoder).map(([key, token]): ListedToken => {
    const at = `added_tokens_decoder[${show(key)}]`;
    const fields = check.object(at, token);
    check.flags(at, fields, flagFields);
    return {
      id: check.id(at, key.trim() === "" ? key : Number(key)),
      flags: flagsOf(check.content(`${at}.content`, fields["content"]), fields),
    };
  });
  return listed.sort((a, b) => a.id - b.id);
}

class ListChecker extends FieldChecker {
  entries(field: string, value: unknown): [string, unknown][] {
    const entries = Object.entries(this.object(field, value));
    if (entries.length <= maxAddedTokens) return entries;
    return this.fail(field, `at most ${maxAddedTokens} tokens`, entries.length);
  }

  id(field: string, value: unknown): number {
    this.expect(field, value, `an id, an integer in [0, ${maxTokenId}]`, isIntIn(0, maxTokenId));
    return value as number;
  }

  content(field: string, value: unknown): string {
    this.expect(field, value, "a string of 1 to 65536 characters", isText(1, 65_536));
    return value as string;
  }
}

/** Fields of an AddedToken of transformers; those that are absent have its defaults. */
function flagsOf(content: string, fields: JsonObject): ListedToken["flags"] {
  const special = fields["special"] === true;
  return {
    content,
    special,
    normalized: (fields["normalized"] ?? !special) === true,
    singleWord: fields["single_word"] === true,
    lstrip: fields["lstrip"] === true,
    rstrip: fields["rstrip"] === true,
  };
}

function jsonOf({ singleWord, ...token }: AddedTokenDefinition): JsonObject {
  return { ...token, single_word: singleWord };
}
