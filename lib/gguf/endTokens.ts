/**
 * Tokens that end a generation: those that the file names by id, and those whose text says so, as converters name one alone and chat
 * models have several.
 *
 * Source: `llama_vocab::impl::load` of llama.cpp.
 */
import type { Metadata } from "./metadata.js";

const named = ["eos_token_id", "eot_token_id", "eom_token_id"];

const texts: ReadonlySet<string> = new Set([
  ...["<|eot_id|>", "<|eom_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|endoftext|>"],
  ...[
    "<|end_of_text|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<｜end▁of▁sentence｜>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
  ],
]);

const longestBytes = Math.max(...Array.from(texts, (text) => Buffer.byteLength(text)));

/** @returns whatever the file says: ids are checked by who reads them */
export function endTokenIds(metadata: Metadata): unknown[] {
  const ids = named.map((key) => metadata.value(`tokenizer.ggml.${key}`)).filter((id) => id !== undefined);
  const found = new Map(metadata.indicesOf("tokenizer.ggml.tokens", texts, longestBytes));
  // gpt-oss ends each of its messages with <|end|>, and its turn with one of the other two.
  if (found.has("<|return|>") && found.has("<|call|>")) found.delete("<|end|>");
  return [...new Set([...ids, ...found.values()])];
}
