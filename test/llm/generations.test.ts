// Contract: a generation can be iterated, awaited, or both, in any order; `started` tells what is wrong with a prompt before the
// first token; `generateAll` says which prompt failed, and with "settle" lets the others finish.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GenerateAllOptions } from "../../lib/llm/generateAll.js";
import type { Prompt } from "../../lib/llm/prompt.js";
import type { GenerationStream } from "../../lib/llm/generationStream.js";
import type { LLM } from "../../lib/llm/llm.js";
import type { GenerateChunk } from "../../lib/llm/output.js";
import { GenerateAllError, WarploopError } from "../../lib/errors.js";
import { loadLLM, modelFolder, textGolden } from "./checkpoints.js";

const story = textGolden("tiny-moe", "Once");
const tooLong = new Array<number>(2000).fill(1);
const longPrompt = { code: "ERR_CONTEXT_LENGTH" };
let llm: LLM;
beforeAll(async () => (llm = await loadLLM(modelFolder("tiny-moe"), { contextLength: 1024 })));
afterAll(() => llm.close());

async function read(generation: GenerationStream): Promise<GenerateChunk[]> {
  const chunks: GenerateChunk[] = [];
  for await (const chunk of generation) chunks.push(chunk);
  return chunks;
}

const textOf = (chunks: readonly GenerateChunk[]) => chunks.map(({ text }) => text).join("");

describe("result()", () => {
  const start = () => llm.generate(story.prompt, { maxTokens: 8 });

  it("before, while and after the chunks are iterated, the same promise each time", async () => {
    const generation = start();
    const before = generation.result();
    const during: Promise<unknown>[] = [];
    const chunks: GenerateChunk[] = [];
    for await (const chunk of generation) {
      during.push(generation.result());
      chunks.push(chunk);
    }
    expect(generation.result()).toBe(before);
    for (const promise of during) expect(promise).toBe(before);
    const result = await before;
    expect(result.tokenIds).toEqual(story.greedy_ids.slice(0, 8));
    expect(textOf(chunks)).toBe(result.text);
    expect(await generation.text()).toBe(result.text);
  });

  it("and then the chunks, which are all there", async () => {
    const generation = start();
    const { text } = await generation.result();
    expect(textOf(await read(generation))).toBe(text);
  });

  it("while two wait for it", async () => {
    const generation = start();
    const [a, b] = await Promise.all([generation.result(), generation.result()]);
    expect(a).toBe(b);
  });

  it("of a loop that was left early is what came until then", async () => {
    const generation = llm.generate(story.prompt, { maxTokens: 400, ignoreEos: true });
    for await (const chunk of generation) if (chunk.tokenIds.length > 0) break;
    const result = await generation.result();
    expect(result.finishReason).toBe("abort");
    expect(result.tokenIds.length).toBeGreaterThan(0);
    expect(result.tokenIds.length).toBeLessThan(400);
  });

  it("rejects with what the loop throws, and nobody has to wait for it", async () => {
    const generation = llm.generate(tooLong);
    const unseen = generation.result(); // an unhandled rejection would end the test run
    await expect(read(generation)).rejects.toMatchObject(longPrompt);
    await expect(unseen).rejects.toMatchObject(longPrompt);
    await expect(generation.text()).rejects.toMatchObject(longPrompt);
  });

  it("of n continuations, with their chunks interleaved", async () => {
    const generation = llm.generate(story.prompt, { n: 3, maxTokens: 6, temperature: 1.5, seed: 3 });
    const chunks = await read(generation);
    for (const { index, text, tokenIds } of (await generation.result()).choices) {
      const own = chunks.filter((chunk) => chunk.index === index);
      expect(textOf(own)).toBe(text);
      expect(own.flatMap((chunk) => chunk.tokenIds)).toEqual(tokenIds);
    }
  });

  it("leaves the chunks to one loop", async () => {
    const generation = start();
    await read(generation);
    await expect(read(generation)).rejects.toMatchObject({ code: "ERR_ARGUMENT_TYPE" });
    await generation.result();
  });
});

