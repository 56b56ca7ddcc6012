// Contract: the tokenizer of a GGUF file gives the ids and texts of the tokenizer.json that it was made from: SentencePiece by scores,
// byte-level BPE by the name of its split; with bos where the file or its kind says so; and the tokens that end a text.
import { describe, expect, test } from "vitest";
import { inTurns } from "../../lib/eventLoop.js";
import { endTokenIds } from "../../lib/gguf/endTokens.js";
import { parseHeader } from "../../lib/gguf/header.js";
import { Metadata } from "../../lib/gguf/metadata.js";
import { preTokenizerNames, preTokenizerOf } from "../../lib/gguf/preTokenizers.js";
import { ggufTemplates } from "../../lib/gguf/templates.js";
import { ggufTokenizer } from "../../lib/gguf/tokenizer.js";
import { boundaryPatterns } from "../../lib/text/slicing.js";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import { encodeGguf, type GgufMetadata, type GgufValue } from "../support/gguf/format.js";
import { byteVocabulary, types } from "../support/gguf/tokenizers.js";
import { byteCharacters, sentencePieceJson } from "../text/tokenizerFiles.js";

const text = (value: string): GgufValue => ({ type: "string", value });
const u32 = (value: number): GgufValue => ({ type: "u32", value });
const bool = (value: boolean): GgufValue => ({ type: "bool", value });

function metadataOf(keys: GgufMetadata): Metadata {
  const file = encodeGguf(keys, []);
  return new Metadata("f.gguf", parseHeader(file, file.length, "f.gguf")!.metadata);
}

async function tokenizerOf(keys: GgufMetadata): Promise<Tokenizer> {
  const prepared = await inTurns(ggufTokenizer(metadataOf(keys)));
  return inTurns(Tokenizer.make(prepared!));
}

describe("SentencePiece", () => {
  const words = ["▁", "t", "h", "e", "n", "a", "▁t", "he", "▁the", "▁a", "then", "▁then", "en", "▁▁"];
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
  );
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, ...words];
  const keys: GgufMetadata = {
    "tokenizer.ggml.model": text("llama"),
    "tokenizer.ggml.tokens": { type: "strings", value: [...tokens, "<end_of_turn>", "  "] },
    "tokenizer.ggml.scores": {
      type: "f32s",
      value: [...tokens.map((_, id) => (id < 259 ? 0 : 258 - id)), 0, 0],
    },
    "tokenizer.ggml.token_type": {
      type: "i32s",
      value: [
        ...[types.unknown, types.control, types.control, ...bytes.map(() => types.byte)],
        ...[...words.map(() => types.normal), types.control, types.userDefined],
      ],
    },
    "tokenizer.ggml.bos_token_id": u32(1),
    "tokenizer.ggml.eos_token_id": u32(2),
  };
  // Of one score the longer left part comes first; "hen" is no token, so nothing makes "then" of "t" and "hen".
  const order = ["▁ t", "h e", "▁t he", "▁ a", "▁the n", "▁ then", "e n", "▁ ▁"];
  const json = sentencePieceJson(words, order);

  test("merges by scores", async () => {
    const [actual, expected] = [await tokenizerOf(keys), Tokenizer.parse(JSON.stringify(json), "f")];
    for (const one of ["the then an", "then", " the", "thé 🦊", "athen\n</s>the", "", "then then the a a"]) {
      expect(actual.encode(one)).toEqual(expected.encode(one));
      expect(actual.decode(actual.encode(one))).toBe(expected.decode(expected.encode(one)));
    }
    expect(actual.encode("a  a")).toContain(tokens.length + 1); // a token of the user comes first
  });

  test("without a space in front, without bos, with eos", async () => {
    const more = {
      "tokenizer.ggml.add_space_prefix": bool(false),
      "tokenizer.ggml.add_bos_token": bool(false),
      "tokenizer.ggml.add_eos_token": bool(true),
    };
    const tokenizer = await tokenizerOf({ ...keys, ...more });
    expect([...tokenizer.encode("the")]).toEqual([tokens.indexOf("t"), tokens.indexOf("he"), 2]);
    expect(tokenizer.decode([tokens.indexOf("▁the")])).toBe(" the");
  });

  test("ends at the tokens that the file names, and at those that say so", () => {
    expect(endTokenIds(metadataOf(keys))).toEqual([2, tokens.length]);
    const eot = { ...keys, "tokenizer.ggml.eot_token_id": u32(7) };
    expect(endTokenIds(metadataOf(eot))).toEqual([2, 7, tokens.length]);
    const harmony = byteVocabulary(["<|end|>", "<|return|>", "<|call|>"]);
    expect(endTokenIds(metadataOf(harmony)).sort()).toEqual([257, 258]);
    expect(endTokenIds(metadataOf(byteVocabulary(["<|end|>"])))).toEqual([256]);
  });

  test("gives its templates the texts of special tokens", () => {
    const { sources, specialTokens } = ggufTemplates(
      metadataOf({ ...keys, "tokenizer.chat_template": text("x"), "tokenizer.chat_template.rag": text("y") }),
    );
    expect([...sources]).toEqual([
      ["default", "x"],
      ["rag", "y"],
    ]);
    expect(specialTokens).toEqual({ bos_token: "<s>", eos_token: "</s>" });
  });
});

