/** `generate({ format })` from end to end: hot sampling keeps to the form, and what cannot be kept to is refused. */
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { LLM } from "../../lib/index.js";
import type { OutputFormat } from "../../lib/index.js";
import { checkFormat, writeFormat } from "../../lib/grammar/format.js";
import { Grammars } from "../../lib/grammar/grammars.js";
import { CompiledGrammar, GrammarVocabulary, Matcher } from "../../lib/grammar/matcher.js";
import { firstSeed } from "../support/seed.js";

let llm: LLM;
beforeAll(async () => (llm = await LLM.load("models/tiny-moe", { device: "cpu" })));
afterAll(() => llm.close());

const prompt = "Once upon a time";
const hot = { temperature: 1.5, maxTokens: 400, seed: firstSeed };
const textsOf = async (format: OutputFormat, n = 8): Promise<string[]> => {
  const { choices } = await llm.generate(prompt, { ...hot, n, format }).result();
  for (const { finishReason } of choices) expect(["stop", "length"]).toContain(finishReason);
  const ended = choices.filter(({ finishReason }) => finishReason === "stop").map(({ text }) => text);
  expect(ended.length).toBeGreaterThan(0);
  return ended;
};

describe("format", () => {
  it("of a choice is one of its texts", async () => {
    const choice = ["yes", "no", 'perhaps "so"', "是"];
    for (const text of await textsOf({ choice })) expect(choice).toContain(text);
  });

  it.each([
    /^[A-Z][a-z]{2,8} is \d{1,3} years old\.$/u,
    /^(?:\p{Lu}\p{Ll}+ ){1,3}$/u,
    /^[^a]{1,20}$/u,
    /^(?:a|bc)+?d$/iu,
  ])("of a regular expression is matched by %s", async (pattern) => {
    const { source, flags } = pattern;
    const regex = flags.includes("i")
      ? source.replace(/[a-z]/g, (one) => `[${one}${one.toUpperCase()}]`)
      : source;
    for (const text of await textsOf({ regex })) expect(text).toMatch(pattern);
  });

  it("json is an object, as far as it came", async () => {
    const { choices } = await llm.generate(prompt, { ...hot, n: 12, format: "json" }).result();
    for (const { text, finishReason } of choices) {
      expect(text[0]).toBe("{");
      try {
        JSON.parse(text);
      } catch (error) {
        expect(finishReason).toBe("length");
        expect((error as Error).message).toMatch(
          new RegExp(`end of JSON input|Unterminated|at position (${text.length}|${text.length - 1})\\b`),
        );
      }
    }
  });

  it("json has values of every type", () => {
    const text = '{"a":[1,null,{"b":"c"}],"d":-1.5e3,"e":{},"f":true}';
    const vocabulary = new GrammarVocabulary(Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)));
    const matcher = new Matcher(new CompiledGrammar(writeFormat(checkFormat("json"))), vocabulary);
    for (const byte of Buffer.from(text)) expect(matcher.accept(byte)).toBe(true);
    expect(matcher.isAccepting).toBe(true);
  });

  it("of a schema is valid, with properties in its order", async () => {
    const schema = {
      type: "object",
      properties: {
        name: { type: "string", maxLength: 12 },
        age: { type: "integer", minimum: 0, maximum: 120 },
      },
      required: ["name", "age"],
      additionalProperties: false,
    };
    for (const text of await textsOf({ schema })) {
      const value = JSON.parse(text) as { name: string; age: number };
      expect(Object.keys(value)).toEqual(["name", "age"]);
      expect([...value.name].length).toBeLessThanOrEqual(12);
      expect(value.age).toBeGreaterThanOrEqual(0);
      expect(value.age).toBeLessThanOrEqual(120);
      expect(JSON.stringify(value)).toBe(text);
    }
  });

  it("of a schema has the whitespace that is allowed, and no more", async () => {
    const schema = { type: "array", items: { type: "boolean" }, minItems: 2, maxItems: 3 };
    const texts = await textsOf({ schema, whitespace: 2 });
    for (const text of texts)
      expect(text).toMatch(/^\[\s{0,2}(?:true|false)(?:,\s{0,2}(?:true|false)){1,2}\s{0,2}\]$/);
    expect(texts.some((text) => /\s/.test(text))).toBe(true);
  });

  it("changes nothing of those that run beside it, and is the same in a batch as alone", async () => {
    const format = { regex: "(?:[a-z]+ )+[a-z]+\\." };
    const constrained = { ...hot, maxTokens: 24, format };
    const free = { ...hot, maxTokens: 24 };
    const alone = [await llm.generate(prompt, constrained).text(), await llm.generate(prompt, free).text()];
    const together = await Promise.all([
      llm.generate(prompt, constrained).text(),
      llm.generate(prompt, free).text(),
      llm.generate("Another", { ...hot, maxTokens: 9, format: "json" }).text(),
      llm.generate("More", { ...hot, maxTokens: 30, logprobs: 2 }).text(),
    ]);
    expect(together.slice(0, 2)).toEqual(alone);
  });

  it.each([
    [
      { format: "xml" as "json" },
      "TypeError",
      /format: expected "json" or an object with one of schema, regex, choice, grammar/,
    ],
    [{ format: {} as "json" }, "TypeError", /format: expected/],
    [{ format: { regex: "a", choice: ["a"] } as unknown as OutputFormat }, "TypeError", /format: expected/],
    [{ format: { regex: "a", whitespace: 1 } as OutputFormat }, "TypeError", /format: expected/],
    [
      { format: { schema: {}, whitespace: "1" } as unknown as OutputFormat },
      "TypeError",
      /format\.whitespace: expected a number/,
    ],
    [
      { format: { schema: {}, whitespace: 101 } },
      "RangeError",
      /format\.whitespace: expected an integer from 0 to 100/,
    ],
    [{ format: { choice: [] } }, "TypeError", /format\.choice: expected texts, at least one/],
    [{ format: "json" as const, ignoreEos: true }, "RangeError", /format: no token may end the text/],
  ])("refuses %j at once", (options, name, message) => {
    const call = (): unknown => llm.generate(prompt, options);
    expect(call).toThrow(message);
    expect(call).toThrow(expect.objectContaining({ name: expect.stringContaining(name) as string }));
  });

  it.each([
    [{ regex: "(?=a)b" }, /format\.regex: looking around/],
    [{ regex: "(" }, /format\.regex: .*\/\^\(\?:\(\)\$\/|format\.regex/],
    [{ regex: "(a+)\\1" }, /format\.regex/],
    [
      { schema: { type: "object", unknownKeyword: 3 } },
      /schema: \/unknownKeyword: this keyword is not supported/,
    ],
    [{ schema: { properties: { "a/b": { multipleOf: 7 } } } }, /schema: \/properties\/a~1b\/multipleOf/],
    [{ schema: false }, /schema|matches no text|grammar/],
  ])("refuses %j when it is read", async (format, message) => {
    await expect(llm.generate(prompt, { format }).text()).rejects.toThrow(message);
  });

  it("that no token goes on with ends its request with an error, and no other", async () => {
    const other = llm.generate(prompt, { ...hot, maxTokens: 16 }).text();
    // No token ends a text before four have come, and nothing may follow "a".
    const dead = llm.generate(prompt, { format: { choice: ["a"] }, minTokens: 4, maxTokens: 8 }).text();
    await expect(dead).rejects.toMatchObject({ code: "ERR_ALL_BANNED" });
    await expect(other).resolves.toBeTypeOf("string");
  });

  it("is read again when reading the vocabulary has failed", async () => {
    const grammars = new Grammars(llm.tokenizer!, llm.shape.vocabSize);
    const format = { json: checkFormat({ choice: ["a"] }), thoughts: undefined };
    const reading = vi.spyOn(llm.tokenizer!, "tokenText").mockImplementation(() => {
      throw new Error("no token this time");
    });
    await expect(grammars.constraint(format, new Int32Array())).rejects.toThrow("no token this time");
    await new Promise(setImmediate); // of the vocabulary, too
    reading.mockRestore();
    using constraint = await grammars.constraint(format, new Int32Array());
    expect(constraint.isAccepting).toBe(false);
    await grammars.close();
  });

  it("leaves nothing behind when its request is aborted", async () => {
    for (let i = 0; i < 5; i++) {
      const stream = llm.generate(prompt, { ...hot, format: "json", n: 3 });
      if (i > 0) await new Promise((resolve) => setTimeout(resolve, i));
      stream.abort();
      const { choices } = await stream.result();
      for (const { finishReason } of choices) expect(["abort", "stop"]).toContain(finishReason);
    }
    expect(await llm.generate(prompt, { format: { choice: ["ok"] } }).text()).toBe("ok");
  });
});
