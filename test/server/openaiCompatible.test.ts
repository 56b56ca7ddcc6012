// Contract: the AI SDK's provider for OpenAI-compatible servers talks with ours: tools in several steps, thoughts, streams, usage,
// completions, embeddings; errors are its own, with what they say about trying again.
import { createOpenAICompatible, type OpenAICompatibleProvider } from "@ai-sdk/openai-compatible";
import { embedMany, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { afterAll, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { createApp } from "../../server/index.js";
import { HermesModel, ScriptedWriter, weatherCall, weatherTool } from "./hermes.js";
import { fetchOf } from "./support.js";

vi.stubGlobal("AI_SDK_LOG_WARNINGS", false);

let model: HermesModel;
let writer: ScriptedWriter;
let provider: OpenAICompatibleProvider;
let asked: string[];
beforeAll(async () => {
  model = await HermesModel.load();
});
beforeEach(() => {
  writer = new ScriptedWriter(model.llm);
  asked = [];
  const fetch = fetchOf(createApp({ writer }, { apiKeys: ["k"] }));
  const server = { name: "warploop", baseURL: "http://host/v1", apiKey: "k", includeUsage: true };
  provider = createOpenAICompatible({ ...server, fetch });
});
afterAll(async () => {
  await model[Symbol.asyncDispose]();
});

const tools = {
  get_weather: tool({
    description: weatherTool.description,
    inputSchema: jsonSchema<{ city: string }>(weatherTool.parameters as never),
    execute: async ({ city }: { city: string }) => {
      asked.push(city);
      return `${city.length} degrees`;
    },
  }),
};
const script = () => [
  `<think>\nI look.\n</think>\n\nBoth.\n${weatherCall("Oslo")}\n${weatherCall("Bergen")}`,
  "Cold.",
];
const request = () => ({
  model: provider("writer"),
  prompt: "How is the weather?",
  tools,
  stopWhen: stepCountIs(3),
  maxRetries: 0,
});

/** What the second step of the conversation has as its prompt, behind the tools. */
const history =
  "<|im_start|>user\nHow is the weather?<|im_end|>\n" +
  "<|im_start|>assistant\n<think>\nI look.\n</think>\n\nBoth." +
  `${weatherCall("Oslo")}${weatherCall("Bergen")}<|im_end|>\n` +
  "<|im_start|>user\n<tool_response>\n4 degrees\n</tool_response><|im_end|>\n" +
  "<|im_start|>user\n<tool_response>\n6 degrees\n</tool_response><|im_end|>\n<|im_start|>assistant\n";

it("calls tools in several steps and hears of their results", async () => {
  writer.script = script();
  const { text, steps, totalUsage } = await generateText(request());
  expect([text, asked]).toEqual(["Cold.", ["Oslo", "Bergen"]]);
  expect(steps.map(({ finishReason, reasoningText }) => [finishReason, reasoningText])).toEqual([
    ["tool-calls", "I look."],
    ["stop", undefined],
  ]);
  expect(steps[0]!.text.trim()).toBe("Both.");
  expect(writer.prompts[0]).toContain('"name": "get_weather"');
  expect(writer.prompts[1]!.endsWith(history), writer.prompts[1]).toBe(true);
  const { usage } = steps[0]!;
  expect(usage.outputTokenDetails.reasoningTokens).toBeGreaterThan(2);
  expect(usage.outputTokens).toBeGreaterThan(usage.outputTokenDetails.reasoningTokens!);
  expect(totalUsage.inputTokens).toBeGreaterThan(usage.inputTokens!);
});

it("streams the same, calls in pieces, with usage", async () => {
  writer.script = script();
  const { fullStream, steps, totalUsage } = streamText(request());
  let text = "";
  let reasoning = "";
  let numPieces = 0;
  for await (const part of fullStream) {
    if (part.type === "error") throw part.error;
    if (part.type === "text-delta") text += part.text;
    if (part.type === "reasoning-delta") reasoning += part.text;
    if (part.type === "tool-input-delta") numPieces++;
  }
  expect([text.replaceAll("\n", ""), reasoning.trim()]).toEqual(["Both.Cold.", "I look."]);
  expect(asked).toEqual(["Oslo", "Bergen"]);
  expect(numPieces).toBeGreaterThan(4);
  expect(writer.prompts[1]!.endsWith(history), writer.prompts[1]).toBe(true);
  const [first] = await steps;
  expect(first!.finishReason).toBe("tool-calls");
  expect(first!.usage.outputTokenDetails.reasoningTokens).toBeGreaterThan(2);
  expect((await totalUsage).inputTokens).toBeGreaterThan(first!.usage.inputTokens!);
});

it("completes texts and embeds them", async () => {
  const { text, usage, finishReason } = await generateText({
    ...{ model: provider.completionModel("writer"), prompt: "Once", maxOutputTokens: 4, maxRetries: 0 },
  });
  expect(["length", "stop"]).toContain(finishReason);
  expect([usage.outputTokens, text !== ""]).toEqual([4, true]);
  const values = ["a fox", "a badger"];
  const embedded = await embedMany({ model: provider.embeddingModel("writer"), values, maxRetries: 0 });
  expect(embedded.embeddings.map(({ length }) => length)).toEqual([256, 256]);
  expect(embedded.usage.tokens).toBeGreaterThan(1);
});

it("fails with errors of its own", async () => {
  const { prompt } = request();
  const ask = (name: string) => generateText({ model: provider(name), prompt, maxRetries: 0 });
  await expect(ask("other")).rejects.toMatchObject({
    ...{ name: "AI_APICallError", statusCode: 404, isRetryable: false },
    message: 'model: "other" is not served here; served are writer',
  });
  const limits = { requestsPerMinute: 1 };
  const fetch = fetchOf(createApp({ writer }, { limits }));
  const limited = createOpenAICompatible({ name: "warploop", baseURL: "http://host/v1", fetch });
  const again = () => generateText({ model: limited("writer"), prompt, maxRetries: 0 });
  await again();
  await expect(again()).rejects.toMatchObject({ statusCode: 429, isRetryable: true });
});