describe("byte-level BPE", () => {
  /** The tokens of a text: merges join two letters of one word. */
  async function wordsOf(pre: string, one: string): Promise<string[]> {
    const letters = "abcCs1234'_!$\u00e9\u00d0\u00bc";
    const joins = [...new Set([...`Ġ${letters}`])].flatMap((a) => [...letters].map((b) => `${a} ${b}`));
    const tokenizer = await tokenizerOf({
      ...byteVocabulary(["<s>"], { merges: joins }),
      ...{ "tokenizer.ggml.pre": text(pre), "tokenizer.ggml.add_bos_token": bool(false) },
    });
    return Array.from(tokenizer.encode(one), (id) => tokenizer.decode([id]));
  }

  test.each([
    ["qwen2", "ab 12 c!", ["ab", " ", "1", "2", " c", "!"]],
    ["llama-bpe", "ab 12 c!", ["ab", " ", "12", " c", "!"]],
    ["gpt-2", "ab 12 c!", ["ab", " 1", "2", " c", "!"]],
    ["refact", "ab 12 c!", ["ab", " ", "1", "2", " c", "!"]],
    ["qwen35", "ab 12 c!", ["ab", " ", "1", "2", " c", "!"]],
    ["exaone", "ab 12 c!", ["ab", " ", "1", "2", " c", "!"]],
    ["gpt-4o", "abC ab's 1234", ["ab", "C", " a", "b'", "s", " ", "12", "3", "4"]],
    ["tekken", "abC ab's 12", ["ab", "C", " a", "b", "'s", " ", "1", "2"]],
    ["kimi-k2", "abC ab's 1234", ["ab", "C", " a", "b'", "s", " ", "12", "3", "4"]],
    ["deepseek-v3", "ab 12 !c", ["ab", " ", "12", " !", "c"]],
    ["deepseek-llm", "ab 12!$ c\n\n", ["ab", " ", "1", "2", "!$", " c", "\n", "\n"]],
    ["deepseek-coder", "ab 12!$ c\n\n", ["ab", " ", "1", "2", "!", "$", " c", "\n", "\n"]],
    ["falcon", "ab 1234!c", ["ab", " ", "12", "3", "4", "!", "c"]],
    // Of the two bytes of this letter the second has a character that is a number.
    ["gpt-2", "\u043c", ["\u043c"]],
    ["falcon", "\u043c", ["\ufffd", "\ufffd"]],
  ])("%s cuts words as its models do", async (pre, one, words) => {
    expect(await wordsOf(pre, one)).toEqual(words);
  });

  test("kimi-k2 has Chinese apart from other letters, where gpt-4o has one word", async () => {
    const bytes = byteCharacters();
    const lastOf = bytes[0xad]!; // of the three bytes of the character below
    const numTokens = async (pre: string) => {
      const keys = byteVocabulary(["<s>"], { merges: [`${lastOf} a`] });
      return (await tokenizerOf({ ...keys, "tokenizer.ggml.pre": text(pre) })).encode("\u4e2da").length;
    };
    expect([await numTokens("kimi-k2"), await numTokens("gpt-4o")]).toEqual([4, 3]);
  });

  test("every name is of a split that is known, whose texts can be cut, but for four", () => {
    const known = new Set(boundaryPatterns.values());
    for (const name of preTokenizerNames) {
      if (["deepseek-llm", "deepseek-coder", "falcon", "kimi-k2"].includes(name)) continue;
      const regexes = [...JSON.stringify(preTokenizerOf(name)).matchAll(/"Regex":("(?:[^"\\]|\\.)*")/g)];
      const patterns = regexes.map(([, regex]) => JSON.parse(regex!) as string);
      expect(patterns.length === 0 || patterns.some((pattern) => known.has(pattern))).toBe(true);
    }
  });

  test("begins with bos where its kind does, unless the file says otherwise", async () => {
    const keys = { ...byteVocabulary(["<s>"]), "tokenizer.ggml.bos_token_id": u32(256) };
    const begins = async (more: GgufMetadata) => [...(await tokenizerOf({ ...keys, ...more })).encode("a")];
    expect(await begins({ "tokenizer.ggml.pre": text("qwen2") })).toEqual([97]);
    expect(await begins({ "tokenizer.ggml.pre": text("llama-bpe") })).toEqual([256, 97]);
    expect(
      await begins({ "tokenizer.ggml.pre": text("llama-bpe"), "tokenizer.ggml.add_bos_token": bool(false) }),
    ).toEqual([97]);
    expect(
      await begins({ "tokenizer.ggml.pre": text("qwen2"), "tokenizer.ggml.add_bos_token": bool(true) }),
    ).toEqual([256, 97]);
  });

  test("leaves out what only fills the vocabulary, and keeps the other unused tokens", async () => {
    const tokens = byteVocabulary([])["tokenizer.ggml.tokens"] as { readonly value: readonly string[] };
    const tokenizer = await tokenizerOf({
      ...byteVocabulary([]),
      "tokenizer.ggml.tokens": { type: "strings", value: [...tokens.value, "Ġx", "[PAD257]"] },
      "tokenizer.ggml.token_type": { type: "i32s", value: [...tokens.value.map(() => 1), 5, 5] },
      "tokenizer.ggml.eos_token_id": u32(0),
    });
    expect(tokenizer.vocabSize).toBe(257);
    expect(tokenizer.tokenId("Ġx")).toBe(256);
  });
});
