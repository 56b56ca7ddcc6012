/**
 * Rewrites stages of tokenizer.json where the JavaScript library knows less than the Rust library that tokenizers were trained
 * with. Metaspace: it joins words that `split` keeps apart, reads no `add_prefix_space`, the old name of `prepend_scheme`, and
 * its decoder drops a first space also where none is put. ByteLevel: it knows added tokens only when it is the only decoder.
 */
import { isObject, type JsonObject } from "../checkpoint/json.js";

/** A checked pre-tokenizer, so that the library does what it says. */
export function rewritePreTokenizer(stage: unknown): unknown {
  if (!isObject(stage)) return stage;
  if (stage["type"] === "Sequence") {
    return { ...stage, pretokenizers: (stage["pretokenizers"] as unknown[]).map(rewritePreTokenizer) };
  }
  return stage["type"] === "Metaspace" ? splitAtWords({ ...stage, prepend_scheme: schemeOf(stage) }) : stage;
}

/** A checked decoder, so that the library does what it says. */
export function rewriteDecoder(stage: unknown): unknown {
  if (!isObject(stage)) return stage;
  if (stage["type"] === "Sequence") {
    const decoders = (stage["decoders"] as unknown[]).map(rewriteDecoder);
    const [first, ...others] = decoders.filter((member) => !isObject(member) || member["type"] !== "Fuse");
    const isBytesOnly = isObject(first) && first["type"] === "ByteLevel" && others.length === 0;
    return isBytesOnly ? first : { ...stage, decoders };
  }
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
  if (stage["split"] === false || [...replacement].length !== 1) return stage;
  const character = replacement.replace(/[\\^$.*+?()[\]{}|/-]/, "\\$&");
  const pattern = { Regex: `${character}[^${character}]*|[^${character}]+` };
  // The library gives the matches of an inverted pattern.
  const split = { type: "Split", pattern, behavior: "Removed", invert: true };
  return { type: "Sequence", pretokenizers: [stage, split] };
}
