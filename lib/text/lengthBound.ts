/**
 * How few tokens a text can have, known without tokenizing it: every token stands for a bounded number of bytes. Only for
 * tokenizers for which that is proven below.
 *
 * Proof. Let the weight of a text be its length in UTF-8, without white space where an added token strips its neighbourhood.
 * - Splitting at added tokens removes nothing else than that white space.
 * - NFC makes of four characters (16 bytes) at least one of two bytes, of one character (4 bytes) at least one of one byte, so
 *   at least an eighth of the weight stays; of ASCII everything. The other stages that are let through remove nothing, and
 *   replace nothing by something shorter or by white space.
 * - The byte level writes one character for every byte.
 * - The model gives each character, if it must each of its bytes, to a token: merges join what lies side by side, and what the
 *   vocabulary does not have becomes an unknown token or byte tokens, never nothing. All it joins is in the vocabulary.
 * So the text has at least weight / (bytes of the longest token) tokens.
 */
import type { JsonObject } from "../checkpoint/json.js";
import type { BpeTables } from "./bpeTables.js";
import type { TokenizerDefinition } from "./tokenizerDefinition.js";

/** @returns a number of tokens that the text certainly has */
export type LengthBound = (text: string) => number;

const nfcShrinks = 8;
/** A unit of UTF-16 has at most three bytes in UTF-8, and an unknown character four. */
const mostBytesPerUnit = 3;
const unknownBytes = 4;
/** More than what any stage takes for white space. */
const anySpace = /[\s\p{White_Space}]+/gu;
/** White space is looked for in this many UTF-16 units at most: a part of the text is a bound as well. */
const maxSearched = 100_000;

/**
 * @param tables of the model
 * @param addedTexts by which added tokens are found
 * @returns undefined if nothing is known of this tokenizer
 */
export function lengthBound(
  { model, stages, addedTokens }: TokenizerDefinition,
  config: JsonObject,
  tables: BpeTables,
  addedTexts: readonly string[],
): LengthBound | undefined {
  if (config["remove_space"] === true || config["do_lowercase_and_remove_accent"] === true) return undefined;
  const strips = addedTokens.some(({ lstrip, rstrip }) => lstrip || rstrip);
  if (!stages.normalizer.every((stage) => keepsText(stage, strips))) return undefined;
  if (!stages.pre_tokenizer.every((stage) => keepsText(stage, strips))) return undefined;
  // Without the byte level a vocabulary of bytes does not know every character.
  const isByteLevel = stages.pre_tokenizer.at(-1)?.["type"] === "ByteLevel";
  const knowsAll = isByteLevel || model["byte_fallback"] === true || typeof model["unk_token"] === "string";
  if (!tables.losesNothing || !knowsAll || model["fuse_unk"] === true) return undefined;

  const longestToken = tables.longestToken * (isByteLevel ? 1 : mostBytesPerUnit);
  const longest = addedTexts.reduce((most, text) => Math.max(most, Buffer.byteLength(text)), longestToken);
  const numNfc = stages.normalizer.filter((stage) => stage["type"] === "NFC").length;
  const keepsAscii = numNfc === stages.normalizer.length;
  return (text) => {
    const counted = strips ? text.slice(0, maxSearched).replace(anySpace, "") : text;
    const bytes = Buffer.byteLength(counted);
    const isAscii = bytes === counted.length;
    const shrinks = keepsAscii && isAscii ? 1 : nfcShrinks ** numNfc;
    return Math.ceil(bytes / (Math.max(longest, unknownBytes) * shrinks));
  };
}

/** True if the stage neither removes text nor replaces it by less, nor by white space if that matters. */
function keepsText(stage: JsonObject, spacesMatter: boolean): boolean {
  switch (stage["type"]) {
    case "NFC":
    case "Prepend":
    case "ByteLevel":
    case "Digits":
      return true;
    case "Replace": {
      const { String: text } = stage["pattern"] as JsonObject;
      const content = String(stage["content"]);
      if (typeof text !== "string" || Buffer.byteLength(content) < Buffer.byteLength(text)) return false;
      return !content.includes("$") && !(spacesMatter && content.search(anySpace) >= 0);
    }
    case "Split":
      return stage["invert"] !== true && !/^removed$/i.test(String(stage["behavior"]));
    case "Metaspace":
      return (stage["str_rep"] || (stage["replacement"] ?? "▁")) !== "";
    default:
      return false;
  }
}
