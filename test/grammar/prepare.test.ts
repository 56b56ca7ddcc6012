// Contract: what comes next is found by another thread where it takes long, and is what it would have been; several texts of one grammar may wait
// at once, one that ends meanwhile is no longer heard of, and one that proves too complex says so where it is waited for.
import { afterAll, describe, expect, it } from "vitest";
import { checkFormat, writeFormat } from "../../lib/grammar/format.js";
import { CompiledGrammar, GrammarVocabulary, Matcher } from "../../lib/grammar/matcher.js";
import { testVocabulary, tokensOf } from "../support/grammarVocabulary.js";
import { Random } from "../support/random.js";
import { firstSeed } from "../support/seed.js";

const vocabulary = new GrammarVocabulary(testVocabulary);
afterAll(() => vocabulary[Symbol.dispose]());

const mostForced = 256;
const compiled = (format: object): CompiledGrammar => new CompiledGrammar(writeFormat(checkFormat(format)));
/** Ever more ways to read a text the longer it is. */
const ambiguous = { grammar: 'root ::= any "!"\nany ::= any any | [a-z] | "(" any ")"' };
const letter = testVocabulary.findIndex((bytes) => Buffer.from(bytes).toString() === "a");

interface Next {
  readonly mask: readonly number[];
  readonly forced: readonly number[];
}

function nextOf(matcher: Matcher): Next {
  const words = new Int32Array(vocabulary.words);
  matcher.fillMask(words);
  return { mask: [...words], forced: [...matcher.forcedBytes(mostForced)] };
}

function textOf(grammar: CompiledGrammar, letters: number): Matcher {
  const matcher = new Matcher(grammar, vocabulary);
  for (let i = 0; i < letters; i++) expect(matcher.accept(letter)).toBe(true);
  return matcher;
}

describe("what comes next", () => {
  it("is the same, prepared at once, by another thread, or not at all", async () => {
    const random = new Random(firstSeed);
    const counts = { quick: 0, late: 0 };
    const formats = [
      { format: ambiguous, letters: 40 },
      { format: { regex: "(?:a|b)*a(?:a|b){9}!" }, letters: 0 },
      { format: { schema: { type: "object" } }, letters: 0 },
    ];
    for (const { format, letters } of formats) {
      using grammar = compiled(format);
      using other = compiled(format);
      using matcher = textOf(grammar, letters);
      using plain = textOf(other, letters);
      for (let step = 0; step < 40; step++) {
        const late = matcher.prepare(mostForced);
        counts[late ? "late" : "quick"]++;
        await late;
        const next = nextOf(plain);
        expect(nextOf(matcher)).toEqual(next);
        const allowed = tokensOf(Int32Array.from(next.mask));
        if (allowed.length === 0) break;
        const token = allowed[random.integer(0, allowed.length)]!;
        for (const one of [matcher, plain]) expect(one.accept(token)).toBe(true);
        if (random.integer(0, 4) > 0) continue;
        await matcher.prepare(mostForced);
        // What was prepared is forgotten with the token.
        for (const one of [matcher, plain]) one.rollback(1);
        expect(nextOf(matcher)).toEqual(next);
      }
    }
    expect(counts.quick).toBeGreaterThan(30);
    expect(counts.late).toBeGreaterThan(3);
  });

  it("is found for several texts of a grammar at once, some of which end meanwhile", async () => {
    using grammar = compiled(ambiguous);
    using alone = compiled(ambiguous);
    using expected = textOf(alone, 60);
    const texts = Array.from({ length: 6 }, () => textOf(grammar, 60));
    const late = texts.map((text) => text.prepare(mostForced));
    expect(late[0]).toBeInstanceOf(Promise);
    for (const text of texts.splice(3)) text[Symbol.dispose]();
    for (const each of late) await each;
    for (const text of texts) expect(nextOf(text)).toEqual(nextOf(expected));
    for (const text of texts) text[Symbol.dispose]();
  });

  it("is not what a token itself takes, for which there is no other thread", () => {
    const dashes = [1, 2, 4, 8, 16, 32, 64, 128].map((count) => Buffer.from("-".repeat(count)));
    using long = new GrammarVocabulary(dashes);
    using grammar = compiled({ grammar: 'root ::= any "!"\nany ::= any any | "-" | "(" any ")"' });
    using text = new Matcher(grammar, long);
    for (let i = 0; i < 50; i++) expect(text.accept(0)).toBe(true);
    expect(() => text.accept(7)).toThrow(/too complex/);
    expect(text.accept(0)).toBe(true); // nothing has changed
  });

  it("is found for statements whose expressions are ambiguous, as people write them", async () => {
    const rules = [
      "root ::= statement*",
      'statement ::= name "=" sum ";"',
      "name ::= [a-z]+",
      'sum ::= sum " "? ("+" | "*") " "? sum | [0-9]+ | name | "(" sum ")"',
    ];
    using grammar = compiled({ grammar: rules.join("\n") });
    using text = new Matcher(grammar, vocabulary);
    for (const byte of Buffer.from("abc=1+2*3+x;y=(4+5)*z;".repeat(20))) {
      await text.prepare(mostForced);
      const token = testVocabulary.findIndex((bytes) => bytes.length === 1 && bytes[0] === byte);
      expect(text.accept(token)).toBe(true);
    }
  });

  it("is an error where it proves too complex, and of this text alone", async () => {
    using grammar = compiled({ regex: `${".?".repeat(300)}.{300}` });
    using text = new Matcher(grammar, vocabulary);
    await expect(text.prepare(mostForced)).rejects.toMatchObject({ code: "ERR_ARGUMENT_RANGE" });
    using other = compiled({ regex: "[ab]+" });
    using simple = new Matcher(other, vocabulary);
    expect(simple.prepare(mostForced)).toBeUndefined();
    expect(simple.accept(letter)).toBe(true);
  });
});
