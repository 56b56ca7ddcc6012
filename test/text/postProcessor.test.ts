// Contract: around a text stand the ids that the post-processor states, whatever its names for them, and what it says is checked.
import { describe, expect, test } from "vitest";
import type { TextError } from "../../lib/errors.js";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import { byteLevelJson } from "./tokenizerFiles.js";

const parse = (postProcessor: object | null, config = {}) => {
  const json = byteLevelJson(["<s>", "</s>"], { post_processor: postProcessor });
  return Tokenizer.parse(JSON.stringify(json), "dir/tokenizer.json", config);
};
const text = { Sequence: { id: "A", type_id: 0 } };
const token = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
const template = (single: unknown, tokens: object = {}) => {
  return { type: "TemplateProcessing", single, pair: [], special_tokens: tokens };
};
const named = (name: string, ...ids: unknown[]) => ({ [name]: { id: name, ids, tokens: [] } });
const inSequence = (...processors: object[]) => ({ type: "Sequence", processors });

describe("ids", () => {
  test.each<[string, object | null, number[]]>([
    ["none", null, [97]],
    ["by the token of that name", template([token("<s>"), text]), [256, 97]],
    ["of a name that is no token", template([token("bos"), text], named("bos", 256)), [256, 97]],
    ["that the vocabulary gives to another", template([token("<s>"), text], named("<s>", 257)), [257, 97]],
    ["several", template([text, token("end")], named("end", 257, 10)), [97, 257, 10]],
    [
      "a name as of objects",
      template([token("__proto__"), text], JSON.parse('{"__proto__":{"ids":[256]}}') as object),
      [256, 97],
    ],
    ["the text twice", template([text, token("<s>"), text]), [97, 256, 97]],
    ["Bert", { type: "BertProcessing", sep: ["end", 257], cls: ["start", 256] }, [256, 97, 257]],
    ["Roberta", { type: "RobertaProcessing", sep: ["</s>", 256], cls: ["<s>", 257] }, [257, 97, 256]],
    [
      "one in another",
      inSequence(template([token("<s>"), text]), { type: "ByteLevel" }, template([text, token("</s>")])),
      [256, 97, 257],
    ],
  ])("%s", async (_, postProcessor, ids) => {
    const tokenizer = parse(postProcessor);
    expect([...tokenizer.encode("a")]).toEqual(ids);
    expect([...(await tokenizer.encodeAsync("a"))]).toEqual(ids);
    const numTexts = ids.filter((id) => id === 97).length;
    expect([...tokenizer.encode("a", { addSpecialTokens: false })]).toEqual(Array(numTexts).fill(97));
  });

  test.each([
    ["added", true, [32, 97]],
    ["not added", false, [97]],
  ])("a first space: tokenizer_config.json counts, %s", (_, wanted, ids) => {
    const json = byteLevelJson([], { pre_tokenizer: { type: "ByteLevel", add_prefix_space: !wanted } });
    const config = { add_prefix_space: wanted };
    expect([...Tokenizer.parse(JSON.stringify(json), "t.json", config).encode("a")]).toEqual(ids);
    const sequence = { type: "Sequence", pretokenizers: [{ type: "ByteLevel", add_prefix_space: true }] };
    const inside = byteLevelJson([], { pre_tokenizer: sequence });
    expect([...Tokenizer.parse(JSON.stringify(inside), "t.json", config).encode("a")]).toEqual([32, 97]);
  });
});

