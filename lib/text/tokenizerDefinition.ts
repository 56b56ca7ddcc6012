/**
 * Checks a parsed tokenizer.json before the tokenizer library sees it. The library trusts its input: here everything is
 * refused that would make it fail late, give wrong ids silently, run for ever or fill the memory. Stages are stageChecks.ts's
 * business.
 */
import { show, type JsonObject } from "../checkpoint/json.js";
import { FieldChecker, isIntIn, isOneOf, isText } from "./fieldChecker.js";
import { rewriteDecoder, rewriteNormalizer, rewritePreTokenizer } from "./libraryStages.js";
import { checkGrowth, checkStages, type StageKind } from "./stageChecks.js";

export interface AddedTokenDefinition {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Matches whole words only. */
  readonly singleWord: boolean;
  /** Takes the white space before, and behind. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  /** Is looked for in normalized text, by its own normalized text. */
  readonly normalized: boolean;
}

export interface TokenizerDefinition {
  /** What the library is given: tokenizer.json with every field that it reads present. */
  readonly json: JsonObject;
  readonly model: JsonObject;
  readonly addedTokens: readonly AddedTokenDefinition[];
  /** The stages of each kind in order, with every Sequence taken apart. */
  readonly stages: Readonly<Record<StageKind, readonly JsonObject[]>>;
  /** Regular expressions (Oniguruma syntax) of all stages. */
  readonly regexes: readonly string[];
  /** 1 + the largest id. */
  readonly vocabSize: number;
}

/** Far above any vocabulary; the library allocates by the largest id. */
export const maxTokenId = 4_194_303;
export const maxAddedTokens = 100_000;
/** Fields of an added token that are true or false. */
export const flagFields = ["special", "lstrip", "rstrip", "single_word", "normalized"];

/**
 * @param json content of tokenizer.json
 * @param file named in errors
 * @throws TextError ERR_TOKENIZER naming file, field, expected and got
 */
export function checkTokenizerJson(json: JsonObject, file: string): TokenizerDefinition {
  const check = new DefinitionChecker(file);
  const { model, largestId } = check.model(json["model"]);
  const addedTokens = check.addedTokens(json["added_tokens"] ?? []);
  const regexes: string[] = [];
  const stagesOf = (kind: StageKind) => checkStages(check, kind, json[kind], regexes);
  const stages = {
    normalizer: stagesOf("normalizer"),
    pre_tokenizer: stagesOf("pre_tokenizer"),
    post_processor: stagesOf("post_processor"),
    decoder: stagesOf("decoder"),
  };
  checkGrowth(check, "normalizer and pre_tokenizer", [...stages.normalizer, ...stages.pre_tokenizer]);
  checkGrowth(check, "post_processor", stages.post_processor);
  checkGrowth(check, "decoder", stages.decoder);
  const rewritten = {
    normalizer: rewriteNormalizer(json["normalizer"] ?? null),
    pre_tokenizer: rewritePreTokenizer(json["pre_tokenizer"] ?? null),
    post_processor: null, // postProcessor.ts takes its place
    decoder: rewriteDecoder(json["decoder"] ?? null),
  };
  return {
    json: { ...json, ...rewritten, model, added_tokens: json["added_tokens"] ?? [] },
    model,
    addedTokens,
    stages,
    regexes,
    vocabSize: 1 + addedTokens.reduce((largest, token) => Math.max(largest, token.id), largestId),
  };
}

