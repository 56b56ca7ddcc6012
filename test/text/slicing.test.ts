// Contract: the pre-tokens of the pieces are those of the whole, for every pattern and every cut that slicing.ts allows.
import { Tokenizer as Engine } from "@huggingface/tokenizers";
import { describe, expect, test } from "vitest";
import { boundaryPatterns, isSliceable, safePieces, transparentPatterns } from "../../lib/text/slicing.js";
import { checkTokenizerJson } from "../../lib/text/tokenizerDefinition.js";
import type { JsonObject } from "../../lib/checkpoint/json.js";
import { Random } from "../support/random.js";
import { splitThenBytes, variant } from "./checkpoint.js";

/** What the patterns tell apart, with characters that NFC joins or takes apart and white space of every kind. */
const alphabet = [
  ..."abZ5 \n\r\t.,'/!-_字한あア。，、é\u0301\u093c\u0958\u0085\u00a0\u3000\ufeff\u200b\u1100\u1161\u11a8ªǅ\u0000😀²",
  ..." \n \n ab字한1",
  ..."'s|'t|'LL| the|\r\n|  |\n\n|가나다|٣٤|\ud800".split("|"),
];

function randomText(random: Random): string {
  return Array.from(
    { length: random.integer(2, 24) },
    () => alphabet[random.integer(0, alphabet.length)],
  ).join("");
}

function preTokens(engine: Engine, text: string): string[] {
  return engine.pre_tokenizer!.pre_tokenize(engine.normalizer?.normalize(text) ?? text);
}

const split = (regex: string): JsonObject => (splitThenBytes(regex)["pretokenizers"] as JsonObject[])[0]!;
const byteLevel = (useRegex: boolean): JsonObject => ({
  type: "ByteLevel",
  add_prefix_space: false,
  use_regex: useRegex,
});
const sequence = (...pretokenizers: JsonObject[]): JsonObject => ({ type: "Sequence", pretokenizers });
const [digit, digits, hanAndKana] = transparentPatterns as [string, string, string];
const deepseek3 = boundaryPatterns.get("deepseek3")!;

const preTokenizers: readonly (readonly [string, JsonObject])[] = [
  ...[...boundaryPatterns].map(([name, regex]) => [name, splitThenBytes(regex)] as const),
  ["ByteLevel", byteLevel(true)],
  ["SmolLM", sequence({ type: "Digits", individual_digits: true }, byteLevel(true))],
  ["digit, GPT-2", sequence(split(digit), byteLevel(true))],
  ["DeepSeek V3", sequence(split(digits), split(hanAndKana), split(deepseek3), byteLevel(false))],
];

const pieces = (text: string, minChars: number): string[] =>
  [...safePieces(text, minChars)].filter((piece) => piece !== undefined);

test.each(preTokenizers)("pieces of %s", (_, preTokenizer) => {
  const json = variant({ pre_tokenizer: preTokenizer });
  expect(isSliceable(checkTokenizerJson(json, "t.json"), {})).toBe(true);
  const engine = new Engine(json, {});
  const random = new Random(2);
  let numCuts = 0;
  for (let i = 0; i < 4000; i++) {
    const text = randomText(random);
    const cutUp = pieces(text, 1);
    numCuts += cutUp.length - 1;
    expect(cutUp.join("")).toBe(text);
    const apart = cutUp.flatMap((piece) => preTokens(engine, piece));
    if (String(apart) !== String(preTokens(engine, text)))
      expect({ text, apart }).toEqual(preTokens(engine, text));
  }
  expect(numCuts).toBeGreaterThan(1000);
});

test("tiny-moe has the pattern of Qwen 2", () => {
  const definition = checkTokenizerJson(variant({}), "t.json");
  expect(definition.regexes).toEqual([boundaryPatterns.get("qwen2")]);
});

test("a long text is cut at the first place after every minChars", () => {
  expect([...pieces("", 4)]).toEqual([]);
  expect([...pieces("abc", 4)]).toEqual(["abc"]);
  expect([...pieces("one two three four", 4)]).toEqual(["one two", " three", " four"]);
  expect([...pieces("첫째 줄이다，둘째\n줄", 3)]).toEqual(["첫째 줄이다", "，둘째\n", "줄"]);
  expect([...pieces("x".repeat(50), 4)]).toEqual(["x".repeat(50)]);
});

const added = (fields: JsonObject): JsonObject =>
  variant({ added_tokens: [{ id: 1021, content: "<|x|>", special: true, normalized: false, ...fields }] });
const model = variant({})["model"] as JsonObject;
const qwen2 = boundaryPatterns.get("qwen2")!;

describe("which tokenizers", () => {
  test.each<[string, boolean, JsonObject, JsonObject?]>([
    ["tiny-moe", true, variant({})],
    ["no normalizer", true, variant({ normalizer: null })],
    ["NFKC", false, variant({ normalizer: { type: "NFKC" } })],
    ["a tail added to the pattern", false, variant({ pre_tokenizer: splitThenBytes(`${qwen2}|a b`) })],
    [
      "another behavior",
      false,
      variant({ pre_tokenizer: { ...split(qwen2), behavior: "MergedWithPrevious" } }),
    ],
    ["inverted", false, variant({ pre_tokenizer: { ...split(qwen2), invert: true } })],
    ["no boundary", false, variant({ pre_tokenizer: sequence(split(digits), byteLevel(false)) })],
    ["bytes before the pattern", false, variant({ pre_tokenizer: sequence(byteLevel(false), split(qwen2)) })],
    ["a prefix space", false, variant({ pre_tokenizer: { type: "ByteLevel", add_prefix_space: true } })],
    ["no pre-tokenizer", false, variant({ pre_tokenizer: null })],
    ["unknown tokens fused", false, variant({ model: { ...model, fuse_unk: true } })],
    ["spaces removed", false, variant({}), { remove_space: true }],
    ["an added token with a space", false, added({ content: "<| x|>" })],
    ["an added token of white space", true, added({ content: "  " })],
    ["one that strips", false, added({ content: "\n", lstrip: true })],
    ["a stripping token that ends like a word", false, added({ content: "<|x", rstrip: true })],
    ["a stripping token in brackets", true, added({ rstrip: true, lstrip: true })],
  ])("%s: %s", (_, expected, json, config = {}) => {
    expect(isSliceable(checkTokenizerJson(json, "t.json"), config)).toBe(expected);
  });
});
