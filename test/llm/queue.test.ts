// Contract: urgent requests pass others, equal ones are served as they came; with maxWaiting no more are open than may run and wait, each gives its
// place back however it ends, and what is refused says so at once.
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { GenerateOptions, LLM } from "../../lib/index.js";
import { goldenFolder, loadLLM, until } from "./checkpoints.js";

const folder = goldenFolder("qwen3");
const ends: GenerateOptions = { maxTokens: 6, ignoreEos: true };
const full = (asked: number, open: number, most: number) =>
  expect.objectContaining({ name: "QueueFullError", code: "ERR_QUEUE_FULL", asked, open, most }) as Error;

describe("priority", () => {
  it("is what waiting requests are served by, then their order", async () => {
    await using llm = await loadLLM(folder, { maxSequences: 1 });
    const order: string[] = [];
    const running = llm.generate([9], { ignoreEos: true });
    await until(() => llm.stats().running === 1);
    const asks = [5, 0, undefined, -2, 5, 2 ** 31 - 1, -(2 ** 31)].map(async (priority, i) => {
      await llm.generate([1, 2, 3 + i], { ...ends, priority }).result();
      order.push(`${i}`);
    });
    await until(() => llm.stats().waiting === asks.length);
    running.abort();
    await Promise.all(asks);
    expect(order.join("")).toBe("6312045");
  });

  it("changes no token", async () => {
    const prompts = [4, 5, 6, 7].map((first) => Array.from({ length: 50 }, (_, i) => (first * i) % 380));
    const options = { maxTokens: 120, ignoreEos: true };
    await using alone = await loadLLM(folder, { dtype: "bf16" });
    const expected = await Promise.all(prompts.map((one) => alone.generate(one, options).result()));
    // 16 pages of 16 tokens, 1 KB each.
    const small = { kvCacheBytes: 17 * 16 * 1024, dtype: "bf16", contextLength: 256 } as const;
    await using llm = await loadLLM(folder, small);
    const streams = prompts.map((one, i) => llm.generate(one, { ...options, priority: 10 - i }));
    const results = await Promise.all(streams.map((stream) => stream.result()));
    expect(results.map(({ tokenIds }) => tokenIds)).toEqual(expected.map(({ tokenIds }) => tokenIds));
    expect(llm.stats().preemptions).toBeGreaterThan(0);
  });
});

describe("maxWaiting", () => {
  let llm: LLM;
  beforeAll(async () => {
    llm = await loadLLM(folder, { maxSequences: 1, maxWaiting: 2, contextLength: 64 });
  });
  afterEach(async () => {
    await until(() => llm.stats().running + llm.stats().waiting === 0);
    // Every place is there again, and not one more.
    const streams = [1, 2, 3].map((id) => llm.generate([id], ends));
    expect(() => llm.generate([1], ends)).toThrow(full(1, 3, 3));
    await Promise.all(streams.map((stream) => stream.result()));
  });
  afterAll(() => llm.close());

  it("counts continuations", async () => {
    const two = llm.generate([1], { ...ends, n: 2 });
    expect(() => llm.generate([1], { ...ends, n: 2 })).toThrow(full(2, 2, 3));
    const one = llm.generate([1], ends);
    expect(() => llm.generate([1], ends)).toThrow(
      "a request is refused: 3 of 3 places (maxSequences + maxWaiting) are taken",
    );
    await Promise.all([one.result(), two.result()]);
    await llm.generate([1], { ...ends, n: 3 }).result();
  });

  const endings: Readonly<Record<string, () => Promise<unknown>>> = {
    "an abort before the start": () => llm.generate([1], { signal: AbortSignal.abort(), n: 3 }).result(),
    "an abort on the way": () => {
      const stream = llm.generate([1, 2], { ...ends, n: 3 });
      stream.abort();
      return stream.result();
    },
    "an abort while it runs": async () => {
      const stream = llm.generate([1, 2], { ...ends, n: 3 });
      for await (const _ of stream) break;
      await stream.result();
    },
    "a prompt that is too long": () =>
      expect(llm.generate(new Int32Array(64).fill(1), { n: 3 }).result()).rejects.toMatchObject({
        code: "ERR_CONTEXT_LENGTH",
      }),
    "a request that leaves no token": () => {
      const logitBias = Object.fromEntries(
        Array.from({ length: llm.shape.vocabSize }, (_, id) => [id, -Infinity]),
      );
      return expect(llm.generate([1], { ...ends, logitBias, n: 2 }).result()).rejects.toMatchObject({
        code: "ERR_ALL_BANNED",
      });
    },
  };
  it.each(Object.keys(endings))("gives places back after %s", async (name) => {
    await endings[name]!();
  });

  it("makes generateAll wait for room, also beside others", async () => {
    const other = llm.generate([9], { ...ends, maxTokens: 40 });
    const prompts = Array.from({ length: 20 }, (_, i) => [1 + i, 2]);
    const results = await llm.generateAll(prompts, ends);
    expect(results).toHaveLength(20);
    const alone = await llm.generate([5, 2], ends).result();
    expect(results[4]!.tokenIds).toEqual(alone.tokenIds);
    await other.result();
    const tooMany = llm.generateAll([[1]], { ...ends, n: 4 });
    await expect(tooMany).rejects.toMatchObject({ code: "ERR_QUEUE_FULL", index: 0 });
  });

  it("does not keep a model from closing while generateAll waits", async () => {
    const other = await loadLLM(folder, { maxSequences: 1, maxWaiting: 0 });
    const prompts = Array.from({ length: 5 }, (_, i) => [1 + i]);
    const long = { maxTokens: 300, ignoreEos: true };
    const results = other.generateAll(prompts, long);
    await until(() => other.stats().running === 1);
    await other.close();
    expect((await results).map(({ finishReason }) => finishReason)).toEqual(Array(5).fill("abort"));
  });
});
