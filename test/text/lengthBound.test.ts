// Contract: no text has fewer tokens than leastTokens says, whatever normalizers and added tokens do; where nothing is known
// it says 0.
import { describe, expect, test } from "vitest";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import type { JsonObject } from "../../lib/checkpoint/json.js";
import { Random } from "../support/random.js";
import { byteFallbackJson, tokenizerJson, variant } from "./checkpoint.js";

const parse = (json: JsonObject, config = {}): Tokenizer =>
  Tokenizer.parse(JSON.stringify(json), "t.json", config);
const { added_tokens: addedTokens, model } = JSON.parse(tokenizerJson) as {
  added_tokens: object[];
  model: { vocab: Record<string, number>; merges: unknown[] };
};
const added = (token: object): JsonObject =>
  variant({ added_tokens: [...addedTokens, { id: 1024, content: "<|s|>", special: true, ...token }] });
const normalizer = (...normalizers: object[]): JsonObject =>
  variant({ normalizer: { type: "Sequence", normalizers } });
const replace = (from: string, content: string): object => ({
  type: "Replace",
  pattern: { String: from },
  content,
});
const sentencePiece = JSON.parse(byteFallbackJson({ type: "Fuse" })) as JsonObject;

/** What stages drop, shorten, join and repeat. */
const pieces = [
  ..."aé字\u212a\u1fef\u1fbe\u0308\u0301\u0344\u1100\u1161\u11a8😀\ud800_ \n\t",
  ..." e\u0301 한",
  "<|s|>",
  " <|s|>   ",
  "<|im_end|>",
  "          ",
  "the quick fox",
  "~~",
];

const bounded: readonly (readonly [string, Tokenizer])[] = [
  ["tiny-moe", parse(variant({}))],
  ["no normalizer", parse(variant({ normalizer: null }))],
  ["a token that strips left", parse(added({ lstrip: true }))],
  ["a token that strips right, normalized", parse(added({ rstrip: true, normalized: true }))],
  ["a long added token", parse(added({ content: " ".repeat(100) }))],
  ["spaces that grow", parse(normalizer(replace(" ", "▁"), { type: "Prepend", prepend: "▁" }))],
  ["letters that become marks", parse(normalizer(replace("_", "\u0301"), { type: "NFC" }))],
  ["SentencePiece", parse(sentencePiece)],
];

describe.each(bounded)("%s", (_, tokenizer) => {
  test("never says too much", () => {
    const random = new Random(11);
    for (let i = 0; i < 400; i++) {
      const few = Array.from(
        { length: random.integer(1, 4) },
        () => pieces[random.integer(0, pieces.length)]!,
      );
      const text = Array.from(
        { length: random.integer(1, 300) },
        () => few[random.integer(0, few.length)],
      ).join("");
      const numTokens = tokenizer.encode(text, { addSpecialTokens: false }).length;
      if (tokenizer.leastTokens(text) > numTokens)
        expect({ text, least: tokenizer.leastTokens(text) }).toBe(numTokens);
    }
  });

  test("grows with the text", () => {
    for (const piece of ["x", "漢", "😀"]) {
      expect(tokenizer.leastTokens(piece.repeat(100_000))).toBeGreaterThan(100);
    }
    expect(tokenizer.leastTokens("")).toBe(0);
  });
});

test.each<[string, JsonObject, object]>([
  ["a normalizer that removes", normalizer({ type: "Strip" }), {}],
  ["a normalizer that shortens", normalizer(replace("aa", "")), {}],
  ["a replacement that may be empty", normalizer(replace("a", "$'")), {}],
  ["text that is dropped", variant({ pre_tokenizer: { type: "WhitespaceSplit" } }), {}],
  ["white space that is collapsed", variant({}), { remove_space: true }],
  ["unknown tokens that join", variant({ model: { ...model, fuse_unk: true } }), {}],
  ["bytes without token", variant({ model: { ...model, vocab: without(model.vocab, "ÿ") } }), {}],
])("says nothing: %s", (_, json, config) => {
  expect(parse(json, config).leastTokens("a".repeat(1_000_000))).toBe(0);
});

function without(vocab: Record<string, number>, token: string): Record<string, number> {
  return Object.fromEntries(Object.entries(vocab).filter(([each]) => each !== token));
}
