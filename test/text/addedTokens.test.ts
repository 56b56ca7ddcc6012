// Contract: added tokens are cut out of a text as Hugging Face's Rust library does it (added_vocabulary.rs): expected ids are
// reasoned from its rules. Everything between them is tokenized as the JavaScript library does it.
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { describe, expect, test } from "vitest";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import { Random } from "../support/random.js";
import { tokenizerJson } from "./checkpoint.js";
import { addedToken, byteLevelJson, sentencePieceJson } from "./tokenizerFiles.js";

const parse = (json: object, config = {}): Tokenizer =>
  Tokenizer.parse(JSON.stringify(json), "t.json", config);

type Flags = Readonly<Record<string, boolean>>;

/** Byte-level, every byte a token of its own; added tokens have the ids from 256 on. */
const withTokens = (tokens: readonly (readonly [string, Flags])[], fields = {}, config = {}): Tokenizer =>
  parse(
    byteLevelJson([], {
      added_tokens: tokens.map(([content, flags], i) => addedToken(256 + i, content, flags)),
      ...fields,
    }),
    config,
  );

/** What the text becomes: texts are bytes, numbers are the added tokens. */
type Expected = readonly (string | number)[];

const idsOf = (expected: Expected): number[] =>
  expected.flatMap((part) => (typeof part === "number" ? [256 + part] : [...Buffer.from(part)]));

interface Case {
  readonly name: string;
  readonly tokens: readonly (readonly [string, Flags])[];
  readonly fields?: object;
  readonly config?: object;
  readonly texts: readonly (readonly [string, Expected])[];
}

const plain = {};
const word = { single_word: true };
const [left, right, both] = [{ lstrip: true }, { rstrip: true }, { lstrip: true, rstrip: true }];
const normal = { normalized: true };
const lower = { normalizer: { type: "Lowercase" } };

const cases: readonly Case[] = [
  {
    name: "anywhere: inside words, side by side, nothing but tokens",
    tokens: [["<m>", plain]],
    texts: [
      ["a<m>b", ["a", 0, "b"]],
      ["<m><m>", [0, 0]],
      ["<m", ["<m"]],
      ["<<m>>", ["<", 0, ">"]],
      ["", []],
    ],
  },
  {
    name: "white space stays where nothing strips it",
    tokens: [["<m>", plain]],
    texts: [[" a <m> b ", [" a ", 0, " b "]]],
  },
  {
    name: "the leftmost, and there the longest",
    tokens: [
      ["ab", plain],
      ["abc", plain],
      ["bcd", plain],
    ],
    texts: [
      ["abcd", [1, "d"]],
      ["abd", [0, "d"]],
      ["xbcd", ["x", 2]],
      ["aabcbcd", ["a", 1, 2]],
    ],
  },
  {
    name: "a single word: beside white space, marks and the ends",
    tokens: [["<m>", word]],
    texts: [
      ["<m>", [0]],
      ["a <m> b", ["a ", 0, " b"]],
      ["a-<m>, b", ["a-", 0, ", b"]],
      ["(<m>)", ["(", 0, ")"]],
      ["🦊<m>🦊", ["🦊", 0, "🦊"]],
    ],
  },
  {
    name: "a single word: not beside letters, digits, underscores, accents and joiners, on either side",
    tokens: [["<m>", word]],
    texts: [
      ["a<m>", ["a<m>"]],
      ["<m>a", ["<m>a"]],
      ["1<m>", ["1<m>"]],
      ["<m>٣", ["<m>٣"]],
      ["<m>_", ["<m>_"]],
      ["é<m>", ["é<m>"]],
      ["e\u0301<m>", ["e\u0301<m>"]],
      ["<m>字", ["<m>字"]],
      ["\u200d<m>", ["\u200d<m>"]],
      ["𝒜<m>", ["𝒜<m>"]],
      ["<m>𝒜", ["<m>𝒜"]],
    ],
  },
  {
    name: "a single word: one that is none hides what it overlaps",
    tokens: [
      ["ab", word],
      ["b<", plain],
    ],
    texts: [
      ["xab<", ["xab<"]],
      ["xb<", ["x", 1]],
      ["ab b<", [0, " ", 1]],
    ],
  },
  {
    name: "a single word: another token beside it counts as its text",
    tokens: [
      ["<m>", word],
      ["ab", plain],
      ["<n>", plain],
    ],
    texts: [
      ["ab<m>", [1, "<m>"]],
      ["<n><m>", [2, 0]],
      ["<m><m>", [0, 0]],
    ],
  },
  {
    name: "lstrip takes white space of every kind, but no other invisible character",
    tokens: [["<m>", left]],
    texts: [
      ["a  <m>  b", ["a", 0, "  b"]],
      ["a\t\n\u00a0\u2003\u3000\u0085<m>", ["a", 0]],
      ["  <m>", [0]],
      ["a\ufeff<m>", ["a\ufeff", 0]],
      ["a\u200b <m>", ["a\u200b", 0]],
    ],
  },
  {
    name: "rstrip",
    tokens: [["<m>", right]],
    texts: [
      ["a  <m>  b", ["a  ", 0, "b"]],
      ["<m>\t\n\u00a0\u2003\u3000\u0085a", [0, "a"]],
      ["<m>  ", [0]],
      ["<m>\ufeff", [0, "\ufeff"]],
    ],
  },
  {
    name: "both sides, in a row: the space belongs to the first",
    tokens: [["<m>", both]],
    texts: [
      [" <m> <m> ", [0, 0]],
      ["a <m> b <m> c", ["a", 0, "b", 0, "c"]],
    ],
  },
  {
    name: "lstrip stops at the token before, rstrip does not stop at a token of white space",
    tokens: [
      ["<m>", left],
      ["\n", plain],
      ["<n>", right],
    ],
    texts: [
      ["a\n<m>", ["a", 1, 0]],
      ["a\n <m>", ["a", 1, 0]],
      ["<n>\nb", [2, 1, "b"]],
    ],
  },
  {
    name: "a single word that strips: white space is looked at first",
    tokens: [["<m>", { ...both, ...word }]],
    texts: [
      ["a <m> b", ["a", 0, "b"]],
      ["a<m> b", ["a<m> b"]],
    ],
  },
  {
    name: "normalized: found in normalized text, by its own normalized text",
    tokens: [
      ["<M>", normal],
      ["<N>", plain],
    ],
    fields: lower,
    texts: [
      ["A<m>B<M>", ["a", 0, "b", 0]],
      ["A<n>B<N>", ["a<n>b", 1]],
    ],
  },
  {
    name: "normalized: what is not normalized is cut out first, however short",
    tokens: [
      ["abc", normal],
      ["bc", plain],
    ],
    texts: [
      ["abc", ["a", 1]],
      ["abcbc", ["a", 1, 1]],
    ],
  },
  {
    name: "normalized: without a normalizer, and with flags",
    tokens: [["<M>", { ...normal, ...both, ...word }]],
    texts: [
      ["a <M> b", ["a", 0, "b"]],
      ["a<M>", ["a<M>"]],
      ["<m>", ["<m>"]],
    ],
  },
  {
    name: "normalized: special tokens are not unless they say so, others are",
    tokens: [
      ["<M>", { special: true, normalized: null as never }],
      ["<N>", { special: false, normalized: null as never }],
    ],
    fields: lower,
    texts: [["<m><n>", ["<m>", 1]]],
  },
  {
    name: "split_special_tokens: special tokens are text, others are not",
    tokens: [
      ["<m>", plain],
      ["<n>", { special: false }],
    ],
    config: { split_special_tokens: true },
    texts: [["<m><n>", ["<m>", 1]]],
  },
];

