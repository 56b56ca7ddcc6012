// Contract: a prompt that cannot fit is refused without being encoded, long prompts and bursts leave the event loop its turns
// and keep their order, and abort and close take effect while prompts are on their way.
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { LLM } from "../../lib/index.js";
import { Intake } from "../../lib/llm/intake.js";
import { Tokenization } from "../../lib/text/tokenization.js";
import { loadLLM } from "./checkpoints.js";
import { modelFolder } from "../text/checkpoint.js";
import { turnsDuring } from "../support/turns.js";

let llm: LLM;
const load = (): Promise<LLM> => loadLLM(modelFolder("tiny-moe"), { kvCacheBytes: 64 << 20 });
const tooLong = { name: "ArgumentRangeError", code: "ERR_CONTEXT_LENGTH" };
const words = (count: number): string => Array.from({ length: count }, (_, i) => `word${i}`).join(" ");

beforeAll(async () => {
  llm = await load();
});
afterAll(async () => {
  await llm.close();
});

describe("a text that cannot fit", () => {
  it.each([
    ["one word", "a".repeat(1_000_000)],
    ["emoji", "😀".repeat(500_000)],
    ["spaces", " ".repeat(1_000_000)],
    ["half surrogates", "\ud800".repeat(1_000_000)],
  ])("is refused by its length: %s", async (_, text) => {
    const encode = vi.spyOn(Tokenization.prototype, "encode");
    await expect(llm.generate(text, { maxTokens: 1 }).result()).rejects.toMatchObject(tooLong);
    expect(encode).not.toHaveBeenCalled();
    encode.mockRestore();
  });

  it("is encoded no further than the context", async () => {
    const encode = vi.spyOn(Tokenization.prototype, "encode");
    const text = words(2000);
    await expect(llm.generate(text, { maxTokens: 1 }).result()).rejects.toMatchObject(tooLong);
    const numChars = encode.mock.calls.reduce((sum, [piece]) => sum + piece.length, 0);
    encode.mockRestore();
    expect(numChars).toBeGreaterThan(0);
    expect(numChars).toBeLessThan(text.length / 2);
  });
});

