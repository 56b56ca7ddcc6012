// Contract: a generation may be ended in any state and a model closed at any time; every request then ends exactly once,
// nothing stays allocated, and what has not ended goes on unchanged.
import { getEventListeners } from "node:events";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { LLMOptions } from "../../lib/llm/engineOptions.js";
import type { GenerationStream } from "../../lib/llm/generationStream.js";
import type { LLM } from "../../lib/llm/llm.js";
import type { GenerateChunk } from "../../lib/llm/output.js";
import { native } from "../../lib/device/native.js";
import { goldenFolder, loadLLM, modelFolder, textGolden, until } from "./checkpoints.js";

const folder = goldenFolder("qwen3");
const long = { maxTokens: 400, ignoreEos: true };
const prompt = (length: number) => Array.from({ length }, (_, i) => i % 380);

let before: ReturnType<typeof native.liveHandles>;
const rejections: unknown[] = [];
const onRejection = (reason: unknown): void => void rejections.push(reason);
beforeAll(() => void process.on("unhandledRejection", onRejection));
afterAll(() => void process.off("unhandledRejection", onRejection));
beforeEach(() => {
  before = native.liveHandles();
});
afterEach(async () => {
  await new Promise((resolve) => setTimeout(resolve, 5)); // node reports a rejection after the microtasks
  expect(rejections).toEqual([]);
  expect(native.liveHandles()).toEqual(before);
});

/** 16 pages of 16 tokens, 1 KB each: two long requests do not fit. */
const smallPool: LLMOptions = { kvCacheBytes: 17 * 16 * 1024, dtype: "bf16", contextLength: 256 };

const load = (options: LLMOptions = {}) => loadLLM(folder, options);

/** Reads a stream to its end: the chunks, of which exactly one per continuation may say that it is the last. */
async function read(stream: GenerationStream): Promise<GenerateChunk[]> {
  const chunks: GenerateChunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  const last = chunks.filter(({ finishReason }) => finishReason !== null).map(({ index }) => index);
  expect(new Set(last).size).toBe(last.length);
  return chunks;
}

const endOf = (chunks: readonly GenerateChunk[]) => chunks.at(-1)!.finishReason;

/** Waits until nothing runs, and checks that no page is lost and a new request gets what it should. */
async function expectClean(llm: LLM): Promise<void> {
  await until(() => llm.stats().stepsInFlight === 0);
  expect(llm.stats()).toMatchObject({ running: 0, waiting: 0, usedPages: 0, state: "running" });
  llm.checkIntegrity();
  const { tokenIds } = await llm.generate([1, 2, 3], { maxTokens: 4, ignoreEos: true }).result();
  expect(tokenIds).toHaveLength(4);
}

