/**
 * Where a text may be cut so that its pieces, tokenized one by one, give the tokens of the whole. Only for tokenizers for
 * which that is proven below; `isSliceable` says which.
 *
 * A cut lies (1) between a letter or digit and a space, (2) between a Chinese, Japanese or Korean letter and one of
 * 、。，！？；：, or (3) after a newline that follows a visible character and precedes a letter or digit.
 * Proof that all tokens of the whole respect the cut and are the same in the pieces, stage by stage:
 * - NFC composes nothing across these pairs.
 * - A boundary pattern is an alternation in which, at all three places, (a) no alternative matches across the cut,
 *   (b) lookaheads are asked only after white space that ends before the cut or starts at it, in a run that the cut does
 *   not shorten, so every match on the left is the same whether the text goes on or ends, (c) some alternative matches at
 *   the cut, so the scan of the whole starts a match there, as the scan of the right piece does, and there is no
 *   lookbehind. For (3), "\n" is matched alone or with white space or punctuation before it, with or without what follows.
 * - A transparent pattern obeys (a) and (b), but may leave the cut inside unmatched text. A boundary pattern must follow.
 * - BPE treats every piece of the pre-tokenizer by itself.
 * - Added tokens are cut out of the raw text first: none may contain a cut or strip white space at one.
 */
import type { JsonObject } from "../checkpoint/json.js";
import type { AddedTokenDefinition, TokenizerDefinition } from "./tokenizerDefinition.js";

const contractions = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)`;
const newlines = String.raw`\s*[\r\n]+|\s+(?!\S)|\s+`;
const lowerWord = String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`;
const upperWord = String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*`;

/** Published pre-tokenizer patterns with properties (a), (b) and (c). */
export const boundaryPatterns: ReadonlyMap<string, string> = new Map([
  // GPT-2, also built into the ByteLevel stage
  ["gpt2", String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`],
  ["qwen2", String.raw`${contractions}|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|${newlines}`],
  [
    "llama3",
    String.raw`${contractions}|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|${newlines}`,
  ],
  [
    "qwen3.5",
    String.raw`${contractions}|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|${newlines}`,
  ],
  [
    "o200k",
    String.raw`${lowerWord}${contractions}?|${upperWord}${contractions}?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|${newlines}`,
  ],
  ["tekken", String.raw`${lowerWord}|${upperWord}|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|${newlines}`],
  [
    "deepseek3",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+" +
      String.raw`|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|${newlines}`,
  ],
]);

/** Published patterns with properties (a) and (b): runs of one class of characters. */
export const transparentPatterns: readonly string[] = [
  String.raw`\p{N}`,
  String.raw`\p{N}{1,3}`,
  "[一-龥぀-ゟ゠-ヿ]+", // DeepSeek V3
];

const knownBoundaries: ReadonlySet<string> = new Set(boundaryPatterns.values());

/** True for a pattern of the lists above: these take linear time on every text. */
export function isKnownPattern(regex: string): boolean {
  return knownBoundaries.has(regex) || transparentPatterns.includes(regex);
}

/** White space other than U+0020 and U+000A inside the classes is whatever either Unicode or JavaScript calls so. */
const cut = new RegExp(
  String.raw`(?<=[\p{L}\p{N}])(?= )` +
    String.raw`|(?<=[\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3])(?=[、。，！？；：])` +
    String.raw`|(?<=[^\s\p{White_Space}]\n)(?=[\p{L}\p{N}])`,
  "gu",
);

/** UTF-16 units in which a cut is looked for at once, and what a match may read on either side. */
const searchChars = 4096;
const contextChars = 4;

/**
 * Cuts a text at the first cut after every `minChars` UTF-16 units; one piece if there is none. Undefined stands for a step in
 * which none was found yet.
 */
export function* safePieces(text: string, minChars: number): Generator<string | undefined> {
  let start = 0;
  for (let from = minChars; from < text.length;) {
    const to = Math.min(from + searchChars, text.length);
    const at = findCut(text, from, to);
    if (at === undefined) {
      from = to;
      yield undefined;
    } else {
      yield text.slice(start, at);
      start = at;
      from = at + minChars;
    }
  }
  if (start < text.length) yield text.slice(start);
}

/** The first cut in [from, to). */
function findCut(text: string, from: number, to: number): number | undefined {
  const start = Math.max(0, from - contextChars);
  const finder = new RegExp(cut);
  finder.lastIndex = from - start;
  const found = finder.exec(text.slice(start, to + contextChars));
  const at = found === null ? to : start + found.index;
  return at < to ? at : undefined;
}

/**
 * @param config tokenizer_config.json, whose older flags also change the text
 * @returns true if `safePieces` are proven safe for this tokenizer
 */
export function isSliceable(
  { model, stages, addedTokens }: TokenizerDefinition,
  config: JsonObject,
): boolean {
  return (
    model["type"] === "BPE" &&
    model["fuse_unk"] !== true &&
    config["remove_space"] !== true &&
    config["do_lowercase_and_remove_accent"] !== true &&
    stages.normalizer.every((stage) => stage["type"] === "NFC") &&
    preTokenizerRespectsCuts(stages.pre_tokenizer) &&
    addedTokens.every(respectsCuts)
  );
}

function preTokenizerRespectsCuts(stages: readonly JsonObject[]): boolean {
  let hasBoundary = false;
  for (const [i, stage] of stages.entries()) {
    if (stage["type"] === "Split") {
      const { Regex: regex } = stage["pattern"] as JsonObject;
      const isIsolated = stage["behavior"] === "Isolated" && stage["invert"] !== true;
      if (typeof regex !== "string" || !isIsolated || !isKnownPattern(regex)) return false;
      hasBoundary ||= knownBoundaries.has(regex);
    } else if (stage["type"] === "ByteLevel") {
      // It turns spaces into other characters, so no pattern may follow.
      if (stage["add_prefix_space"] === true || i + 1 < stages.length) return false;
      hasBoundary ||= (stage["use_regex"] ?? true) === true;
    } else if (stage["type"] !== "Digits") {
      return false;
    }
  }
  return hasBoundary;
}

function respectsCuts({ content, singleWord, lstrip, rstrip }: AddedTokenDefinition): boolean {
  // It asks for the characters beside it, which may lie across a cut.
  if (singleWord) return false;
  if (content !== content.normalize("NFC")) return false;
  // A run of white space lies at one side of every cut, but only a token that strips nothing leaves the other side alone.
  if (/^\s+$/.test(content)) return !lstrip && !rstrip;
  if (/[\s\p{White_Space}、。，！？；：]/u.test(content)) return false;
  return !(lstrip || rstrip) || !/^[\p{L}\p{N}]|[\p{L}\p{N}]$/u.test(content);
}