describe("a burst", () => {
  it("of 300 texts starts in order while the event loop turns", async () => {
    const order: number[] = [];
    const text = words(60);
    const numTurns = await turnsDuring(() => {
      const streams = Array.from({ length: 300 }, (_, i) => llm.generate(`${i} ${text}`, { maxTokens: 1 }));
      for (const [i, stream] of streams.entries()) void stream.started.then(() => order.push(i));
      return Promise.all(streams.map((stream) => stream.started));
    });
    expect(order).toEqual([...order.keys()]);
    expect(numTurns).toBeGreaterThan(10);
  });

  it("of prompts in one call begins in turns, as they were when they were handed over", async () => {
    const prompts = Array.from({ length: 300 }, (_, i) => [1 + i, 2, 3]);
    const begun: number[] = [];
    const begin = vi.spyOn(Intake.prototype, "begin");
    const options = { maxTokens: 2, temperature: 0, logprobs: 0, ignoreEos: true };
    let isRunning = true;
    const turn = (): void => {
      begun.push(begin.mock.calls.length);
      if (isRunning) setImmediate(turn);
    };
    setImmediate(turn);
    const results = llm.generateAll(prompts, options);
    expect(begin.mock.calls.length).toBe(0);
    for (const prompt of prompts) prompt[0] = 5;
    const all = await results;
    isRunning = false;
    begin.mockRestore();
    expect(new Set(begun).size).toBeGreaterThan(3);
    expect(all.length).toBe(300);
    for (const i of [0, 100, 299]) {
      const alone = await llm.generate([1 + i, 2, 3], options).result();
      expect([all[i]!.tokenIds, all[i]!.logprobs]).toEqual([alone.tokenIds, alone.logprobs]);
    }
  });

  it("of prompts in one call draws each with a seed of its own, or all with the given one", async () => {
    const prompts = Array.from({ length: 8 }, () => [1, 2, 3]);
    const options = { maxTokens: 12, temperature: 2, ignoreEos: true };
    const texts = async (more: object) =>
      new Set((await llm.generateAll(prompts, { ...options, ...more })).map(({ text }) => text)).size;
    expect(await texts({})).toBeGreaterThan(4);
    expect(await texts({ seed: 3 })).toBe(1);
  });

  it("of one prompt's continuations gives what each gives alone", async () => {
    const prompt = [...llm.tokenizer!.encode(words(100))];
    const options = { maxTokens: 4, temperature: 1, ignoreEos: true };
    const { choices } = await llm.generate(prompt, { ...options, n: 256, seed: 5 }).result();
    expect(choices.map(({ index }) => index)).toEqual([...choices.keys()]);
    for (const index of [0, 1, 100, 255]) {
      const alone = await llm.generate(prompt, { ...options, seed: 5 + index }).result();
      expect(choices[index]!.tokenIds).toEqual(alone.tokenIds);
    }
  });

  it("of stop strings is searched for all of them", async () => {
    const { text } = await llm.generate("Once upon a time", { maxTokens: 40, temperature: 0 }).result();
    const stop = Array.from({ length: 20_000 }, (_, i) => `no such text ${i}`);
    const wanted = text.slice(20, 26);
    const options = { maxTokens: 40, temperature: 0, stop: [...stop, wanted], n: 2 };
    const result = await llm.generate("Once upon a time", options).result();
    expect(result.choices.map(({ stopReason }) => stopReason)).toEqual([wanted, wanted]);
    expect(result.text).toBe(text.slice(0, text.indexOf(wanted)));
  });

  it("of stop strings has a limit", () => {
    expect(() => llm.generate("x", { stop: ["x".repeat(2_000_001)] })).toThrow(
      expect.objectContaining({
        code: "ERR_ARGUMENT_RANGE",
        message: expect.stringContaining("stop") as string,
      }),
    );
  });
});

describe("while prompts are on their way", () => {
  const text = words(400);

  it("abort ends a generation that the engine does not know", async () => {
    const streams = Array.from({ length: 50 }, () => llm.generate(text, { maxTokens: 200, n: 2 }));
    const last = streams.at(-1)!;
    await streams[0]!.started;
    expect(await Promise.race([last.started.then(() => "started"), Promise.resolve("on its way")])).toBe(
      "on its way",
    );
    last.abort();
    const { choices, usage } = await last.result();
    expect(choices.map(({ finishReason, text }) => [finishReason, text])).toEqual([
      ["abort", ""],
      ["abort", ""],
    ]);
    expect(usage.completionTokens).toBe(0);
    await last.started;
    for (const stream of streams) stream.abort();
    await Promise.all(streams.map((stream) => stream.result()));
    llm.checkIntegrity();
  });

  it("close ends prompts of one call that have not begun, with time for those that it is given", async () => {
    for (const [drainMs, reason] of [
      [0, "abort"],
      [60_000, "length"],
    ] as const) {
      const own = await load();
      const results = own.generateAll(
        Array.from({ length: 200 }, () => text),
        { maxTokens: 2, ignoreEos: true },
      );
      await own.close({ drainMs });
      expect(new Set((await results).map(({ finishReason }) => finishReason))).toEqual(new Set([reason]));
    }
  });

  it("close ends all of them, with time for those that it is given", async () => {
    for (const [drainMs, reason] of [
      [0, "abort"],
      [60_000, "length"],
    ] as const) {
      const own = await load();
      const streams = Array.from({ length: 50 }, () => own.generate(text, { maxTokens: 2, ignoreEos: true }));
      await own.close({ drainMs });
      const results = await Promise.all(streams.map((stream) => stream.result()));
      expect(new Set(results.map(({ finishReason }) => finishReason))).toEqual(new Set([reason]));
    }
  });
});
