/** Checks the stages of a tokenizer.json: which there are, and that no field of theirs can do harm or count as something else. */
import type { JsonObject } from "../checkpoint/json.js";
import { type FieldChecker, isArrayOfAtMost, isIntIn, isOneOf, isText } from "./fieldChecker.js";

/** Field of a Sequence that holds its members. */
const memberField = {
  normalizer: "normalizers",
  pre_tokenizer: "pretokenizers",
  post_processor: "processors",
  decoder: "decoders",
} as const;

export type StageKind = keyof typeof memberField;

/** The types of stages that are known, beside Sequence. */
const types: Readonly<Record<StageKind, readonly string[]>> = {
  normalizer: [
    ...["NFC", "NFD", "NFKC", "NFKD", "BertNormalizer", "Lowercase", "Precompiled", "Prepend", "Replace"],
    ...["Strip", "StripAccents"],
  ],
  pre_tokenizer: [
    ...["BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Digits", "FixedLength", "Metaspace"],
    ...["Punctuation", "Replace", "Split", "Whitespace", "WhitespaceSplit"],
  ],
  post_processor: ["BertProcessing", "ByteLevel", "RobertaProcessing", "TemplateProcessing"],
  decoder: [
    ...["BPEDecoder", "ByteFallback", "ByteLevel", "CTC", "Fuse", "Metaspace", "Replace", "Strip"],
    "WordPiece",
  ],
};

/** Fields of any stage that are true or false. */
const flags = [
  ...["add_prefix_space", "use_regex", "trim_offsets", "invert", "individual_digits", "split", "cleanup"],
  ...["clean_text", "handle_chinese_chars", "strip_accents", "lowercase", "strip_left", "strip_right"],
];

const schemes = ["always", "never", "first"];
const behaviors = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"];

/** Stages of one kind; real files have up to 8. */
const maxStages = 32;
/** How many times longer replacing stages may make the text; ByteLevel alone counts 4. */
const maxGrowth = 64;
const maxRegexChars = 16_384;

/**
 * The stages of one kind, in order; none if the field is absent or null.
 *
 * @param regexes gets the regular expressions of the stages
 * @throws TextError ERR_TOKENIZER
 */
export function checkStages(
  check: FieldChecker,
  kind: StageKind,
  value: unknown,
  regexes: string[],
): JsonObject[] {
  const leaves: JsonObject[] = [];
  let numStages = 0;
  const visit = (item: unknown, path: string): void => {
    if (++numStages > maxStages) check.fail(kind, `at most ${maxStages} stages`, numStages);
    const stage = check.object(path, item);
    if (stage["type"] !== "Sequence") {
      const known = types[kind];
      check.expect(
        `${path}.type`,
        stage["type"],
        `Sequence, ${known.join(", ")}`,
        isOneOf("Sequence", ...known),
      );
      new StageCheck(check, kind, stage, path).run(regexes);
      leaves.push(stage);
      return;
    }
    const members = stage[memberField[kind]];
    check.expect(`${path}.${memberField[kind]}`, members, "an array", Array.isArray);
    (members as readonly unknown[]).forEach((member, i) => {
      visit(member, `${path}.${memberField[kind]}[${i}]`);
    });
  };
  if (value !== undefined && value !== null) visit(value, kind);
  return leaves;
}

/** Refuses stages that together make a text, or its ids, very much longer: they could fill the memory. */
export function checkGrowth(check: FieldChecker, field: string, stages: readonly JsonObject[]): void {
  const growth = stages.reduce((product, stage) => product * stageGrowth(stage), 1);
  if (growth > maxGrowth)
    check.fail(field, `stages that make a text at most ${maxGrowth} times longer`, growth);
}

const shortText = [`a string of at most 64 characters`, isText(0, 64)] as const;
const character = [
  "one character",
  (value: unknown) => typeof value === "string" && Array.from(value).length === 1,
] as const;

/** One stage that is no Sequence. */
class StageCheck {
  constructor(
    readonly check: FieldChecker,
    readonly kind: StageKind,
    readonly stage: JsonObject,
    readonly path: string,
  ) {}

