/**
 * Checks a parsed tokenizer.json before the tokenizer library sees it. The library trusts its input: here everything is
 * refused that would make it fail late, give wrong ids silently, run for ever or fill the memory. What the stages do is
 * the library's business; unknown stage types are refused by it.
 */
import { isObject, show, type JsonObject } from "../checkpoint/json.js";
import { TextError } from "../errors.js";
import { rewriteDecoder, rewritePreTokenizer } from "./libraryStages.js";

/** Field of a Sequence that holds its members. */
const memberField = {
  normalizer: "normalizers",
  pre_tokenizer: "pretokenizers",
  post_processor: "processors",
  decoder: "decoders",
} as const;

export type StageKind = keyof typeof memberField;

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
/** Stages of one kind; real files have up to 8. */
const maxStages = 32;
/** How many times longer replacing stages may make the text; ByteLevel alone counts 4. */
const maxGrowth = 64;
const maxRegexChars = 16_384;

/**
 * @param json content of tokenizer.json
 * @param file named in errors
 * @throws TextError ERR_TOKENIZER naming file, field, expected and got
 */
export function checkTokenizerJson(json: JsonObject, file: string): TokenizerDefinition {
  const check = new DefinitionChecker(file);
  const { model, largestId } = check.model(json["model"]);
  const addedTokens = check.addedTokens(json["added_tokens"] ?? []);
  const stages = {
    normalizer: check.stages("normalizer", json["normalizer"]),
    pre_tokenizer: check.stages("pre_tokenizer", json["pre_tokenizer"]),
    post_processor: check.stages("post_processor", json["post_processor"]),
    decoder: check.stages("decoder", json["decoder"]),
  };
  check.growth("normalizer and pre_tokenizer", [...stages.normalizer, ...stages.pre_tokenizer]);
  check.growth("decoder", stages.decoder);
  const rewritten = {
    pre_tokenizer: rewritePreTokenizer(json["pre_tokenizer"] ?? null),
    decoder: rewriteDecoder(json["decoder"] ?? null),
  };
  const optional = { normalizer: null, post_processor: null };
  return {
    json: { ...optional, ...json, ...rewritten, model, added_tokens: json["added_tokens"] ?? [] },
    model,
    addedTokens,
    stages,
    regexes: check.regexes,
    vocabSize: 1 + addedTokens.reduce((largest, token) => Math.max(largest, token.id), largestId),
  };
}

class DefinitionChecker {
  readonly regexes: string[] = [];
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  model(value: unknown): { readonly model: JsonObject; readonly largestId: number } {
    const model = this.#object("model", value);
    const { vocab, merges } = model;
    // Old files leave the type out.
    const type =
      model["type"] ?? (merges !== undefined ? "BPE" : Array.isArray(vocab) ? "Unigram" : "WordPiece");
    this.#expect("model.type", type, "BPE, WordPiece or Unigram", isOneOf("BPE", "WordPiece", "Unigram"));
    for (const field of ["unk_token", "continuing_subword_prefix", "end_of_word_suffix"]) {
      this.#expect(`model.${field}`, model[field] ?? "", "a string of at most 64 characters", isText(0, 64));
    }
    if (type === "BPE") this.#expect("model.merges", merges, "an array", Array.isArray);
    if (type === "WordPiece") {
      const limit = model["max_input_chars_per_word"] ?? 100;
      this.#expect("model.max_input_chars_per_word", limit, "an integer in [1, 1000]", isIntIn(1, 1000));
    }
    const largestId = type === "Unigram" ? this.#unigramVocab(model) : this.#vocab(vocab);
    return { model: { ...model, type }, largestId };
  }

