/** tokenizer.json files of the usual kinds, small enough to know every id. */
import type { Tokenizer } from "../../lib/text/tokenizer.js";

export const addedToken = (id: number, content: string, more: object = {}) => ({
  ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
  ...more,
});

/** Printable characters that stand for the bytes, by byte; from the table of OpenAI's GPT-2 encoder.py. */
export function byteCharacters(): readonly string[] {
  const isPrintable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let numOthers = 0;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(isPrintable(byte) ? byte : 256 + numOthers++),
  );
}

/** Byte-level BPE as Qwen's: ids 0 to 255 are the bytes, then come the special tokens. */
export function byteLevelJson(specials: readonly string[], fields: object = {}) {
  const vocab = Object.fromEntries(byteCharacters().map((character, byte) => [character, byte]));
  return {
    added_tokens: specials.map((content, i) => addedToken(256 + i, content)),
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel" },
    model: { type: "BPE", unk_token: null, vocab, merges: [] },
    ...fields,
  };
}

/** Decoder of Llama 2's tokenizer.json. */
export const llamaDecoder = {
  type: "Sequence",
  decoders: [
    { type: "Replace", pattern: { String: "▁" }, content: " " },
    { type: "ByteFallback" },
    { type: "Fuse" },
    { type: "Strip", content: " ", start: 1, stop: 0 },
  ],
};

/** SentencePiece BPE as Llama 2's: <unk> <s> </s>, the 256 bytes from id 3 on, then these words. */
export function sentencePieceJson(words: readonly string[], merges: readonly string[], fields: object = {}) {
  const bytes = Array.from({ length: 256 }, (_, byte) => {
    return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
  });
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, ...words];
  const frame = [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }];
  return {
    added_tokens: ["<unk>", "<s>", "</s>"].map((content, id) => addedToken(id, content)),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "Prepend", prepend: "▁" },
        { type: "Replace", pattern: { String: " " }, content: "▁" },
      ],
    },
    pre_tokenizer: null,
    post_processor: { type: "TemplateProcessing", single: frame, pair: [], special_tokens: {} },
    decoder: llamaDecoder,
    model: {
      ...{ type: "BPE", unk_token: "<unk>", fuse_unk: true, byte_fallback: true, merges },
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    },
    ...fields,
  };
}

/** Whether a text has a special token in it. */
export const spellsSpecial = (tokenizer: Tokenizer, text: string): boolean =>
  Array.from(text, (_, at) => tokenizer.specialAt(text, at)).some((token) => token !== undefined);
