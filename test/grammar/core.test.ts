// Contract: at every place of a text the mask has exactly the tokens with whose bytes a text of the grammar goes on, as a chart of the
// grammar over bytes finds them one by one; tokens are taken back as if they had never come; what comes alone is known.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Handle, native } from "../../lib/device/native.js";
import { CompiledGrammar, GrammarVocabulary, Matcher } from "../../lib/grammar/matcher.js";
import { GrammarWriter, type WrittenGrammar } from "../../lib/grammar/syntax/rules.js";
import { grammarCases } from "../support/grammarCases.js";
import { ReferenceGrammar } from "../support/grammarReference.js";
import { noText, testVocabulary, tokensOf } from "../support/grammarVocabulary.js";
import { Random } from "../support/random.js";
import { firstSeed, runsOf } from "../support/seed.js";

const maxBytes = 48;
let vocabulary: GrammarVocabulary;
beforeAll(() => void (vocabulary = new GrammarVocabulary(testVocabulary)));
afterAll(() => vocabulary[Symbol.dispose]());

function maskOf(matcher: Matcher): Int32Array {
  const words = new Int32Array(vocabulary.words).fill(-1);
  const any = matcher.fillMask(words);
  expect(any).toBe(words.some((word) => word !== 0));
  return words;
}

/** A text so far. */
interface Walk {
  readonly matcher: Matcher;
  readonly reference: ReferenceGrammar;
  readonly text: Buffer;
  readonly masks: Int32Array[];
}

/** Compares what may come next with all that the reference knows. @returns the tokens */
function expectSame({ matcher, reference, text, masks }: Walk): readonly number[] {
  const mask = maskOf(matcher);
  const allowed = tokensOf(mask);
  const expected = testVocabulary.flatMap((bytes, id) =>
    bytes.length > 0 && reference.begins(Buffer.concat([text, bytes])) ? [id] : [],
  );
  expect(allowed, JSON.stringify(text.toString("latin1"))).toEqual(expected);
  for (const [i, word] of mask.entries())
    if (i === mask.length - 1 && testVocabulary.length % 32 !== 0)
      expect(word >>> (testVocabulary.length % 32), "bits behind the vocabulary").toBe(0);
  expect(matcher.isAccepting, `end of ${text}`).toBe(reference.matches(text));
  expectForced({ matcher, reference, text, masks });
  masks.push(mask);
  return allowed;
}

function expectForced({ matcher, reference, text }: Walk): void {
  let at = text;
  const forced: number[] = [];
  while (forced.length < 6 && !reference.matches(at)) {
    const next = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) =>
      reference.begins(Buffer.concat([at, Uint8Array.of(byte)])),
    );
    if (next.length !== 1) break;
    forced.push(next[0]!);
    at = Buffer.concat([at, Uint8Array.of(next[0]!)]);
  }
  expect([...matcher.forcedBytes(6)]).toEqual(forced);
}

describe("masks are those that bytes tried one by one give", () => {
  it.each(grammarCases)("%s", async (_name, written) => {
    using grammar = new CompiledGrammar(written);
    const reference = new ReferenceGrammar(written);
    for (let seed = firstSeed; seed < firstSeed + runsOf({ few: 2, whole: 40 }); seed++) {
      const random = new Random(seed);
      using matcher = new Matcher(grammar, vocabulary);
      let walk: Walk = { matcher, reference, text: Buffer.alloc(0), masks: [] };
      const lengths = [0];
      for (let step = 0; step < 10 && walk.text.length < maxBytes; step++) {
        if (step % 2 === 1) await matcher.prepare(6);
        const allowed = expectSame(walk);
        const refused = random.integer(0, testVocabulary.length);
        if (!allowed.includes(refused)) expect(matcher.accept(refused)).toBe(false);
        if (allowed.length === 0) break;
        const token = allowed[random.integer(0, allowed.length)]!;
        expect(matcher.accept(token)).toBe(true);
        walk = { ...walk, text: Buffer.concat([walk.text, testVocabulary[token]!]) };
        lengths.push(walk.text.length);
        if (random.uniform() > 0.25) continue;
        const count = random.integer(0, lengths.length);
        matcher.rollback(count);
        lengths.splice(lengths.length - count, count);
        walk.masks.splice(lengths.length - 1);
        walk = { ...walk, text: walk.text.subarray(0, lengths.at(-1)) };
      }
      expectRolledBack(walk, lengths.length - 1);
    }
  });
});