  run(regexes: string[]): void {
    const { kind, stage } = this;
    this.check.flags(this.path, stage, flags);
    switch (stage["type"]) {
      case "Replace":
        this.#pattern(regexes);
        this.#field("content", ...shortText);
        return;
      case "Split":
        this.#pattern(regexes);
        this.#behavior();
        return;
      case "Punctuation":
        this.#behavior();
        return;
      case "CharDelimiterSplit":
        this.#field("delimiter", ...character);
        return;
      case "Prepend":
        this.#field("prepend", ...shortText);
        return;
      case "Metaspace":
        this.#field("replacement", ...character, "▁");
        this.#field("str_rep", ...character, "▁");
        this.#field("prepend_scheme", schemes.join(", "), isOneOf(...schemes), "always");
        return;
      case "BPEDecoder":
        this.#field("suffix", ...shortText);
        return;
      case "WordPiece":
        this.#field("prefix", ...shortText);
        return;
      case "CTC":
        for (const token of ["pad_token", "word_delimiter_token"]) this.#field(token, ...shortText);
        return;
      case "FixedLength":
        this.#field("length", "an integer of at least 1", isIntIn(1, Number.MAX_SAFE_INTEGER), 5);
        return;
      case "Strip":
        if (kind !== "decoder") return;
        this.#field("content", ...character);
        for (const side of ["start", "stop"]) this.#field(side, "an integer in [0, 64]", isIntIn(0, 64), 0);
        return;
      case "TemplateProcessing":
        this.#template();
        return;
      case "BertProcessing":
      case "RobertaProcessing":
        for (const token of ["cls", "sep"]) this.#field(token, "[token, id]", isTokenAndId);
        return;
      default: // The other stages have no field that could do harm.
    }
  }

  #field(
    name: string,
    expected: string,
    accept: (value: unknown) => boolean,
    fallback: unknown = undefined,
  ): void {
    this.check.expect(`${this.path}.${name}`, this.stage[name] ?? fallback, expected, accept);
  }

  #behavior(): void {
    this.#field("behavior", behaviors.join(", "), isOneOf(...behaviors), "Isolated");
  }

  /** The library drops all text if a pattern has neither form. */
  #pattern(regexes: string[]): void {
    const { check, path } = this;
    const pattern = check.object(`${path}.pattern`, this.stage["pattern"]);
    const form = pattern["Regex"] === undefined ? "String" : "Regex";
    const expected = `a string of at most ${maxRegexChars} characters`;
    check.expect(`${path}.pattern.${form}`, pattern[form], expected, isText(0, maxRegexChars));
    if (form === "Regex") regexes.push(pattern["Regex"] as string);
  }

  #template(): void {
    const { check, path, stage } = this;
    this.#field("single", "an array of at most 64 items", isArrayOfAtMost(64));
    for (const [i, item] of (stage["single"] as readonly unknown[]).entries()) {
      const at = `${path}.single[${i}]`;
      const { Sequence: sequence, SpecialToken: token } = check.object(at, item);
      if (token === undefined) {
        const { id } = check.object(`${at}.Sequence`, sequence);
        check.expect(`${at}.Sequence.id`, id, `"A"`, isOneOf("A"));
      } else {
        check.expect(
          `${at}.SpecialToken.id`,
          check.object(`${at}.SpecialToken`, token)["id"],
          "a string",
          isText(0, 65_536),
        );
      }
    }
    const named = check.object(`${path}.special_tokens`, stage["special_tokens"] ?? {});
    for (const [name, token] of Object.entries(named)) {
      const at = `${path}.special_tokens[${JSON.stringify(name.slice(0, 100))}]`;
      const { ids } = check.object(at, token);
      check.expect(`${at}.ids`, ids, "an array of at most 64 token ids", isIds);
    }
  }
}

const isTokenId = isIntIn(0, 2 ** 31 - 1);
const isIds = (value: unknown): boolean =>
  isArrayOfAtMost(64)(value) && (value as readonly unknown[]).every(isTokenId);
const isTokenAndId = (value: unknown): boolean =>
  Array.isArray(value) && value.length === 2 && typeof value[0] === "string" && isTokenId(value[1]);

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
    case "TemplateProcessing": // may name the text several times
      return (stage["single"] as readonly JsonObject[]).filter((item) => item["SpecialToken"] === undefined)
        .length;
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
