// Contract: a grammar that proves too complex ends its own request with a typed error, whenever that shows, is not kept for the next one, and
// changes nothing of the requests beside it.
import { afterEach, expect, it, vi } from "vitest";
import { checkFormat } from "../../lib/grammar/format.js";
import { type CheckedFormat, Grammars } from "../../lib/grammar/grammars.js";
import { Engine } from "../../lib/engine/engine.js";
import { WarploopError } from "../../lib/errors.js";
import { CompiledGrammar, Matcher } from "../../lib/grammar/matcher.js";
import { Tokenizer } from "../../lib/text/tokenizer.js";
import { ask, modelFolder, withLLM } from "../llm/checkpoints.js";

afterEach(() => void vi.restoreAllMocks());

const folder = modelFolder("tiny-moe");
const noPrompt = new Int32Array();
const checkedFormat = (format: object): CheckedFormat => ({ json: checkFormat(format), thoughts: undefined });
/** Its end is hardly ever sampled. */
const ambiguous = { grammar: 'root ::= any "\\U0010FFFF"\nany ::= any any | . | "(" any ")"' };

it("is not kept", async () => {
  const tokenizer = (await Tokenizer.load(folder))!;
  const grammars = new Grammars(tokenizer, 1024);
  const given = vi.spyOn(CompiledGrammar.prototype, Symbol.dispose);
  const format = checkedFormat({ regex: `${".?".repeat(300)}.{300}` });
  const words = new Int32Array(32);
  const run = async (): Promise<number> => {
    using constraint = await grammars.constraint(format, noPrompt);
    for (let step = 0; step < 400; step++) {
      constraint.fillMask(words);
      const token = Array.from({ length: 1024 }, (_, id) => id).find(
        (id) => (words[id >> 5]! >>> (id & 31)) & 1,
      )!;
      constraint.accept(token);
    }
    return 400;
  };
  await expect(run()).rejects.toThrow(/^format: the grammar is too complex/);
  await expect(run()).rejects.toMatchObject({ code: "ERR_ARGUMENT_RANGE" });
  expect(given).toHaveBeenCalledTimes(2);
  using _one = await grammars.constraint(checkedFormat({ regex: "a" }), noPrompt);
  using _same = await grammars.constraint(checkedFormat({ regex: "a" }), noPrompt);
  expect(given).toHaveBeenCalledTimes(2);
  await grammars.close();
  expect(given).toHaveBeenCalledTimes(3); // the two were one
});

it("is there for each of a hundred requests at once that ask for different ones", async () => {
  const grammars = new Grammars((await Tokenizer.load(folder))!, 1024);
  const given = vi.spyOn(CompiledGrammar.prototype, Symbol.dispose);
  const formats = Array.from({ length: 100 }, (_, i) => checkedFormat({ choice: [`${i}`] }));
  const constraints = await Promise.all(formats.map((one) => grammars.constraint(one, noPrompt)));
  const words = new Int32Array(32);
  for (const one of constraints) expect(one.fillMask(words)).toBe(true);
  await new Promise((resolve) => setImmediate(resolve));
  expect(given).toHaveBeenCalledTimes(36); // 64 are kept
  for (const one of constraints) one[Symbol.dispose]();
  await grammars.close();
  await new Promise((resolve) => setImmediate(resolve));
  expect(given).toHaveBeenCalledTimes(100);
});

it("is called what whoever asked for it calls it", async () => {
  const grammars = new Grammars((await Tokenizer.load(folder))!, 1024);
  const regex = `${".?".repeat(300)}.{300}`;
  const format = checkedFormat({ parts: { regex, name: "guided_regex" } });
  using constraint = await grammars.constraint(format, noPrompt);
  const prepared = (async () => constraint.prepare())();
  await expect(prepared).rejects.toThrow(/^guided_regex: the grammar is too complex/);
  const levels = checkedFormat({
    parts: { regex: `${"(?:".repeat(400)}a${")*b".repeat(400)}`, name: "here" },
  });
  await expect(grammars.constraint(levels, noPrompt)).rejects.toThrow(/^here: /);
  await grammars.close();
});

it("leaves no matcher of a request that the engine does not take", async () => {
  await withLLM(folder, {}, async (llm) => {
    const given = vi.spyOn(Matcher.prototype, Symbol.dispose);
    vi.spyOn(Engine.prototype, "add").mockImplementationOnce(() => {
      throw new WarploopError("ERR_STALLED", "planned");
    });
    const text = llm.generate("x", { format: { regex: "ab" }, maxTokens: 4 }).text();
    await expect(text).rejects.toThrow("planned");
    expect(given).toHaveBeenCalledTimes(1);
  });
});

it("ends its request alone, when it is compiled or between two tokens", async () => {
  await withLLM(folder, { maxSequences: 6 }, async (llm) => {
    const other = { prompt: "Once upon a time", options: { maxTokens: 12, temperature: 1.2, seed: 3 } };
    const [expected] = await ask(llm, [other]);
    const beside = ask(llm, [other, other]);
    const levels = { regex: `${"(?:".repeat(400)}a${")*b".repeat(400)}` };
    const early = llm.generate("x", { format: levels, maxTokens: 4 }).text();
    const late = llm.generate("x", { format: ambiguous, maxTokens: 400, temperature: 1, seed: 1 }).text();
    const [first, second] = await Promise.allSettled([early, late]);
    for (const one of [first, second])
      expect(one).toMatchObject({ status: "rejected", reason: { code: "ERR_ARGUMENT_RANGE" } });
    expect((await beside).map(({ choices }) => choices)).toEqual([expected!.choices, expected!.choices]);
  });
});