describe("started", () => {
  it("resolves before the first token", async () => {
    const generation = llm.generate(story.prompt, { maxTokens: 3 });
    const order: string[] = [];
    const watched = generation.started.then(() => order.push("started"));
    for await (const chunk of generation) order.push(chunk.finishReason ?? "chunk");
    await watched;
    expect(order).toEqual(["started", "chunk", "chunk", "chunk", "length"]);
  });

  it.each<{ name: string; prompt: Prompt; code: string }>([
    { name: "too long", prompt: tooLong, code: "ERR_CONTEXT_LENGTH" },
    { name: "empty", prompt: "", code: "ERR_ARGUMENT_RANGE" },
  ])("rejects for a prompt that is $name", async ({ prompt, code }) => {
    const generation = llm.generate(prompt, { n: 2 });
    await expect(generation.started).rejects.toMatchObject({ code });
    await expect(generation.result()).rejects.toMatchObject({ code });
  });

  it("resolves for a generation that was aborted before it began", async () => {
    const generation = llm.generate(story.prompt);
    generation.abort();
    await generation.started;
    expect((await generation.result()).finishReason).toBe("abort");
  });
});

describe("generateAll", () => {
  it("gives results in the order of the prompts", async () => {
    const prompts = [story.prompt, story.prompt_ids, Int32Array.from(story.prompt_ids)];
    const results = await llm.generateAll(prompts, { maxTokens: 8, progress: false });
    for (const { tokenIds } of results) expect(tokenIds).toEqual(story.greedy_ids.slice(0, 8));
    expect(await llm.generateAll([])).toEqual([]);
    expect(await llm.generateAll([], { onError: "settle" })).toEqual([]);
  });

  it("throws the first failure with the index of its prompt, and ends the others", async () => {
    const prompts = [story.prompt, tooLong, story.prompt];
    const error = await llm
      .generateAll(prompts, { maxTokens: 500, ignoreEos: true })
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(GenerateAllError);
    expect(error).toBeInstanceOf(WarploopError);
    const { requestId, message } = error as GenerateAllError;
    expect(error).toMatchObject({ index: 1, ...longPrompt, cause: longPrompt });
    expect(message).toMatch(/^prompts\[1\]: /);
    expect(message.split(requestId!)).toHaveLength(2); // named once
    expect(llm.stats()).toMatchObject({ running: 0, waiting: 0 });
  });

  it("settles each prompt by itself", async () => {
    const sparse = new Array<Prompt>(5); // a hole at 3
    const prompts = Object.assign(sparse, { 0: story.prompt, 1: tooLong, 2: story.prompt_ids, 4: "" });
    const settled = await llm.generateAll(prompts, { maxTokens: 8, onError: "settle" });
    expect(settled.map(({ status }) => status)).toEqual([
      "fulfilled",
      "rejected",
      "fulfilled",
      "rejected",
      "rejected",
    ]);
    const reasons = settled.flatMap((one) => (one.status === "rejected" ? [one.reason as unknown] : []));
    expect(reasons).toMatchObject([
      { index: 1, code: "ERR_CONTEXT_LENGTH" },
      { index: 3, code: "ERR_ARGUMENT_TYPE", requestId: undefined },
      { index: 4, code: "ERR_ARGUMENT_RANGE" },
    ]);
    llm.checkIntegrity();
  });

  it("refuses options as options, not as a fault of a prompt", async () => {
    const odd = { onError: "ignore" } as unknown as GenerateAllOptions;
    await expect(llm.generateAll([], odd)).rejects.toMatchObject({ name: "ArgumentRangeError" });
    await expect(llm.generateAll(["x"], { maxTokens: -1 })).rejects.toMatchObject({
      name: "ArgumentRangeError",
      message: expect.stringMatching(/^maxTokens/) as string,
    });
  });
});
