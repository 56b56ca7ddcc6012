// Contract: stages that cut and change texts do what the Rust library does with them, whatever the behavior, the script or the
// white space; expected pieces are reasoned from its source.
import { describe, expect, test } from "vitest";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import { byteLevelJson, sentencePieceJson } from "./tokenizerFiles.js";

/** The pieces of a text: every part of it, and each of those expected, is a token. */
function piecesOf(stages: object, text: string, expected: readonly string[]): readonly string[] {
  const vocab: Record<string, number> = { "[UNK]": 0 };
  const parts = Array.from(text, (_, from) =>
    Array.from(text, (_, to) => text.slice(from, to + 1)).slice(from),
  );
  for (const part of [...parts.flat(), ...expected]) vocab[part] ??= Object.keys(vocab).length;
  const model = { type: "WordPiece", unk_token: "[UNK]", continuing_subword_prefix: "\u0001", vocab };
  const json = { added_tokens: [], decoder: null, ...stages, model };
  const tokenizer = Tokenizer.parse(JSON.stringify(json), "t.json");
  return Array.from(tokenizer.encode(text), (id) => tokenizer.tokenText(id)!);
}

const dash = { String: "-" };
const split = (behavior: string, pattern: object = dash, invert = false): object => {
  return { pre_tokenizer: { type: "Split", pattern, behavior, invert } };
};
const bert = (lowercase: boolean): object => {
  return { type: "BertNormalizer", clean_text: true, handle_chinese_chars: true, lowercase };
};
const cut = (type: string, fields: object = {}): object => ({ pre_tokenizer: { type, ...fields } });

test.each<[string, object, string, string[]]>([
  ["Removed", split("Removed"), "-a-b--c", ["a", "b", "c"]],
  ["Removed, a pattern with a group", split("Removed", { Regex: "(-)" }), "a-b--c", ["a", "b", "c"]],
  ["Isolated", split("Isolated"), "-a-b--c", ["-", "a", "-", "b", "-", "-", "c"]],
  ["MergedWithPrevious", split("MergedWithPrevious"), "-a-b--c", ["-", "a-", "b-", "-", "c"]],
  ["MergedWithNext", split("MergedWithNext"), "a-b--c-", ["a", "-b", "-", "-c", "-"]],
  ["Contiguous", split("Contiguous"), "-a-b--c", ["-", "a", "-", "b", "--", "c"]],
  [
    "Isolated, inverted",
    split("Isolated", { Regex: "[a-z]+" }, true),
    "ab-b--c",
    ["ab", "-", "b", "--", "c"],
  ],
  ["Removed, inverted", split("Removed", { Regex: "[a-z]" }, true), "ab--c", ["a", "b", "c"]],
  ["a match of nothing", split("Isolated", { Regex: "" }), "ab", ["a", "b"]],
])("Split: %s", (_, stages, text, pieces) => {
  expect(piecesOf(stages, text, pieces)).toEqual(pieces);
});

test.each<[string, object, string, string[]]>([
  ["Punctuation", cut("Punctuation"), "a-!b..c¿", ["a", "-", "!", "b", ".", ".", "c", "¿"]],
  ["Punctuation, Removed", cut("Punctuation", { behavior: "Removed" }), "a-!b..c", ["a", "b", "c"]],
  [
    "Punctuation, Contiguous",
    cut("Punctuation", { behavior: "Contiguous" }),
    "a-!b..",
    ["a", "-!", "b", ".."],
  ],
  ["single digits", cut("Digits", { individual_digits: true }), "a12٣٤²", ["a", "1", "2", "٣", "٤", "²"]],
  ["digits", cut("Digits", { individual_digits: false }), "a12٣٤²b", ["a", "12٣٤²", "b"]],
  ["Whitespace", cut("Whitespace"), "café ünï,! 漢", ["café", "ünï", ",!", "漢"]],
  ["WhitespaceSplit", cut("WhitespaceSplit"), "a\u0085b\ufeffc d", ["a", "b\ufeffc", "d"]],
  ["BertPreTokenizer", cut("BertPreTokenizer"), "a\ufeffb!? c", ["a\ufeffb", "!", "?", "c"]],
  ["FixedLength", cut("FixedLength", { length: 2 }), "😀a\nb😀", ["😀a", "\nb", "😀"]],
  ["CharDelimiterSplit", cut("CharDelimiterSplit", { delimiter: "." }), "a.b..c", ["a", "b", "c"]],
  [
    "a replacement with a dollar",
    { normalizer: { type: "Replace", pattern: dash, content: "$&$$" } },
    "a-b",
    ["a$&$$b"],
  ],
  ["a sigma at the end", { normalizer: { type: "Lowercase" } }, "ΟΔΟΣ A", ["οδοσ a"]],
  ["a sigma of Bert", { normalizer: bert(true) }, "ΟΔΟΣ Ά", ["οδοσ α"]],
  ["a sigma that stays", { normalizer: bert(false) }, "ΟΔΟΣ A", ["ΟΔΟΣ A"]],
  [
    "Strip",
    { normalizer: { type: "Strip", strip_left: true, strip_right: true } },
    "\u0085 \ufeffa\n",
    ["\ufeffa"],
  ],
  ["Strip, left", { normalizer: { type: "Strip", strip_left: true, strip_right: false } }, " a ", ["a "]],
])("%s", (_, stages, text, pieces) => {
  expect(piecesOf(stages, text, pieces)).toEqual(pieces);
});

