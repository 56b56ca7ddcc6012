// Contract: `format: { regex }` takes the texts that JavaScript's own RegExp matches as a whole, and a beginning is one if any of them goes on
// from it: for small alphabets all texts are tried.
import { afterAll, beforeAll, expect, it } from "vitest";
import { writeFormat } from "../../lib/grammar/format.js";
import { CompiledGrammar, GrammarVocabulary, Matcher } from "../../lib/grammar/matcher.js";

let bytes: GrammarVocabulary;
beforeAll(() => {
  bytes = new GrammarVocabulary(Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)));
});
afterAll(() => bytes[Symbol.dispose]());

/** All texts over an alphabet of at most so many characters. */
function textsOver(alphabet: readonly string[], length: number): readonly string[] {
  const texts = [""];
  for (let from = 0, size = 0; size < length; size++) {
    const end = texts.length;
    for (; from < end; from++) for (const one of alphabet) texts.push(texts[from]! + one);
  }
  return texts;
}

const maxBeginning = 4;
/** What each pattern needs at most to go on from a beginning is in the longer texts. */
const texts = textsOver(["a", "b", "é"], maxBeginning + 3);

it.each([
  ...[
    "a",
    "",
    "ab|a",
    "a*b",
    "(?:ab)+",
    "a?b?a?",
    "(a|b)*é",
    "[^a]b",
    "a{2,3}",
    "a{2}b{0,1}",
    "(?:a|ab)(?:b|é)",
    "a+?b",
    "(?<x>a)b",
  ],
  ...[
    "(?:a*)*b",
    "(?:a?){2,4}",
    "(?:a|b)*a(?:a|b)",
    ".",
    "..",
    "[ab]{1,3}é?",
    "\\p{L}{2}",
    "\\u00e9a",
    "\\xe9",
    "[^]",
    "\\W\\w",
    "\\w+",
  ],
  ...[
    "^a$",
    "^a|b$",
    "(?:^a$)",
    "(?:^a|b)é?",
    "^",
    "$",
    "^$",
    "(^a|^b)é",
    "a|^",
    "(?:)",
    "a||b",
    "[^\\x00-\\x7f]",
    "(?:(?:a|é)b?){2}",
  ],
])("/%s/", (source) => {
  let written;
  try {
    written = writeFormat(JSON.stringify({ regex: source }));
  } catch (error) {
    expect((error as Error).message).toMatch(
      /expected \^ and \$ at the beginning and the end of an alternative only/,
    );
    expect(["(?:^a|b)é?", "(^a|^b)é"]).toContain(source);
    return;
  }
  using grammar = new CompiledGrammar(written);
  const pattern = new RegExp(`^(?:${source})$`, "u");
  const matched = texts.filter((text) => pattern.test(text));
  const beginnings = new Set(
    matched.flatMap((text) => Array.from({ length: text.length + 1 }, (_, n) => text.slice(0, n))),
  );
  for (const text of texts.filter(({ length }) => length <= maxBeginning)) {
    using matcher = new Matcher(grammar, bytes);
    const begins = [...Buffer.from(text)].every((byte) => matcher.accept(byte));
    expect(begins, `begins ${text}`).toBe(beginnings.has(text));
    if (begins) expect(matcher.isAccepting, `matches ${text}`).toBe(pattern.test(text));
  }
});

it.each([
  ["a)|(?:b", /format\.regex: /],
  ["(?<!a)b", /looking around/],
  ["\\bab", /borders of words/],
  ["(a+)\\1", /format\.regex: /],
  ["a{3,2}", /format\.regex: /],
  ["\\-", /format\.regex: /],
  ["a{4294967297}", /format\.regex: expected counts of at most 2147483646, got 4294967297/],
  ["b(?:a{0,4294967296})", /format\.regex: expected counts of at most 2147483646/],
  ["a{2147483647,}", /format\.regex: expected counts of at most 2147483646/],
  ["a^b", /expected \^ and \$ at the beginning/],
])("/%s/ is refused", (regex, message) => {
  const call = (): unknown => writeFormat(JSON.stringify({ regex }));
  expect(call).toThrow(message);
  expect(call).toThrow(expect.objectContaining({ code: "ERR_ARGUMENT_RANGE" }));
});

it("a pattern that matches no text is refused when it is compiled", () => {
  const written = writeFormat(JSON.stringify({ regex: "[^\\s\\S]" }));
  expect(() => new CompiledGrammar(written)).toThrow(/the grammar matches no text/);
});