describe("malformed fields are named", () => {
  const cases: [string, object, string][] = [
    [
      "a text for an item",
      template(["<s>", text]),
      'post_processor.single[0]: expected an object, got "<s>"',
    ],
    ["null for an item", template([null]), "post_processor.single[0]: expected an object, got null"],
    [
      "null for a token",
      template([{ SpecialToken: null }]),
      "post_processor.single[0].SpecialToken: expected an object",
    ],
    [
      "the second text",
      template([{ Sequence: { id: "B" } }]),
      'post_processor.single[0].Sequence.id: expected "A", got "B"',
    ],
    [
      "an unknown token",
      template([token("<x>"), text]),
      'post_processor: expected a token of the vocabulary, got "<x>"',
    ],
    [
      "ids that are texts",
      template([text], named("a", "256")),
      'post_processor.special_tokens["a"].ids: expected an array of at most 64 token ids',
    ],
    ["a token without ids", template([text], { a: {} }), 'post_processor.special_tokens["a"].ids'],
    [
      "a pair without id",
      { type: "BertProcessing", sep: ["</s>"], cls: ["<s>", 256] },
      "post_processor.sep: expected [token, id]",
    ],
    [
      "texts of texts",
      inSequence(template(Array(9).fill(text)), template(Array(9).fill(text))),
      "post_processor: expected stages that make a text at most 64 times longer, got 81",
    ],
    ["another type", { type: "Nope" }, "post_processor.type: expected Sequence, BertProcessing"],
    ["another type inside", inSequence({}), "post_processor.processors[0].type: expected Sequence"],
  ];
  const others: [string, object, string][] = [
    [
      "a flag",
      { pre_tokenizer: { type: "ByteLevel", add_prefix_space: "false" } },
      "pre_tokenizer.add_prefix_space: expected true or false",
    ],
    [
      "a flag of a token",
      { added_tokens: [{ id: 1, content: "a", lstrip: 1 }] },
      "added_tokens[0].lstrip: expected true or false, got 1",
    ],
    [
      "a behavior",
      { pre_tokenizer: { type: "Split", pattern: { String: "a" }, behavior: "removed" } },
      "pre_tokenizer.behavior: expected Removed, Isolated",
    ],
    ["a decoder", { decoder: {} }, "decoder.type: expected Sequence, BPEDecoder"],
    [
      "a scheme",
      { pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "First" } },
      'pre_tokenizer.prepend_scheme: expected always, never, first, got "First"',
    ],
    [
      "a scheme of a decoder",
      { decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: 1 } },
      "decoder.prepend_scheme: expected always, never, first, got 1",
    ],
    [
      "no character",
      { decoder: { type: "Metaspace", replacement: "" } },
      'decoder.replacement: expected one character, got ""',
    ],
    [
      "a prefix of pieces",
      { decoder: { type: "WordPiece", prefix: 5, cleanup: true } },
      "decoder.prefix: expected a string of at most 64 characters, got 5",
    ],
    [
      "no end of words",
      { decoder: { type: "BPEDecoder" } },
      "decoder.suffix: expected a string of at most 64 characters, got nothing",
    ],
    [
      "a token that is none",
      { decoder: { type: "CTC", pad_token: "<s>", word_delimiter_token: {}, cleanup: true } },
      "decoder.word_delimiter_token: expected a string of at most 64 characters, got {...}",
    ],
    [
      "two characters",
      { decoder: { type: "Strip", content: "ab" } },
      'decoder.content: expected one character, got "ab"',
    ],
  ];
  const model = byteLevelJson([]).model;
  const models: [string, object, string][] = [
    ["fuse_unk", { fuse_unk: {} }, "model.fuse_unk: expected true or false, got {...}"],
    [
      "a prefix of BPE",
      { continuing_subword_prefix: "##" },
      'model.continuing_subword_prefix: expected none, with BPE, got "##"',
    ],
    ["merges of numbers", { merges: [[1, 2]] }, "model.merges[0]: expected two texts, got [1, 2]"],
    ["merges of three", { merges: [["a", "b", "c"]] }, "model.merges[0]: expected two texts"],
    [
      "merges of both forms",
      { merges: [["a", "b"], "a b"], vocab: { ...model.vocab, ab: 256 } },
      'model.merges[1]: expected two texts, got "a b"',
    ],
    ["merges without space", { merges: ["ab"] }, 'model.merges[0]: expected a text with one space, got "ab"'],
    [
      "merges with two",
      { merges: ["#version: 0.2 x", "a b c"] },
      'model.merges[1]: expected a text with one space, got "a b c"',
    ],
    [
      "merges of what is no token",
      { merges: ["a b"] },
      'model.merges[0]: expected tokens of the vocabulary, got "a b"',
    ],
    [
      "an infinite score",
      { type: "Unigram", vocab: [["a", 1e999]] },
      "model.vocab[0]: expected [token, score]",
    ],
  ];
  test.each([
    ...cases.map(([name, post_processor, message]) => [name, { post_processor }, message] as const),
    ...others,
    ...models.map(([name, fields, message]) => [name, { model: { ...model, ...fields } }, message] as const),
  ])("%s", (_, fields, message) => {
    const json = JSON.stringify(byteLevelJson(["<s>", "</s>"], fields)).replace("null]]", "1e999]]");
    const read = () => Tokenizer.parse(json, "dir/tokenizer.json");
    expect(read).toThrow(
      expect.objectContaining<Partial<TextError>>({ code: "ERR_TOKENIZER", file: "dir/tokenizer.json" }),
    );
    expect(read).toThrow(message);
  });
});