test("the byte level: a byte order mark is no white space, U+0085 is", () => {
  const words = ["ï»", "ï»¿", "ï»¿#", "Âħ", "ÂħÂħ"];
  const merges = ["ï »", "ï» ¿", "ï»¿ #", "Â ħ", "Âħ Âħ"];
  const base = byteLevelJson([]);
  const vocab = { ...base.model.vocab, ...Object.fromEntries(words.map((word, i) => [word, 256 + i])) };
  const json = { ...base, model: { ...base.model, vocab, merges } };
  const tokenizer = Tokenizer.parse(JSON.stringify(json), "t.json");
  expect([...tokenizer.encode("\ufeff#")]).toEqual([258]);
  expect([...tokenizer.encode("\u0085\u0085a")]).toEqual([259, 259, 97]); // the last one goes to the word's match
  expect([...tokenizer.encode("\u0085\u0085")]).toEqual([260]);
});

describe("text of bytes", () => {
  test("a byte order mark is text", () => {
    const tokenizer = Tokenizer.parse(JSON.stringify(sentencePieceJson(["a"], [])), "t.json");
    const ids = ["a", "<0xEF>", "<0xBB>", "<0xBF>", "a"].map((token) => tokenizer.tokenId(token)!);
    expect(tokenizer.decode(ids)).toBe("a\ufeffa");
  });

  test("a token with a character that stands for no byte is text, also inside a sequence", () => {
    const base = byteLevelJson(["éé"]);
    const vocab = { ...base.model.vocab, 日本: 257, "▁x": 258 };
    for (const decoder of [base.decoder, { type: "Sequence", decoders: [base.decoder, { type: "Fuse" }] }]) {
      const json = { ...base, decoder, model: { ...base.model, vocab } };
      const tokenizer = Tokenizer.parse(JSON.stringify(json), "t.json");
      const text = tokenizer.decode([97, 257, 98, 258, 256, 0xc3, 0xa9], { skipSpecialTokens: false });
      expect(text).toBe("a日本b▁xééé");
    }
  });
});

describe("what a vocabulary does not have", () => {
  const byteScores = Array.from({ length: 256 }, (_, byte) => {
    return [`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`, -20] as const;
  });
  const unigram = (fields: object, preTokenizer: object | null = null) => ({
    ...{ added_tokens: [], pre_tokenizer: preTokenizer, decoder: null },
    model: {
      type: "Unigram",
      unk_id: 0,
      vocab: [["<unk>", 0], ["a", -3], [" ", -3], ...byteScores],
      ...fields,
    },
  });
  const unknown = {
    type: "BPE",
    fuse_unk: true,
    unk_token: "<unk>",
    vocab: { "<unk>": 0, a: 1 },
    merges: [],
  };
  const words = { type: "WhitespaceSplit" };

  test.each<[string, object, string, string[]]>([
    [
      "Unigram: bytes",
      unigram({ byte_fallback: true }),
      "a€é",
      ["a", "<0xE2>", "<0x82>", "<0xAC>", "<0xC3>", "<0xA9>"],
    ],
    [
      "Unigram: bytes, no unknown token",
      unigram({ byte_fallback: true, unk_id: null }),
      "é",
      ["<0xC3>", "<0xA9>"],
    ],
    [
      "Unigram: a byte is missing",
      unigram({
        byte_fallback: true,
        vocab: [
          ["<unk>", 0],
          ["a", -3],
        ],
      }),
      "aéa",
      ["a", "<unk>", "a"],
    ],
    ["Unigram: fused", unigram({}), "a€☃a", ["a", "<unk>", "a"]],
    ["Unigram: words apart", unigram({}, words), "€é ☃ a", ["<unk>", "<unk>", "a"]],
    ["BPE: words apart", { ...unigram({}, words), model: unknown }, "€é ☃ a", ["<unk>", "<unk>", "a"]],
  ])("%s", (_, json, text, tokens) => {
    // What is checked at the beginning holds characters that not every vocabulary here has.
    const tokenizer = Tokenizer.parse(JSON.stringify(json), "t.json");
    expect(Array.from(tokenizer.encode(text), (id) => tokenizer.tokenText(id))).toEqual(tokens);
  });
});
