// Contract: stages do what the Rust library does with them; expected tokens and texts are reasoned from its source.
import { describe, expect, test } from "vitest";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import { byteLevelJson, sentencePieceJson } from "./tokenizerFiles.js";

const words = ["▁", "a", "b", "▁a", "▁▁", "ab", "▁ab", "a▁", "▁▁a", "-", "-a"];
const merges = ["▁ ▁", "a b", "▁ a", "▁ ab", "▁▁ a", "a ▁", "- a"];

function tokenizerOf(
  preTokenizer: object,
  decoder: object = { type: "Metaspace", replacement: "▁" },
): Tokenizer {
  const fields = { normalizer: null, post_processor: null, pre_tokenizer: preTokenizer, decoder };
  return Tokenizer.parse(JSON.stringify(sentencePieceJson(words, merges, fields)), "t.json");
}

const metaspace = (fields: object) => ({ type: "Metaspace", replacement: "▁", ...fields });
const inSequence = (stage: object) => ({
  type: "Sequence",
  pretokenizers: [{ type: "Sequence", pretokenizers: [stage] }],
});

describe("Metaspace: tokens", () => {
  test.each<[string, object, string, string[]]>([
    ["words are kept apart", metaspace({ prepend_scheme: "always" }), "a  ab", ["▁a", "▁", "▁ab"]],
    [
      "words are kept apart by name",
      metaspace({ prepend_scheme: "always", split: true }),
      "a ab",
      ["▁a", "▁ab"],
    ],
    ["words are joined", metaspace({ prepend_scheme: "always", split: false }), "a  a", ["▁a", "▁▁a"]],
    ["at the end", metaspace({ prepend_scheme: "never" }), "a  ", ["a", "▁", "▁"]],
    ["at the start", metaspace({ prepend_scheme: "never" }), "  a", ["▁", "▁a"]],
    ["a newline is no border", metaspace({ prepend_scheme: "never" }), "a\nab", ["a", "<0x0A>", "ab"]],
    ["the old name: no space", metaspace({ add_prefix_space: false }), "a a", ["a", "▁a"]],
    ["the old name: a space", metaspace({ add_prefix_space: true }), "a a", ["▁a", "▁a"]],
    ["the new name wins", metaspace({ add_prefix_space: true, prepend_scheme: "never" }), "a a", ["a", "▁a"]],
    ["neither: a space", metaspace({}), "a a", ["▁a", "▁a"]],
    ["inside sequences", inSequence(metaspace({ add_prefix_space: false })), "a  a", ["a", "▁", "▁a"]],
    [
      "another character",
      { type: "Metaspace", replacement: "-", prepend_scheme: "never" },
      "b a",
      ["b", "-a"],
    ],
  ])("%s", (_, stage, text, tokens) => {
    const tokenizer = tokenizerOf(stage);
    expect([...tokenizer.encode(text)].map((id) => tokenizer.tokenText(id))).toEqual(tokens);
  });

  test("an empty text", () => {
    expect([...tokenizerOf(metaspace({})).encode("")]).toEqual([]);
  });
});

describe("Metaspace: text", () => {
  test.each<[string, object, string]>([
    ["a first space is dropped where one is put", metaspace({ prepend_scheme: "always" }), "a a"],
    ["a first space is dropped where one is put first", metaspace({ prepend_scheme: "first" }), "a a"],
    ["a first space stays where none is put", metaspace({ prepend_scheme: "never" }), " a a"],
    ["the old name", metaspace({ add_prefix_space: false }), " a a"],
    ["inside a sequence", { type: "Sequence", decoders: [metaspace({ prepend_scheme: "never" })] }, " a a"],
  ])("%s", (_, decoder, text) => {
    const tokenizer = tokenizerOf(metaspace({}), decoder);
    const id = tokenizer.tokenId("▁a")!;
    expect(tokenizer.decode([id, id])).toBe(text);
  });
});

test.each<[string, object]>([
  ["alone", { type: "ByteLevel" }],
  ["in a sequence", { type: "Sequence", decoders: [{ type: "ByteLevel" }] }],
  ["in two", { type: "Sequence", decoders: [{ type: "Sequence", decoders: [{ type: "ByteLevel" }] }] }],
  ["before Fuse", { type: "Sequence", decoders: [{ type: "ByteLevel" }, { type: "Fuse" }] }],
])("ByteLevel: added tokens have their text, %s", (_, decoder) => {
  const tokenizer = Tokenizer.parse(
    JSON.stringify(byteLevelJson(["<｜User｜>", "a b"], { decoder })),
    "t.json",
  );
  expect(tokenizer.decode([0x61, 256, 257, 0x62], { skipSpecialTokens: false })).toBe("a<｜User｜>a bb");
});