/** Masks of each place that the walk has seen, from the last to the first: it may have ended on one that it had not. */
function expectRolledBack({ matcher, masks }: Walk, length: number): void {
  for (let place = length; place > 0; place--) {
    if (masks[place]) expect(maskOf(matcher)).toEqual(masks[place]);
    matcher.rollback(1);
  }
  if (masks[0]) expect(maskOf(matcher)).toEqual(masks[0]);
  expect(() => matcher.rollback(1)).toThrow(/rollback: expected 0 to 0 tokens, got 1/);
}

const written = (build: (grammar: GrammarWriter) => ReturnType<GrammarWriter["text"]>): WrittenGrammar => {
  const grammar = new GrammarWriter();
  return grammar.finish(build(grammar));
};

describe("a matcher", () => {
  it("has no special token and none without bytes where any text may come", () => {
    const anyText = written((grammar) => {
      const write = grammar.expressions;
      return grammar.terminal(write.repeat(write.characters([[0, 0x10ffff]])));
    });
    using grammar = new CompiledGrammar(anyText);
    using matcher = new Matcher(grammar, vocabulary);
    const allowed = tokensOf(maskOf(matcher));
    expect(allowed.filter((id) => noText.includes(id))).toEqual([]);
    expect(allowed.length).toBeGreaterThan(testVocabulary.length / 2);
    for (const id of noText) expect(matcher.accept(id)).toBe(false);
    for (const id of [-1, testVocabulary.length, 2 ** 31 - 1, -(2 ** 31)])
      expect(matcher.accept(id)).toBe(false);
  });

  it("allows nothing where no token goes on, and says so", () => {
    using grammar = new CompiledGrammar(written((one) => one.text("a\u{10ffff}")));
    using matcher = new Matcher(grammar, vocabulary);
    expect(matcher.accept(testVocabulary.findIndex((bytes) => Buffer.from(bytes).toString() === "a"))).toBe(
      true,
    );
    expect(matcher.fillMask(new Int32Array(vocabulary.words))).toBe(false);
    expect(matcher.isAccepting).toBe(false);
    expect([...matcher.forcedBytes(9)]).toEqual([0xf4, 0x8f, 0xbf, 0xbf]);
  });

  it("outlives the handles of its grammar and its vocabulary", () => {
    const own = new GrammarVocabulary(testVocabulary);
    const grammar = new CompiledGrammar(written((one) => one.text("ab")));
    using matcher = new Matcher(grammar, own);
    grammar[Symbol.dispose]();
    own[Symbol.dispose]();
    expect(tokensOf(maskOf(matcher)).map((id) => Buffer.from(testVocabulary[id]!).toString())).toEqual([
      "a",
      "ab",
      "a",
      "ab",
    ]);
  });

  it("is refused when every step takes long, not only the longest one", () => {
    const grammar = new GrammarWriter();
    const [root, rest] = [grammar.nonterminal(), grammar.nonterminal()];
    grammar.rule(root, [rest, root]);
    for (let i = 0; i < 150; i++) {
      const one = grammar.nonterminal();
      grammar.rule(one, [grammar.text(`${String.fromCharCode(97 + (i % 26))}`), grammar.text(`${i}`), one]);
      grammar.rule(one, [grammar.text("a")]);
      grammar.rule(rest, [one]);
    }
    grammar.rule(root, []);
    using compiled = new CompiledGrammar(grammar.finish(root));
    using matcher = new Matcher(compiled, vocabulary);
    const a = testVocabulary.findIndex((bytes) => Buffer.from(bytes).toString() === "a");
    const walk = (steps: number): void => {
      for (let step = 0; step < steps; step++) {
        maskOf(matcher);
        matcher.accept(a);
        matcher.rollback(1);
      }
    };
    walk(1);
    expect(() => walk(60)).toThrow(/too complex: a step takes too much time/);
  });

  it("shares its grammar with others that stand elsewhere", () => {
    using grammar = new CompiledGrammar(grammarCases.find(([name]) => name === "an ambiguous sum")![1]);
    const matchers = Array.from({ length: 5 }, () => new Matcher(grammar, vocabulary));
    const one = testVocabulary.findIndex((bytes) => Buffer.from(bytes).toString() === "1");
    const plus = testVocabulary.findIndex((bytes) => Buffer.from(bytes).toString() === "+");
    for (const [i, matcher] of matchers.entries())
      for (let n = 0; n < i; n++) expect(matcher.accept(n % 2 === 0 ? one : plus)).toBe(true);
    expect(matchers.map((matcher) => matcher.isAccepting)).toEqual([false, true, false, true, false]);
    expect(maskOf(matchers[1]!)).toEqual(maskOf(matchers[3]!));
    expect(maskOf(matchers[0]!)).toEqual(maskOf(matchers[4]!));
    for (const matcher of matchers) matcher[Symbol.dispose]();
  });
});

