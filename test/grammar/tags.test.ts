// Contract: texts in parts and structural tags: what is free is free of what begins a tag, what has a form has it, markers are tokens where
// the vocabulary has them and else their characters.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { checkFormat, writeFormat } from "../../lib/grammar/format.js";
import { CompiledGrammar, GrammarVocabulary, Matcher } from "../../lib/grammar/matcher.js";
import { controlBytes } from "../../lib/grammar/syntax/controlTokens.js";
import { tokenBytes } from "../../lib/grammar/tokenBytes.js";
import { runNow } from "../../lib/eventLoop.js";
import { LLM, type OutputFormat } from "../../lib/index.js";
import { testVocabulary } from "../support/grammarVocabulary.js";
import { Random } from "../support/random.js";
import { firstSeed } from "../support/seed.js";
import { ByteVocabulary, RandomTexts } from "./randomTexts.js";

const integer = { schema: { type: "integer" } };
const tag = { begin: "<n>", content: integer, end: "</n>" };
const cases: readonly { format: OutputFormat; takes: readonly string[]; refuses: readonly string[] }[] = [
  {
    format: { tags: { triggers: ["<n"], tags: [tag] } },
    takes: ["", "a < b", "<n>12</n>", "so <n>1</n>, <n>2</n>\n", "</n>"],
    refuses: ["<n", "a <n b", "<n>x</n>", "<n>1", "<n>1</n> <n"],
  },
  {
    format: {
      tags: {
        triggers: ["<"],
        tags: [tag, { ...tag, begin: "<m>" }],
        atLeastOne: true,
        stopAfterFirst: true,
      },
    },
    takes: ["<n>12</n>", "so <m>1</n>"],
    refuses: ["", "so", "<n>1</n>.", "<n>1</n><m>2</n>", "</n>"],
  },
  {
    format: { parts: { sequence: ["a", { either: ["b", { choice: ["c", "d"] }] }, { regex: "e+" }] } },
    takes: ["abe", "acee", "ade"],
    refuses: ["ab", "abcde", "e"],
  },
  {
    format: { parts: { sequence: [{ schema: { type: "array" }, whitespace: 1 }, "!"] } },
    takes: ["[]!", "[ ]!", "[1, 2]!"],
    refuses: ["[   ]!", "[] !"],
  },
  {
    format: { parts: { repeat: integer, min: 1, max: 3, between: ", " } },
    takes: ["1", "1, 2", "1, 2, 3"],
    refuses: ["", "1,2", "1, 2, 3, 4"],
  },
  {
    format: {
      parts: { rule: "list" },
      rules: { list: { either: ["x", { sequence: ["(", { rule: "list" }, ")"] }] } },
    },
    takes: ["x", "((x))"],
    refuses: ["", "(x", "()"],
  },
  {
    format: { parts: { sequence: [{ grammar: 'root ::= "(" root ")" | "x"' }, "!"] } },
    takes: ["x!", "((x))!"],
    refuses: ["(x!", "x"],
  },
  {
    format: { parts: { free: ["bad"], notFirst: "{[" } },
    takes: ["", "good {", "ba d", "\n"],
    refuses: ["a bad one", "{", "  [x]"],
  },
  {
    format: { parts: { sequence: [{ schema: { type: "object" } }, "!"] } },
    takes: ['{"a":1}!', '{"a":{"b":[true,null,"c"]}}!'],
    refuses: ["1!", "{}"],
  },
  {
    format: {
      parts: {
        members: {
          type: "object",
          properties: { s: { type: "string", enum: ["x", "y z"] }, n: { type: ["integer", "null"] }, o: {} },
          required: ["n"],
        },
        around: ["<", ">", ";"],
        values: "raw",
        types: { s: ["string"], n: ["number", "null"], o: null },
        ...{ untyped: "json", never: [";"] },
      },
    },
    takes: ["<n>5;", "<s>y z;<n>null;", '<n>0;<o>{"a":1};'],
    refuses: ["", "<s>x;", '<s>"x";<n>5;', "<n>5;<s>x;", "<n>5", '<n>0;<o>";";'],
  },
  {
    format: {
      parts: {
        members: {
          properties: { a: { type: "boolean" }, b: { anyOf: [{ type: "string" }, { type: "null" }] } },
        },
        ...{ around: ["", "=", ""], between: ", ", values: "python" },
      },
    },
    takes: ["", "a=True", "b=None", 'a=False, b="x"'],
    refuses: ["a=true", "a=True,b=None", "b=None, a=True", "a=True, "],
  },
];