describe("an abort", () => {
  it("before the start gives an empty result", async () => {
    await using llm = await load();
    const result = await llm.generate([1, 2], { ...long, n: 2, signal: AbortSignal.abort() }).result();
    expect(result).toMatchObject({ finishReason: "abort", stopReason: null, tokenIds: [], text: "" });
    expect(result.usage).toEqual({ promptTokens: 2, completionTokens: 0, cachedTokens: 0 });
    expect(llm.stats().steps).toBe(0);
    const stream = llm.generate([1, 2], long);
    stream.abort(); // in the same turn of the event loop
    expect(endOf(await read(stream))).toBe("abort");
    await expectClean(llm);
  });

  it("while waiting, and while prefilling", async () => {
    await using llm = await load({ maxSequences: 1, maxStepTokens: 8 });
    const controller = new AbortController();
    const prefilling = llm.generate(prompt(300), long);
    const waiting = llm.generate(prompt(10), { ...long, signal: controller.signal });
    await until(() => llm.stats().computedTokens > 0);
    expect(llm.stats()).toMatchObject({ running: 1, waiting: 1, generatedTokens: 0 });
    controller.abort();
    prefilling.abort();
    expect((await read(prefilling)).map(({ finishReason }) => finishReason)).toEqual(["abort"]);
    expect((await read(waiting)).map(({ finishReason }) => finishReason)).toEqual(["abort"]);
    await expectClean(llm);
  });

  it("while decoding keeps what was there, and the neighbours go on", async () => {
    await using llm = await load();
    const [stream, other] = [llm.generate([1, 2], long), llm.generate([3, 4], { ...long, maxTokens: 60 })];
    const seen: GenerateChunk[] = [];
    for await (const chunk of stream) {
      seen.push(chunk);
      if (seen.length === 5) stream.abort();
    }
    const { index, finishReason, usage } = seen.at(-1)!;
    expect({ index, finishReason }).toEqual({ index: 0, finishReason: "abort" });
    expect(usage!.completionTokens).toBe(seen.flatMap(({ tokenIds }) => tokenIds).length);
    stream.abort(); // after the end
    const { tokenIds } = await other.result();
    expect(tokenIds).toEqual((await llm.generate([3, 4], { ...long, maxTokens: 60 }).result()).tokenIds);
    await expectClean(llm);
  });

  it("of preempted requests", async () => {
    await using llm = await load(smallPool);
    const streams = Array.from({ length: 6 }, (_, i) =>
      llm.generate([i, ...prompt(40)], { ...long, maxTokens: 190 }),
    );
    const reads = streams.map(read);
    await until(() => llm.stats().preemptions > 0 && llm.stats().waiting > 0);
    for (const stream of streams.slice(0, 5)) stream.abort();
    const ends = (await Promise.all(reads)).map(endOf);
    expect(ends).toEqual(["abort", "abort", "abort", "abort", "abort", "length"]);
    await expectClean(llm);
  });

  it("on the final step ends once", async () => {
    await using llm = await load();
    for (let maxTokens = 1; maxTokens <= 6; maxTokens++) {
      const stream = llm.generate([1, 2, maxTokens], { maxTokens, ignoreEos: true });
      let tokens = 0;
      let ends = 0;
      for await (const { tokenIds, finishReason } of stream) {
        tokens += tokenIds.length;
        if (tokens === maxTokens - 1) stream.abort(); // the last token is on its way
        if (finishReason !== null) ends++;
      }
      expect(ends).toBe(1);
    }
    await expectClean(llm);
  });

  it("by leaving the loop", async () => {
    await using llm = await load();
    for await (const chunk of llm.generate([1, 2], long)) if (chunk.tokenIds.length > 0) break;
    await expectClean(llm);
    expect(llm.stats().generatedTokens).toBeLessThan(20);
    const consume = async () => {
      for await (const _ of llm.generate([1, 2], long)) throw new Error(`planned ${typeof _}`);
    };
    await expect(consume()).rejects.toThrow("planned");
    await expectClean(llm);
  });

  it("by one signal for many generations ends all of them, without a warning", async () => {
    await using llm = await load();
    const warnings: Error[] = [];
    const note = (warning: Error): void => void warnings.push(warning);
    process.on("warning", note);
    const controller = new AbortController();
    const { signal } = controller;
    const streams = Array.from({ length: 40 }, (_, i) => llm.generate([1 + i], { ...long, signal }));
    expect(getEventListeners(signal, "abort").length).toBe(1);
    await streams[0]!.started;
    controller.abort();
    const results = await Promise.all(streams.map((stream) => stream.result()));
    expect(new Set(results.map(({ finishReason }) => finishReason))).toEqual(new Set(["abort"]));
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", note);
    expect(warnings).toEqual([]);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  it("leaves no listener on the signal, whatever the end", async () => {
    await using llm = await load();
    const { signal } = new AbortController();
    await llm.generate([1], { maxTokens: 2, n: 3, signal }).result();
    await expect(llm.generate(prompt(600), { signal }).result()).rejects.toThrow("600 tokens");
    await expect(llm.generate([], { n: 2, signal }).result()).rejects.toThrow("prompt");
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

describe("refused requests", () => {
  it("leave the others running", async () => {
    await using llm = await load({ contextLength: 100 });
    const running = llm.generate([1, 2], { ...long, maxTokens: 50 }).result();
    const refused = { name: "ArgumentRangeError", code: "ERR_CONTEXT_LENGTH" };
    await expect(llm.generate(prompt(100), {}).result()).rejects.toMatchObject(refused);
    await expect(llm.logits(prompt(100))).rejects.toMatchObject(refused);
    expect((await llm.generate(prompt(99), long).result()).tokenIds).toHaveLength(1);
    expect((await running).tokenIds).toHaveLength(50);
    await expectClean(llm);
  });
});

describe("close", () => {
  it("aborts what runs, also before it has started", async () => {
    const llm = await load({ maxSequences: 2 });
    const decoding = [0, 1, 2].map((i) => llm.generate([1, i], long));
    const reads = decoding.map(read);
    await until(() => llm.stats().generatedTokens > 6);
    const fresh = read(llm.generate([1, 2], long));
    const closing = llm.close();
    expect(llm.close()).toBe(closing); // idempotent
    for (const chunks of await Promise.all([...reads, fresh])) expect(endOf(chunks)).toBe("abort");
    await closing;
    await llm.close();
  });

  it("with drainMs lets what was accepted finish, also text that is still being encoded", async () => {
    const { prompt: start, greedy_ids: expected } = textGolden("tiny-draft", "fox named Wren lived near");
    const llm = await loadLLM(modelFolder("tiny-draft"), { dtype: "f32" });
    const running = llm.generate(start).result();
    await until(() => llm.stats().generatedTokens > 3);
    const accepted = [start, "word ".repeat(900)].map((text) =>
      llm.generate(text, { maxTokens: 3 }).result(),
    );
    await llm.close({ drainMs: 60_000 });
    expect((await running).tokenIds).toEqual(expected);
    for (const one of accepted) expect((await one).tokenIds).toHaveLength(3);
  });

  it("with a drainMs that is too short aborts the rest", async () => {
    const llm = await load({ maxSequences: 1 });
    const reads = [0, 1, 2, 3].map(() => read(llm.generate([1, 2], { ...long, maxTokens: 500 })));
    await llm.close({ drainMs: 30 });
    expect((await Promise.all(reads)).map(endOf)).toContain("abort");
  });

  it("refuses later calls", async () => {
    const llm = await load();
    const logits = llm.logits(prompt(400));
    const aborted = expect(logits).rejects.toMatchObject({ code: "ERR_ABORTED" });
    const closing = llm.close();
    const closed = expect.objectContaining({ name: "ClosedError", code: "ERR_CLOSED" }) as Error;
    expect(() => llm.generate([1])).toThrow(closed);
    await closing;
    await aborted;
    expect(() => llm.generate([1])).toThrow(closed);
    expect(() => llm.chat([{ role: "user", content: "x" }])).toThrow(closed);
    await expect(llm.logits([1])).rejects.toThrow(closed);
    await expect(llm.generateAll([[1]])).rejects.toThrow(closed);
    llm.checkIntegrity();
    expect(llm.stats().state).toBe("closed");
  });

  it("comes with `await using`, and of nothing but an idle model", async () => {
    let kept: LLM;
    {
      await using llm = await load();
      kept = llm;
    }
    expect(() => kept.generate([1])).toThrow("closed");
  });
});

describe("several models", () => {
  it("run side by side", async () => {
    await using a = await load({ threads: 1 });
    await using b = await loadLLM(goldenFolder("mixtral"), { threads: 2 });
    const ask = (llm: LLM) => llm.generate([5, 6, 7], { ...long, maxTokens: 80 }).result();
    const [aloneA, aloneB] = [await ask(a), await ask(b)];
    const together = await Promise.all([ask(a), ask(b), ask(a), ask(b)]);
    expect(together.map(({ tokenIds }) => tokenIds)).toEqual(
      [aloneA, aloneB, aloneA, aloneB].map(({ tokenIds }) => tokenIds),
    );
  });
});

describe("the event loop", () => {
  it("goes on while a step runs", async () => {
    await using llm = await loadLLM(modelFolder("tiny-moe"), { dtype: "f32", maxStepTokens: 2000 });
    const generation = llm.generate(prompt(1900), { maxTokens: 1 }).result();
    await until(() => llm.stats().stepsInFlight > 0);
    let turns = 0;
    while (llm.stats().steps === 0) {
      await new Promise((resolve) => setImmediate(resolve));
      turns++;
    }
    expect(turns).toBeGreaterThan(20); // one step of some hundred ms
    await generation;
  });
});
