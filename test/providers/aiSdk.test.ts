// Contract: a loaded model answers the AI SDK as it answers its own API: texts, streams, usage, aborts, vectors, names.
import {
  createProviderRegistry,
  embed,
  embedMany,
  generateObject,
  generateText,
  Output,
  streamObject,
  streamText,
} from "ai";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { LLM } from "../../lib/index.js";
import { createWarploop, embeddingModel, languageModel } from "../../providers/aiSdk/index.js";
import { until } from "../llm/checkpoints.js";

let llm: LLM;
beforeAll(async () => {
  llm = await LLM.load("models/tiny-moe", { device: "cpu", threads: 1, contextLength: 256 });
});
afterEach(async () => {
  await until(() => llm.stats().stepsInFlight === 0);
  expect(llm.stats()).toMatchObject({ running: 0, waiting: 0, state: "running" });
});
afterAll(() => llm.close());

const system = "You tell stories.";
const prompt = "Please tell me about Tala.";
const messages = [
  { role: "system", content: system },
  { role: "user", content: prompt },
];

describe("objects", () => {
  const schema = z.strictObject({
    name: z.string().max(6),
    age: z.int().min(0).max(99),
    is: z.enum(["a", "b"]),
  });
  const hot = { prompt, temperature: 1.5, seed: 3, maxOutputTokens: 100, maxRetries: 0 };

  it("are valid: generateObject, streamObject, Output.object, and without a schema", async () => {
    const request = { ...hot, model: languageModel(llm), schema };
    const { object, finishReason } = await generateObject(request);
    expect([schema.parse(object), finishReason]).toEqual([object, "stop"]);
    const streamed = streamObject(request);
    const partial: unknown[] = [];
    for await (const one of streamed.partialObjectStream) partial.push(one);
    expect(partial.length).toBeGreaterThan(2);
    expect(await streamed.object).toEqual(object);
    const { output } = await generateText({
      ...hot,
      model: request.model,
      output: Output.object({ schema }),
    });
    expect(output).toEqual(object);
    const any = { ...hot, model: request.model, output: "no-schema" as const, temperature: 0 };
    expect((await generateObject(any)).object).toBeTypeOf("object");
  });

  it("of a schema that is not supported are refused by its place", async () => {
    const strange = z.object({ a: z.record(z.string(), z.string()).meta({ nope: 2 }) });
    const refused = generateObject({ ...hot, model: languageModel(llm), schema: strange });
    await expect(refused).rejects.toThrow(
      "responseFormat.schema: /properties/a/nope: this keyword is not supported",
    );
  });
});

