/**
 * Rewrites stages of tokenizer.json where the JavaScript library knows less than the Rust library that tokenizers were trained
 * with. Metaspace: it joins words that `split` keeps apart, reads no `add_prefix_space`, the old name of `prepend_scheme`, and
 * its decoder drops a first space also where none is put. Digits, Punctuation and the kinds of white space: it knows those of
 * ASCII or of JavaScript, and no behaviors; they become a Split, whose behaviors are libraryRepairs.ts's business. Replace: it
 * takes a "$" for a reference. Lowercase, BertNormalizer: it lets neighbours decide about a sigma.
 */
import { isObject, type JsonObject } from "../checkpoint/json.js";

/** A checked normalizer, so that the library does what it says. */
export function rewriteNormalizer(stage: unknown): unknown {
  if (!isObject(stage)) return stage;
  switch (stage["type"]) {
    case "Sequence":
      return { ...stage, normalizers: (stage["normalizers"] as unknown[]).map(rewriteNormalizer) };
    case "Replace":
      return withLiteralContent(stage);
    case "Lowercase":
      return afterSigma(stage);
    case "BertNormalizer":
      return stage["lowercase"] === true ? afterSigma(stage) : stage;
    default:
      return stage;
  }
}

/** A checked pre-tokenizer, so that the library does what it says. */
export function rewritePreTokenizer(stage: unknown): unknown {
  if (!isObject(stage)) return stage;
  switch (stage["type"]) {
    case "Sequence":
      return { ...stage, pretokenizers: (stage["pretokenizers"] as unknown[]).map(rewritePreTokenizer) };
    case "Metaspace":
      return splitAtWords({ ...stage, prepend_scheme: schemeOf(stage) });
    case "Replace":
      return withLiteralContent(stage);
    case "Digits":
      return split(String.raw`\p{N}`, stage["individual_digits"] === true ? "Isolated" : "Contiguous");
    case "Punctuation":
      return split(punctuation, stage["behavior"] ?? "Isolated");
    case "Whitespace":
      return piecesOf(String.raw`[${word}]+|[^${word}\p{White_Space}]+`);
    case "WhitespaceSplit":
      return whiteSpace;
    case "BertPreTokenizer":
      return { type: "Sequence", pretokenizers: [whiteSpace, split(punctuation, "Isolated")] };
    case "FixedLength":
      return piecesOf(String.raw`[\s\S]{1,${Math.min(Number(stage["length"] ?? 5), 1_000_000)}}`);
    case "CharDelimiterSplit":
      return {
        type: "Split",
        pattern: { String: stage["delimiter"] },
        behavior: "Removed",
        invert: false,
      };
    default:
      return stage;
  }
}

/** A normalizer that meets no capital sigma, the one letter whose lower case is another at the end of a word. */
function afterSigma(stage: JsonObject): JsonObject {
  const sigma = { type: "Replace", pattern: { String: "\u03a3" }, content: "\u03c3" };
  return { type: "Sequence", normalizers: [sigma, stage] };
}

const split = (regex: string, behavior: unknown, invert = false): JsonObject => {
  return { type: "Split", pattern: { Regex: regex }, behavior, invert };
};
/** The matches are the pieces. */
const piecesOf = (regex: string): JsonObject => split(regex, "Removed", true);

/** Classes as those of the Rust libraries. */
const word = String.raw`\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D}`;
const punctuation = "[\\p{P}!-\\/:-@\\[-`{-~]";
const whiteSpace = split(String.raw`\p{White_Space}`, "Removed");

function withLiteralContent(stage: JsonObject): JsonObject {
  return { ...stage, content: String(stage["content"]).replaceAll("$", "$$$$") };
}

/** A checked decoder, so that the library does what it says. */
export function rewriteDecoder(stage: unknown): unknown {
  if (!isObject(stage)) return stage;
  if (stage["type"] === "Sequence") {
    return { ...stage, decoders: (stage["decoders"] as unknown[]).map(rewriteDecoder) };
  }
  if (stage["type"] === "Replace") return withLiteralContent(stage);
  if (stage["type"] !== "Metaspace" || schemeOf(stage) !== "never") return stage;
  return { type: "Replace", pattern: { String: replacementOf(stage) }, content: " " };
}

function schemeOf(stage: JsonObject): unknown {
  return stage["prepend_scheme"] ?? (stage["add_prefix_space"] === false ? "never" : "always");
}

function replacementOf(stage: JsonObject): string {
  return (stage["replacement"] ?? "▁") as string;
}

/** Words begin at each replacement character. */
function splitAtWords(stage: JsonObject): JsonObject {
  const replacement = replacementOf(stage);
  if (stage["split"] === false) return stage;
  const character = replacement.replace(/[\\^$.*+?()[\]{}|/-]/, "\\$&");
  const words = piecesOf(`${character}[^${character}]*|[^${character}]+`);
  return { type: "Sequence", pretokenizers: [stage, words] };
}
