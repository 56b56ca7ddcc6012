// Contract: however a schema, an expression, a grammar or a program is damaged, the outcome is masks that hold, or a typed error; never another
// exception, never an end of the process, and no step takes long. bench/grammarFuzz.ts has more runs.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { native } from "../../lib/device/native.js";
import { writeFormat } from "../../lib/grammar/format.js";
import { CompiledGrammar, GrammarVocabulary, Matcher } from "../../lib/grammar/matcher.js";
import { fuzzGrammar } from "../support/grammarFuzz.js";
import { testVocabulary, tokensOf } from "../support/grammarVocabulary.js";
import { Random } from "../support/random.js";
import { firstSeed, runsOf } from "../support/seed.js";

let vocabulary: GrammarVocabulary;
beforeAll(() => void (vocabulary = new GrammarVocabulary(testVocabulary)));
afterAll(() => vocabulary[Symbol.dispose]());

it("mutated formats", () => {
  const numRuns = runsOf({ few: 400, whole: 20_000 });
  const counts = { refused: 0, "too complex": 0, masks: 0 };
  const heapBefore = process.memoryUsage().heapUsed;
  for (let seed = firstSeed; seed < firstSeed + numRuns; seed++) {
    try {
      counts[fuzzGrammar(vocabulary, new Random(seed)).outcome]++;
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error });
    }
  }
  expect(counts.masks).toBeGreaterThan(numRuns / 10);
  expect(counts.refused).toBeGreaterThan(numRuns / 10);
  expect(counts["too complex"]).toBeLessThan(numRuns / 10);
  globalThis.gc?.();
  expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(200e6);
}, 600_000);

/** Far more than any of these takes on an idle machine. */
const maxStepMs = 5000;
const levels = (count: number): string => "(?:".repeat(count) + "a" + ")*b".repeat(count);

describe("what is made to take long", () => {
  it.each<readonly [string, object]>([
    ["repeats of repeats", { regex: "(?:a{1000}){1000}" }],
    ["repeats of what may be empty", { regex: "(?:(?:a?){1000}){1000}b" }],
    ["states without end", { regex: "(?:a|b)*a(?:a|b){40}" }],
    ["states without end in all texts", { regex: "[^]*a[^]{40}" }],
    ["bounded repeats of bounded repeats", { regex: "(?:[^]{0,100}){0,100}x" }],
    ["repeats within repeats", { regex: `${"(?:".repeat(36)}[ab]+${"){0,9}".repeat(36)}x` }],
    ["many that may be empty", { regex: `${".?".repeat(300)}.{300}` }],
    ["levels", { regex: levels(400) }],
    ["more levels", { regex: levels(20_000) }],
    ["exponential ambiguity", { grammar: 'root ::= root root root | root root | [a-z ] | "(" root ")"' }],
    ["ambiguity of all texts", { grammar: 'root ::= root root | . | "(" root ")"' }],
    [
      "empty texts in 2^30 ways",
      {
        grammar: [
          'root ::= r0 "!"',
          ...Array.from({ length: 30 }, (_, i) => `r${i} ::= r${i + 1} r${i + 1} | "(" r${i} ")"`),
          "r30 ::= [a-z]?",
        ].join("\n"),
      },
    ],
    ["lists of lists", { schema: { type: "array", maxItems: 1e9, minItems: 1e8, items: {} } }],
    ["long choices", { choice: Array.from({ length: 20_000 }, (_, i) => `${(i * 7919).toString(36)} ${i}`) }],
  ])("%s ends, in masks or a typed error", (_name, format) => {
    let slowest = 0;
    const timed = <T>(work: () => T): T => {
      const begin = performance.now();
      try {
        return work();
      } finally {
        slowest = Math.max(slowest, performance.now() - begin);
      }
    };
    try {
      using grammar = new CompiledGrammar(writeFormat(JSON.stringify(format)));
      using matcher = timed(() => new Matcher(grammar, vocabulary));
      const mask = new Int32Array(vocabulary.words);
      const random = new Random(firstSeed);
      for (let step = 0; step < 12 && timed(() => matcher.fillMask(mask)); step++) {
        const allowed = tokensOf(mask);
        expect(timed(() => matcher.accept(allowed[random.integer(0, allowed.length)]!))).toBe(true);
      }
    } catch (error) {
      expect(error).toMatchObject({ code: "ERR_ARGUMENT_RANGE" });
      expect((error as Error).message).toMatch(/too complex|too large|nested too deeply/);
      expect((error as Error).message.length).toBeLessThan(1000);
    }
    expect(slowest).toBeLessThan(maxStepMs);
  });

  /** Nodes of a program, each made of the one before: the first is node 3. */
  const chain = (length: number, node: (before: number) => readonly number[]): Int32Array =>
    Int32Array.from([1, 1, 97, ...Array.from({ length }, (_, i) => node(3 + i)).flat()]);
  it.each<readonly [string, Int32Array, number]>([
    [
      "levels",
      chain(100_000, (before) => (before % 2 === 0 ? [6, before, 0, 5] : [2, 2, before, 3])),
      100_003,
    ],
    ["sequences that are twice as long each time", chain(60, (before) => [2, 2, before, before]), 63],
    [
      "alternatives that grow",
      chain(3000, (before) => (before % 2 === 0 ? [3, 2, before, 3] : [2, 2, 3, before])),
      3003,
    ],
    [
      "complements of intersections",
      chain(2000, (before) => (before % 2 === 0 ? [5, before] : [4, 2, before, 3])),
      2003,
    ],
    [
      "a text of a million bytes",
      Int32Array.from({ length: 1_000_002 }, (_, i) => [1, 1_000_000][i] ?? 97),
      3,
    ],
  ])("a program of %s ends, without recursion that a stack would not survive", (_name, program, last) => {
    const begin = performance.now();
    const create = (): void => {
      const grammar = native.createGrammar(program, Int32Array.of(last), Int32Array.of(0, 1, -1), 0);
      native.disposeGrammar(grammar);
    };
    let message = "too complex";
    try {
      create();
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).toMatch(/too complex|matches no text/);
    expect(performance.now() - begin).toBeLessThan(maxStepMs);
  });
});