describe.each(cases)("$name", ({ tokens, fields, config, texts }) => {
  const tokenizer = withTokens(tokens, fields, config);
  test.each(texts)("%j", async (text, expected) => {
    expect([...tokenizer.encode(text)]).toEqual(idsOf(expected));
    expect([...(await tokenizer.encodeAsync(text))]).toEqual(idsOf(expected));
  });
});

test("a long text in pieces: the same tokens", async () => {
  const parts = ["ab", " ", "\n", "<m>", "<n>", "<w>", "字", "。", "x"];
  const random = new Random(8);
  const text = Array.from({ length: 3000 }, () => parts[random.integer(0, parts.length)]).join("");
  for (const flags of [plain, left, right, both, word, normal]) {
    const tokenizer = withTokens([
      ["<m>", flags],
      ["<n>", plain],
      ["<w>", { ...flags, ...word }],
    ]);
    expect(await tokenizer.encodeAsync(text)).toEqual(tokenizer.encode(text));
  }
});

describe("Metaspace puts a space before the first token only", () => {
  const words = ["▁", "a", "▁a"];
  const fields = (scheme: string) => ({
    normalizer: null,
    pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: scheme, split: false },
    post_processor: null,
    added_tokens: [addedToken(1, "<s>"), addedToken(262, "<n>", { normalized: true })],
  });
  const [a, spaceA] = [260, 261];
  test.each<[string, string, number[]]>([
    ["first", "a", [spaceA]],
    ["first", "<s>a", [1, a]],
    ["first", "a<s>a", [spaceA, 1, a]],
    ["first", "a<n>a", [spaceA, 262, a]],
    ["first", "<n>a", [262, a]],
    ["always", "a<s>a<n>a", [spaceA, 1, spaceA, 262, spaceA]],
    ["never", "a<s>a", [a, 1, a]],
  ])("%s: %s", (scheme, text, ids) => {
    const tokenizer = parse(sentencePieceJson(words, ["▁ a"], fields(scheme)));
    expect([...tokenizer.encode(text)]).toEqual(ids);
  });
});

describe("without flags the JavaScript library gives the same", () => {
  const words = ["▁", "a", "b", "▁a", "▁▁", "ab"];
  const merges = ["▁ a", "▁ ▁", "a b"];
  const metaspace = { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: false };
  test.each<[string, object, object]>([
    ["tiny-moe", JSON.parse(tokenizerJson) as object, {}],
    ["Llama 2", sentencePieceJson(words, merges), {}],
    ["Metaspace", sentencePieceJson(words, merges, { normalizer: null, pre_tokenizer: metaspace }), {}],
    [
      "lower case",
      byteLevelJson(["<s>"], lower),
      { do_lowercase_and_remove_accent: true, remove_space: true },
    ],
  ])("%s", (_, json, config) => {
    const [tokenizer, library] = [parse(json, config), new Library(json, config)];
    const random = new Random(9);
    const parts = [
      "a",
      "b",
      "ab",
      " ",
      "  ",
      "\n",
      "É",
      "é",
      "字",
      "🦊",
      "<s>",
      "</s>",
      "<|im_end|>",
      "<|x|>",
    ];
    for (let i = 0; i < 300; i++) {
      const text = Array.from(
        { length: random.integer(0, 12) },
        () => parts[random.integer(0, parts.length)],
      ).join("");
      for (const addSpecialTokens of [true, false]) {
        const { ids } = library.encode(text, { add_special_tokens: addSpecialTokens });
        expect([text, [...tokenizer.encode(text, { addSpecialTokens })]]).toEqual([text, ids]);
      }
    }
  });
});