describe("programs that lib/grammar does not write", () => {
  const ints = (...numbers: number[]): Int32Array => Int32Array.from(numbers);
  const none = ints();
  it.each<readonly [string, Int32Array, Int32Array, Int32Array, number]>([
    ["that end too early", ints(0, 1, 2), none, none, 0],
    ["with an unknown op", ints(7), none, none, 0],
    ["with a negative op", ints(-1), none, none, 0],
    ["with a reference to itself", ints(5, 3), none, none, 0],
    ["with a reference to a later node", ints(2, 1, 4), none, none, 0],
    ["with a negative reference", ints(5, -1), none, none, 0],
    ["with a negative count", ints(2, -1), none, none, 0],
    ["with a huge count", ints(3, 2 ** 31 - 1, 1), none, none, 0],
    ["with a byte that is none", ints(1, 1, 256), none, none, 0],
    ["with a negative repeat", ints(6, 1, -1, 3), none, none, 0],
    ["with a terminal that is none", none, ints(3), none, 0],
    ["with a negative terminal", none, ints(-1), none, 0],
    ["with a rule of an unknown terminal", none, ints(1), ints(0, 1, -2), 0],
    ["with a rule that ends too early", none, ints(1), ints(0, 2, -1), 0],
    ["with a negative left side", none, ints(1), ints(-1, 0), 0],
    ["with a nonterminal far beyond all", none, ints(1), ints(0, 0, 2 ** 22 - 1, 0), 0],
    ["with a start that is none", none, ints(1), ints(0, 0), -1],
    ["with a start beyond all", none, ints(1), ints(0, 0), 2 ** 40],
    ["with a start that is no number", none, ints(1), ints(0, 0), NaN],
    ["without a rule", none, none, none, 0],
  ])("%s are refused", (_name, program, terminals, rules, start) => {
    const create = (): Handle => native.createGrammar(program, terminals, rules, start);
    expect(create).toThrow(expect.objectContaining({ code: "ERR_ARGUMENT_RANGE" }));
    expect(create).toThrow(/grammar/);
  });

  it("are refused where arguments are of another type", () => {
    for (const wrong of [undefined, null, 3, "x", [1], new Uint8Array(4), new Float32Array(1)]) {
      const create = (): Handle => native.createGrammar(wrong as unknown as Int32Array, none, none, 0);
      expect(create).toThrow(expect.objectContaining({ code: "ERR_ARGUMENT_TYPE" }));
    }
    const unknown = (2 ** 30) as unknown as Handle;
    expect(() => native.createMatcher(unknown, unknown)).toThrow();
    expect(() => native.acceptToken(unknown, 0)).toThrow();
  });

  it("are refused where a token is longer than any", () => {
    const make = (): GrammarVocabulary => new GrammarVocabulary([new Uint8Array(70_000)]);
    expect(make).toThrow(/vocabulary: token 0: expected at most 65535 bytes, got 70000/);
  });
});