describe("parts", () => {
  it.each(cases)("$format", ({ format, takes, refuses }) => {
    using texts = new RandomTexts(format, new ByteVocabulary());
    for (const text of takes) expect(texts.takes(text), text).toBe(true);
    for (const text of refuses) expect(texts.takes(text), text).toBe(false);
  });

  it("free text drawn at random never has a trigger, and is ended by tags alone", () => {
    const vocabulary = new ByteVocabulary(["<n>"]);
    using texts = new RandomTexts(
      { tags: { triggers: ["a", "<n>"], tags: [tag], atLeastOne: true } },
      vocabulary,
    );
    const random = new Random(firstSeed);
    for (let i = 0; i < 10; i++) {
      const text = vocabulary.decode(texts.draw(random, 20_000)!);
      expect(text).toMatch(/^(?:[^a]*<n>-?\d+<\/n>)+[^a]*$/);
    }
  });

  it("a mask has what may come, and nothing else", () => {
    using vocabulary = new GrammarVocabulary(testVocabulary);
    const random = new Random(firstSeed);
    const format: OutputFormat = { tags: { triggers: ["a", "<"], tags: [tag, { ...tag, begin: "ab" }] } };
    const thoughts = { open: "<think>", close: "x" };
    for (const one of [format, { parts: format.tags, thoughts }] as const) {
      using grammar = new CompiledGrammar(writeFormat(checkFormat(one), { tokens: [], state: "open" }));
      using matcher = new Matcher(grammar, vocabulary);
      const mask = new Int32Array(vocabulary.words);
      for (let i = 0; i < 40 && matcher.fillMask(mask); i++) {
        const allowed = testVocabulary.flatMap((_, id) => {
          if (!matcher.accept(id)) return [];
          matcher.rollback(1);
          return [id];
        });
        const masked = testVocabulary.flatMap((_, id) => ((mask[id >> 5]! >>> (id & 31)) & 1 ? [id] : []));
        expect(masked).toEqual(allowed);
        matcher.accept(allowed[random.integer(0, allowed.length)]!);
      }
    }
  });

  it("a marker that is a token is no text, and the text is no marker", () => {
    const vocabulary = new ByteVocabulary(["<n>"], ["</n>"]);
    using texts = new RandomTexts({ tags: { triggers: ["<n>"], tags: [tag] } }, vocabulary);
    const spelled = new ByteVocabulary();
    expect(texts.takes("a <n>5</n>")).toBe(true);
    expect(texts.takes("a <n>x</n>")).toBe(false);
    expect(texts.takes("</n>")).toBe(false); // no special token is free text
    using same = new RandomTexts({ tags: { triggers: ["<n>"], tags: [tag] } }, spelled);
    expect(same.takes("a <n>5</n>")).toBe(true);
  });

  it.each<[OutputFormat, string | RegExp]>([
    [
      { tags: { triggers: ["<m"], tags: [tag] } },
      /^format\.tags\.tags\[0\]\.begin: expected .* \(<m\), got "<n>"$/,
    ],
    [{ parts: { rule: "x" } }, 'format.parts.rule: expected the name of one of rules (none), got "x"'],
    [{ parts: { rule: "toString" }, rules: { a: "b" } }, /rules \(a\), got "toString"$/],
    [{ parts: 5 as never }, /^format\.parts: expected a part of a text: a string, .*, got number 5$/],
    [{ parts: { schema: { nope: {} }, name: "a.b" } }, "a.b: /nope: this keyword is not supported"],
    [
      { parts: "a", thoughts: { open: "", close: "x" } },
      /^format\.thoughts\.open: expected a text that is not empty, got ""$/,
    ],
    [{ parts: "a", colour: 1 } as never, /^format: expected "json" or an object with one of/],
  ])("%o is refused", (format, message) => {
    expect(() => new RandomTexts(format, new ByteVocabulary())).toThrow(message);
  });
});

describe("with a model", () => {
  let llm: LLM;
  beforeAll(async () => (llm = await LLM.load("models/tiny-moe", { device: "cpu", threads: 1 })));
  afterAll(() => llm.close());

  it("no token is the beginning of a control token's bytes", () => {
    const bytes = runNow(tokenBytes(llm.tokenizer!, llm.shape.vocabSize));
    const special = llm.tokenizer!.tokenId("<|im_end|>")!;
    expect(bytes[special]).toEqual(controlBytes(["<|im_end|>", 0xff]));
    const others = bytes.filter((_, id) => !llm.tokenizer!.isSpecial(id));
    expect(others.filter((one) => one.some((byte) => byte >= 0xfe))).toEqual([]);
    expect(bytes.filter(({ length }) => length === 1).length).toBeGreaterThan(200); // there are tokens for bytes
  });

  it("thoughts that the prompt has opened come first, and none where it has closed them", async () => {
    const format = { parts: { choice: ["yes", "no"] }, thoughts: { open: "<think>", close: "</think>" } };
    const options = { format, temperature: 1.5, seed: firstSeed, maxTokens: 12 };
    const [open, over] = await llm.generateAll(["Well <think>\n", "Well <think>\n\n</think>\n\n"], options);
    expect(["yes", "no"]).not.toContain(open!.text);
    expect(["yes", "no"]).toContain(over!.text);
    expect(over!.finishReason).toBe("stop");
  });
});