class DefinitionChecker extends FieldChecker {
  model(value: unknown): { readonly model: JsonObject; readonly largestId: number } {
    const model = this.object("model", value);
    const { vocab, merges } = model;
    // Old files leave the type out.
    const type =
      model["type"] ?? (merges !== undefined ? "BPE" : Array.isArray(vocab) ? "Unigram" : "WordPiece");
    this.expect("model.type", type, "BPE, WordPiece or Unigram", isOneOf("BPE", "WordPiece", "Unigram"));
    for (const field of ["unk_token", "continuing_subword_prefix", "end_of_word_suffix"]) {
      this.expect(`model.${field}`, model[field] ?? "", "a string of at most 64 characters", isText(0, 64));
    }
    this.flags("model", model, ["fuse_unk", "byte_fallback", "ignore_merges"]);
    if (type === "BPE") {
      // The library has no such prefix.
      const given = model["continuing_subword_prefix"] ?? "";
      this.expect("model.continuing_subword_prefix", given, "none, with BPE", isOneOf(""));
      this.#merges(merges);
    }
    if (type === "WordPiece") {
      const limit = model["max_input_chars_per_word"] ?? 100;
      this.expect("model.max_input_chars_per_word", limit, "an integer in [1, 1000]", isIntIn(1, 1000));
    }
    const largestId = type === "Unigram" ? this.#unigramVocab(model) : this.#vocab(vocab);
    const prefix = model["continuing_subword_prefix"] ?? (type === "WordPiece" ? "##" : "");
    return { model: { ...model, type, continuing_subword_prefix: prefix }, largestId };
  }

  addedTokens(value: unknown): AddedTokenDefinition[] {
    this.expect("added_tokens", value, `an array of at most ${maxAddedTokens} tokens`, Array.isArray);
    const tokens = value as readonly unknown[];
    if (tokens.length > maxAddedTokens) {
      this.fail("added_tokens", `at most ${maxAddedTokens} tokens`, tokens.length);
    }
    return tokens.map((token, i) => {
      const at = `added_tokens[${i}]`;
      const { id, content, special, lstrip, rstrip, ...more } = this.object(at, token);
      this.flags(at, token as JsonObject, flagFields);
      this.expect(`${at}.id`, id, `an integer in [0, ${maxTokenId}]`, isIntIn(0, maxTokenId));
      this.expect(`${at}.content`, content, "a string of at least one character", isText(1, 65_536));
      return {
        id: id as number,
        content: content as string,
        special: special === true,
        lstrip: lstrip === true,
        rstrip: rstrip === true,
        singleWord: more["single_word"] === true,
        normalized: (more["normalized"] ?? special !== true) === true,
      };
    });
  }

  /** Pairs of texts, or texts with one space in between, as the first one is. */
  #merges(value: unknown): void {
    this.expect("model.merges", value, "an array", Array.isArray);
    const merges = value as readonly unknown[];
    const arePairs = Array.isArray(merges[0]);
    const expected = arePairs ? "two texts" : "a text with one space";
    for (const [i, merge] of merges.entries())
      if (!(arePairs ? isPair(merge) : isSpaced(merge))) this.fail(`model.merges[${i}]`, expected, merge);
  }

  #vocab(value: unknown): number {
    let largestId = -1;
    for (const [token, id] of Object.entries(this.object("model.vocab", value))) {
      if (!isIntIn(0, maxTokenId)(id)) {
        this.fail(`model.vocab[${show(token)}]`, `an integer in [0, ${maxTokenId}]`, id);
      }
      largestId = Math.max(largestId, id as number);
    }
    return largestId;
  }

  #unigramVocab(model: JsonObject): number {
    const { vocab, unk_id: unkId } = model;
    this.expect(
      "model.vocab",
      vocab,
      "a non-empty array",
      (value) => Array.isArray(value) && value.length > 0,
    );
    const entries = vocab as readonly unknown[];
    entries.forEach((entry, i) => {
      const [token, score] = Array.isArray(entry) ? (entry as readonly unknown[]) : [];
      if (typeof token !== "string" || !Number.isFinite(score)) {
        this.fail(`model.vocab[${i}]`, "[token, score]", entry);
      }
    });
    const isIndex = isIntIn(0, entries.length - 1);
    this.expect("model.unk_id", unkId ?? 0, "an index of model.vocab, or null", isIndex);
    return entries.length - 1;
  }
}

function isPair(merge: unknown): boolean {
  return (
    Array.isArray(merge) && merge.length === 2 && typeof merge[0] === "string" && typeof merge[1] === "string"
  );
}

/** The first line of a merges.txt, which some converters have taken along. It is no merge. */
export const isMergesHeader = (merge: string): boolean => merge.startsWith("#version");

function isSpaced(merge: unknown): boolean {
  if (typeof merge !== "string") return false;
  if (isMergesHeader(merge)) return true;
  const space = merge.indexOf(" ");
  return space >= 0 && space === merge.lastIndexOf(" ");
}
