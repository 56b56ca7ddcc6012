/** The tiny checkpoints, and variants of their tokenizer, for the tests of lib/text. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { JsonObject } from "../../lib/checkpoint/json.js";

export const modelNames = ["tiny-moe", "tiny-draft"] as const;

export const modelFolder = (name: string): string =>
  fileURLToPath(new URL(`../../models/${name}`, import.meta.url));

export interface Golden {
  readonly prompt: string;
  readonly prompt_ids: readonly number[];
  readonly greedy_ids: readonly number[];
}

export const goldens = (name: string): readonly Golden[] =>
  JSON.parse(readFileSync(`${modelFolder(name)}/golden.json`, "utf8")) as Golden[];

export const tokenizerJson: string = readFileSync(`${modelFolder("tiny-moe")}/tokenizer.json`, "utf8");
export const tokenizerConfig = JSON.parse(
  readFileSync(`${modelFolder("tiny-moe")}/tokenizer_config.json`, "utf8"),
) as JsonObject;

/** A fresh copy of tiny-moe's tokenizer.json with some fields replaced. */
export function variant(fields: JsonObject): JsonObject {
  return { ...(JSON.parse(tokenizerJson) as JsonObject), ...fields };
}

/** The pre-tokenizer of byte-level models around one regular expression. */
export function splitThenBytes(regex: string): JsonObject {
  const split = { type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false };
  const bytes = { type: "ByteLevel", add_prefix_space: false, trim_offsets: false, use_regex: false };
  return { type: "Sequence", pretokenizers: [split, bytes] };
}

/** Bytes of every token, from the table of OpenAI's GPT-2 encoder.py: printable bytes stand for themselves. */
export function tokenBytes(): ReadonlyMap<number, Uint8Array> {
  const printable = (byte: number): boolean =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const byteOf = new Map<string, number>();
  let numOthers = 0;
  for (let byte = 0; byte < 256; byte++) {
    byteOf.set(String.fromCharCode(printable(byte) ? byte : 256 + numOthers++), byte);
  }
  const { model } = JSON.parse(tokenizerJson) as { model: { vocab: Record<string, number> } };
  return new Map(
    Object.entries(model.vocab).map(([token, id]) => [
      id,
      Uint8Array.from(token, (char) => byteOf.get(char)!),
    ]),
  );
}

/** A small SentencePiece-style tokenizer: "▁" for spaces, and a token for every byte, ids 0 to 255. */
export function byteFallbackJson(decoder: JsonObject): string {
  const byteTokens = Array.from({ length: 256 }, (_, byte) => {
    return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
  });
  const tokens = [...byteTokens, "▁", "▁a", "b", "▁▁", "\ufffd", "▁\ufffd"];
  return JSON.stringify({
    added_tokens: [{ id: tokens.length, content: "</s>", special: true }],
    normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" },
    pre_tokenizer: null,
    post_processor: null,
    decoder,
    model: {
      type: "BPE",
      byte_fallback: true,
      unk_token: null,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: [
        ["▁", "▁"],
        ["▁", "\ufffd"],
      ],
    },
  });
}