describe("languageModel", () => {
  it("generates and streams what chat does", async () => {
    const expected = await llm.chat(messages, { maxTokens: 20, temperature: 0.8, seed: 3 }).result();
    const options = {
      model: languageModel(llm),
      ...{ system, prompt },
      maxOutputTokens: 20,
      temperature: 0.8,
      seed: 3,
    };
    const { promptTokens, completionTokens } = expected.usage;
    const usage = { inputTokens: promptTokens, outputTokens: completionTokens };
    const whole = await generateText(options);
    expect(whole).toMatchObject({ text: expected.text, finishReason: expected.finishReason, usage });
    expect(whole.response.modelId).toBe("Qwen3MoeForCausalLM");
    const streamed = streamText(options);
    const pieces: string[] = [];
    for await (const piece of streamed.textStream) pieces.push(piece);
    expect(pieces.join("")).toBe(expected.text);
    expect(pieces.length).toBeGreaterThan(3);
    expect(await streamed.usage).toMatchObject(usage);
  });

  it("ends at a stop sequence", async () => {
    const { text } = await llm.chat(messages, { maxTokens: 40, temperature: 0 }).result();
    const stop = text.slice(12, 16);
    const options = {
      model: languageModel(llm),
      ...{ system, prompt },
      maxOutputTokens: 40,
      temperature: 0,
    };
    const result = await generateText({ ...options, stopSequences: [stop] });
    expect(result).toMatchObject({ text: text.slice(0, text.indexOf(stop)), finishReason: "stop" });
  });

  const endless = { system, prompt, providerOptions: { warploop: { ignoreEos: true } } };

  it("is aborted before, while it generates, and while it streams", async () => {
    const model = languageModel(llm);
    const reason = new DOMException("enough", "AbortError");
    const before = generateText({ model, ...endless, abortSignal: AbortSignal.abort(reason) });
    await expect(before).rejects.toBe(reason);
    const controller = new AbortController();
    const during = generateText({ model, ...endless, abortSignal: controller.signal });
    setTimeout(() => controller.abort(reason), 30);
    await expect(during).rejects.toBe(reason);
    const other = new AbortController();
    const types: string[] = [];
    for await (const { type } of streamText({ model, ...endless, abortSignal: other.signal }).fullStream) {
      types.push(type);
      if (type === "text-delta") other.abort(reason);
    }
    expect(types).toContain("abort");
    expect(types).not.toContain("finish");
  });

  it("stops when nobody reads on", async () => {
    const content = [{ type: "text", text: "Hello" } as const];
    const { stream } = await languageModel(llm).doStream({
      prompt: [{ role: "user", content }],
      providerOptions: { warploop: { ignoreEos: true } },
    });
    const before = llm.stats().generatedTokens;
    const reader = stream.getReader();
    while ((await reader.read()).value?.type !== "text-delta");
    await reader.cancel();
    await until(() => llm.stats().running === 0);
    expect(llm.stats().generatedTokens - before).toBeLessThan(100); // of more than 200 that fit
  });

  it("says what is wrong before anything is streamed", async () => {
    const model = languageModel(llm);
    const long = generateText({ model, prompt: "word ".repeat(500) });
    await expect(long).rejects.toMatchObject({ code: "ERR_CONTEXT_LENGTH" });
    await expect(generateText({ model, prompt: "x", temperature: -1 })).rejects.toThrow(/^temperature: /);
    const named = languageModel(llm, { toolFormat: "hermess" });
    await expect(generateText({ model: named, prompt: "x" })).rejects.toThrow(
      /^formatOf: tools: .*"hermess"/,
    );
    const tools = [{ type: "function", name: "f", inputSchema: {} } as const];
    const content = [{ type: "text", text: "x" } as const];
    await expect(model.doStream({ prompt: [{ role: "user", content }], tools })).rejects.toThrow(
      /^tools: the chat template/,
    );
  });
});

describe("embeddingModel", () => {
  it("gives the vectors of llm.embed, and counts tokens", async () => {
    const values = ["a small fox", "the sea at night", ""].slice(0, 2);
    const model = embeddingModel(llm);
    const many = await embedMany({ model, values });
    expect(many.embeddings).toEqual((await llm.embed(values)).map((vector) => [...vector]));
    const counts = await Promise.all(values.map((value) => llm.countTokens(value)));
    expect(many.usage.tokens).toBe(counts[0]! + counts[1]!);
    const warploop = { pooling: "mean", dimensions: 8, normalize: false } as const;
    const one = await embed({ model, value: values[0]!, providerOptions: { warploop } });
    expect(one.embedding).toEqual([...(await llm.embed([values[0]!], warploop))[0]!]);
    await expect(
      embed({ model, value: "x", providerOptions: { warploop: { size: 3 } } }),
    ).rejects.toMatchObject({
      code: "ERR_UNKNOWN_OPTION",
    });
    await expect(embed({ model, value: "x", abortSignal: AbortSignal.abort() })).rejects.toThrow("aborted");
  });
});

describe("createWarploop", () => {
  it("has models by name, also in a registry", async () => {
    const warploop = createWarploop({ tiny: llm, plain: { llm, reasoningFormat: null } });
    expect(warploop("tiny")).toBe(warploop.languageModel("tiny"));
    expect(warploop("plain").modelId).toBe("plain");
    const registry = createProviderRegistry({ warploop });
    const options = { maxOutputTokens: 5, temperature: 0, prompt: "Hello" };
    const { text } = await generateText({ model: registry.languageModel("warploop:tiny"), ...options });
    expect(text).toBe(
      await llm.chat([{ role: "user", content: "Hello" }], { maxTokens: 5, temperature: 0 }).text(),
    );
    const { embedding } = await embed({ model: registry.embeddingModel("warploop:plain"), value: "x" });
    expect(embedding).toHaveLength(llm.shape.hiddenSize);
    expect(() => warploop("large")).toThrow('there is no model "large"; there are tiny, plain');
    expect(() => warploop("toString")).toThrow(expect.objectContaining({ name: "AI_NoSuchModelError" }));
    expect(() => warploop.imageModel("tiny")).toThrow("warploop has no image models");
  });
});
