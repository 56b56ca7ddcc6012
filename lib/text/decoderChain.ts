/**
 * Which decoders of tokenizer.json can be run on a window of the last tokens: all those of today's language models. With
 * the others (word pieces, CTC, chains that look across tokens) text is only known once all tokens are.
 */
import type { TokenizerDefinition } from "./tokenizerDefinition.js";

/** Each token by itself. */
const perToken: readonly unknown[] = ["Replace", "Strip"];
/** Bytes of neighbouring tokens become text; only an incomplete character at the end can change. */
const bytes: readonly unknown[] = ["ByteLevel", "ByteFallback"];

/**
 * True if, given at least one earlier token whose text is not empty, the text of the following tokens does not depend on
 * what came before it, and only an incomplete character at the end of the text (shown as one U+FFFD) can still change.
 */
export function decodesInWindows({ model, stages }: TokenizerDefinition): boolean {
  if ((model["end_of_word_suffix"] ?? "") !== "") return false;
  const decoders = [...stages.decoder];
  if (decoders.length === 1 && decoders[0]?.["type"] === "Metaspace") return true;
  const take = (types: readonly unknown[]): boolean => {
    if (!types.includes(decoders[0]?.["type"])) return false;
    decoders.shift();
    return true;
  };
  while (take(perToken));
  take(bytes);
  if (take(["Fuse"]) && (decoders[0]?.["stop"] ?? 0) === 0) take(["Strip"]);
  return decoders.length === 0;
}
