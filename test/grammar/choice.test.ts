/** A choice is its texts and no other, however they begin alike. */
import { describe, expect, it } from "vitest";
import { checkFormat, writeFormat } from "../../lib/grammar/format.js";
import { CompiledGrammar, GrammarVocabulary, Matcher } from "../../lib/grammar/matcher.js";

const bytes = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));

/** The bytes that may follow a beginning of a text; -1: the end. */
function following(texts: readonly Buffer[], beginning: Buffer): Set<number> {
  const longer = texts.filter((text) => text.subarray(0, beginning.length).equals(beginning));
  return new Set(longer.map((text) => text[beginning.length] ?? -1));
}

describe("a choice", () => {
  it.each<[string, readonly string[]]>([
    ["texts that others go on with", ["a", "ab", "abc", "b", "ba"]],
    ["one text", ["only"]],
    ["the same text twice", ["yes", "yes", "no"]],
    ["characters whose first bytes are the same", ["é", "è", "ê", "漢字", "漢", "😀", "😁"]],
    ["each a beginning of the next, 400 times", Array.from({ length: 400 }, (_, i) => "ab".repeat(i + 1))],
    [
      "hundreds without anything in common",
      Array.from({ length: 500 }, (_, i) => `${(i * 7919) % 997}:${i}`),
    ],
  ])("of %s", (_name, choice) => {
    using vocabulary = new GrammarVocabulary(bytes);
    using grammar = new CompiledGrammar(writeFormat(checkFormat({ choice })));
    const texts = choice.map((text) => Buffer.from(text));
    const words = new Int32Array(vocabulary.words);
    for (const text of texts.filter((_, i) => i % Math.ceil(texts.length / 20) === 0).concat(texts.at(-1)!)) {
      using matcher = new Matcher(grammar, vocabulary);
      for (let at = 0; at <= text.length; at++) {
        const expected = following(texts, text.subarray(0, at));
        matcher.fillMask(words);
        const got = new Set([...bytes.keys()].filter((byte) => (words[byte >> 5]! >> (byte & 31)) & 1));
        if (matcher.isAccepting) got.add(-1);
        expect(got).toEqual(expected);
        if (at < text.length) expect(matcher.accept(text[at]!)).toBe(true);
      }
    }
  });
});