  addedTokens(value: unknown): AddedTokenDefinition[] {
    this.#expect("added_tokens", value, `an array of at most ${maxAddedTokens} tokens`, Array.isArray);
    const tokens = value as readonly unknown[];
    if (tokens.length > maxAddedTokens) {
      this.#fail("added_tokens", `at most ${maxAddedTokens} tokens`, tokens.length);
    }
    return tokens.map((token, i) => {
      const at = `added_tokens[${i}]`;
      const { id, content, special, lstrip, rstrip, ...more } = this.#object(at, token);
      this.#expect(`${at}.id`, id, `an integer in [0, ${maxTokenId}]`, isIntIn(0, maxTokenId));
      this.#expect(`${at}.content`, content, "a string of at least one character", isText(1, 65_536));
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

  /** The stages of one kind, in order; none if the field is absent or null. */
  stages(kind: StageKind, value: unknown): JsonObject[] {
    const leaves: JsonObject[] = [];
    let numStages = 0;
    const visit = (item: unknown, path: string): void => {
      if (++numStages > maxStages) this.#fail(kind, `at most ${maxStages} stages`, numStages);
      const stage = this.#object(path, item);
      if (stage["type"] !== "Sequence") {
        this.#leaf(kind, stage, path);
        leaves.push(stage);
        return;
      }
      const members = stage[memberField[kind]];
      this.#expect(`${path}.${memberField[kind]}`, members, "an array", Array.isArray);
      (members as readonly unknown[]).forEach((member, i) => {
        visit(member, `${path}.${memberField[kind]}[${i}]`);
      });
    };
    if (value !== undefined && value !== null) visit(value, kind);
    return leaves;
  }

  /** Refuses stages that together make a text very much longer: they could fill the memory. */
  growth(field: string, stages: readonly JsonObject[]): void {
    const growth = stages.reduce((product, stage) => product * stageGrowth(stage), 1);
    if (growth > maxGrowth)
      this.#fail(field, `stages that make a text at most ${maxGrowth} times longer`, growth);
  }

  #leaf(kind: StageKind, stage: JsonObject, path: string): void {
    const field = (name: string, expected: string, accept: (value: unknown) => boolean, fallback?: unknown) =>
      this.#expect(`${path}.${name}`, stage[name] ?? fallback, expected, accept);
    const shortText = [`a string of at most 64 characters`, isText(0, 64)] as const;
    switch (stage["type"]) {
      case "Replace":
        this.#pattern(`${path}.pattern`, stage["pattern"]);
        field("content", ...shortText);
        return;
      case "Split":
        this.#pattern(`${path}.pattern`, stage["pattern"]);
        return;
      case "Prepend":
        field("prepend", ...shortText);
        return;
      case "Metaspace":
        field("replacement", ...shortText, "");
        field("str_rep", ...shortText, "");
        return;
      case "FixedLength":
        field("length", "an integer of at least 1", isIntIn(1, Number.MAX_SAFE_INTEGER));
        return;
      case "Strip":
        if (kind !== "decoder") return;
        field("content", ...shortText);
        for (const side of ["start", "stop"]) field(side, "an integer in [0, 64]", isIntIn(0, 64), 0);
        return;
      case "TemplateProcessing":
        field("single", "an array of at most 64 items", isArrayOfAtMost(64));
        return;
      case "BertProcessing":
      case "RobertaProcessing":
        for (const token of ["cls", "sep"]) field(token, "[token, id]", isArrayOfAtMost(2));
        return;
      default: // The other stages have no field that could do harm.
    }
  }

  /** The library drops all text if a pattern has neither form. */
  #pattern(path: string, value: unknown): void {
    const pattern = this.#object(path, value);
    if (pattern["Regex"] === undefined) {
      this.#expect(`${path}.String`, pattern["String"], "a string", isText(0, maxRegexChars));
      return;
    }
    this.#expect(
      `${path}.Regex`,
      pattern["Regex"],
      `at most ${maxRegexChars} characters`,
      isText(0, maxRegexChars),
    );
    this.regexes.push(pattern["Regex"] as string);
  }

  #vocab(value: unknown): number {
    let largestId = -1;
    for (const [token, id] of Object.entries(this.#object("model.vocab", value))) {
      if (!isIntIn(0, maxTokenId)(id)) {
        this.#fail(`model.vocab[${show(token)}]`, `an integer in [0, ${maxTokenId}]`, id);
      }
      largestId = Math.max(largestId, id as number);
    }
    return largestId;
  }

  #unigramVocab(model: JsonObject): number {
    const { vocab, unk_id: unkId } = model;
    this.#expect(
      "model.vocab",
      vocab,
      "a non-empty array",
      (value) => Array.isArray(value) && value.length > 0,
    );
    const entries = vocab as readonly unknown[];
    entries.forEach((entry, i) => {
      const [token, score] = Array.isArray(entry) ? (entry as readonly unknown[]) : [];
      if (typeof token !== "string" || typeof score !== "number") {
        this.#fail(`model.vocab[${i}]`, "[token, score]", entry);
      }
    });
    // The library gives characters without token this id.
    this.#expect("model.unk_id", unkId, "an index of model.vocab", isIntIn(0, entries.length - 1));
    return entries.length - 1;
  }

  #object(field: string, value: unknown): JsonObject {
    return isObject(value) ? value : this.#fail(field, "an object", value);
  }

  #expect(field: string, value: unknown, expected: string, accept: (value: unknown) => boolean): void {
    if (!accept(value)) this.#fail(field, expected, value);
  }

  #fail(field: string, expected: string, got: unknown): never {
    const message = `${this.#file}: ${field}: expected ${expected}, got ${show(got)}`;
    throw new TextError("ERR_TOKENIZER", message, this.#file);
  }
}

/** Upper bound of how many times longer a stage makes a text, apart from the bounded growth of Unicode forms. */
function stageGrowth(stage: JsonObject): number {
  const length = (field: string): number => (typeof stage[field] === "string" ? stage[field].length : 0);
  switch (stage["type"]) {
    case "ByteLevel": // up to 3 bytes per UTF-16 unit, and a leading space
      return 4;
    case "Prepend":
      return 1 + length("prepend");
    case "Metaspace":
      return 1 + Math.max(1, length("replacement"), length("str_rep"));
    case "Replace": {
      const { String: text } = stage["pattern"] as JsonObject;
      // A regular expression may match the empty text between any two characters.
      if (typeof text !== "string" || text === "") return 1 + length("content");
      return Math.max(1, length("content") / text.length);
    }
    default:
      return 1;
  }
}

function isIntIn(low: number, high: number): (value: unknown) => boolean {
  return (value) => Number.isInteger(value) && (value as number) >= low && (value as number) <= high;
}

function isText(minChars: number, maxChars: number): (value: unknown) => boolean {
  return (value) => typeof value === "string" && value.length >= minChars && value.length <= maxChars;
}

function isArrayOfAtMost(maxItems: number): (value: unknown) => boolean {
  return (value) => Array.isArray(value) && value.length <= maxItems;
}

function isOneOf(...choices: readonly string[]): (value: unknown) => boolean {
  return (value) => choices.includes(value as string);
}
