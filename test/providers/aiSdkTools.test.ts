// Contract: through the AI SDK a model calls tools in several steps, thinks, and hears of their results in its template's form; the parts of
// its stream are those of LanguageModelV3; what cannot be done is refused by name or warned of, and malformed calls are not run.
import type { LanguageModelV3CallOptions, LanguageModelV3StreamPart } from "@ai-sdk/provider";
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { describe, expect, it, vi } from "vitest";
import { languageModel } from "../../providers/aiSdk/index.js";
import { ScriptedLlm } from "./scriptedLlm.js";

vi.stubGlobal("AI_SDK_LOG_WARNINGS", false);

const call = (city: string): string =>
  `<tool_call>\n{"name": "get_weather", "arguments": {"city": "${city}"}}\n</tool_call>`;
const inputSchema = jsonSchema<{ city: string }>({
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
});
const weather = (asked: string[] = []) => ({
  get_weather: tool({
    description: "of a city",
    inputSchema,
    execute: async ({ city }: { city: string }) => {
      asked.push(city);
      return { city, degrees: city.length };
    },
  }),
});
const definition = {
  type: "function",
  function: {
    name: "get_weather",
    description: "of a city",
    parameters: expect.objectContaining({ required: ["city"] }) as object,
  },
};
const steps = [`<think>hm</think>I look.${call("Oslo")}${call("Bergen")}`, "Cold.<|im_end|>"] as const;
const prompt = "How is the weather?";

describe("tools", () => {
  it("are called in several steps, and their results are heard", async () => {
    const { llm, asked } = ScriptedLlm.of(...steps);
    const cities: string[] = [];
    const result = await generateText({
      ...{ model: languageModel(llm), tools: weather(cities), stopWhen: stepCountIs(5), prompt },
      system: "Be terse.",
    });
    expect(cities).toEqual(["Oslo", "Bergen"]);
    expect(result.text).toBe("Cold.");
    expect(result.finishReason).toBe("stop");
    expect(result.steps).toHaveLength(2);
    expect(result.steps[0]).toMatchObject({
      ...{ text: "I look.", reasoningText: "hm", finishReason: "tool-calls", warnings: [] },
      toolCalls: [{ toolName: "get_weather", input: { city: "Oslo" } }, { input: { city: "Bergen" } }],
      toolResults: [{ output: { city: "Oslo", degrees: 4 } }, { output: { city: "Bergen", degrees: 6 } }],
      response: { id: "request-1", modelId: "ScriptedForCausalLM", timestamp: expect.any(Date) as Date },
      usage: {
        ...{ inputTokens: 10, inputTokenDetails: { cacheReadTokens: 4, noCacheTokens: 6 } },
        outputTokenDetails: { reasoningTokens: 3 }, // the opening marker is one
      },
    });
    const ids = result.steps[0]!.toolCalls.map(({ toolCallId }) => toolCallId);
    expect(ids).toEqual([expect.stringMatching(/^call_\w{24}$/), expect.stringMatching(/^call_\w{24}$/)]);
    expect(asked[0]!.options).toMatchObject({ tools: [definition], skipSpecialTokens: false });
    const calls = ["Oslo", "Bergen"].map((city, i) => ({
      ...{ id: ids[i], type: "function" },
      function: { name: "get_weather", arguments: { city } },
    }));
    expect(asked[1]!.messages).toEqual([
      { role: "system", content: "Be terse." },
      { role: "user", content: prompt },
      { role: "assistant", content: "I look.", reasoning_content: "hm", tool_calls: calls },
      ...["Oslo", "Bergen"].map((city, i) => ({
        ...{ role: "tool", tool_call_id: ids[i], name: "get_weather" },
        content: JSON.stringify({ city, degrees: city.length }),
      })),
    ]);
  });

  it("are called in a stream", async () => {
    const { llm } = ScriptedLlm.of(...steps);
    const result = streamText({
      model: languageModel(llm),
      tools: weather(),
      stopWhen: stepCountIs(5),
      prompt,
    });
    const types: string[] = [];
    for await (const { type } of result.fullStream) if (types.at(-1) !== type) types.push(type);
    const input = ["tool-input-start", "tool-input-delta", "tool-input-end", "tool-call"];
    const [first, second] = [
      types.slice(0, types.indexOf("finish-step")),
      types.slice(types.indexOf("finish-step")),
    ];
    expect(first.filter((type) => type !== "tool-result")).toEqual([
      ...["start", "start-step", "reasoning-start", "reasoning-delta", "reasoning-end"],
      ...["text-start", "text-delta", "text-end", ...input, ...input],
    ]);
    expect(first.filter((type) => type === "tool-result").length).toBeGreaterThan(0);
    expect(second).toEqual([
      ...["finish-step", "start-step", "text-start", "text-delta", "text-end", "finish-step", "finish"],
    ]);
    expect(await result.text).toBe("Cold.");
    expect((await result.totalUsage).inputTokens).toBe(20);
  });

  it("that were called wrongly are not run, and the model is told", async () => {
    const { llm, asked } = ScriptedLlm.of('<tool_call>\n{"name": "get_weather", "arguments": {"city": "Os', {
      text: '<tool_call>\n{"name": "get_weather", "arguments": ',
      finishReason: "length",
    });
    const cities: string[] = [];
    const options = { model: languageModel(llm), tools: weather(cities), stopWhen: stepCountIs(2), prompt };
    const result = await generateText(options);
    expect(cities).toEqual([]);
    expect(result.steps[0]).toMatchObject({ toolCalls: [{ invalid: true }], finishReason: "stop" });
    expect(asked[1]!.messages.at(-1)).toMatchObject({
      role: "tool",
      content: expect.stringContaining("JSON") as string,
    });
    expect(result.steps[1]).toMatchObject({ toolCalls: [], finishReason: "length" });
  });

  it("are not offered with toolChoice none, and else have to come as it says", async () => {
    const { llm, asked } = ScriptedLlm.of("Yes.");
    const model = languageModel(llm);
    const { text } = await generateText({ model, tools: weather(), toolChoice: "none", prompt });
    expect([text, asked[0]!.options.tools]).toEqual(["Yes.", undefined]);
    for (const toolChoice of ["required", { type: "tool", toolName: "get_weather" }] as const) {
      const forced = ScriptedLlm.of(call("Oslo"));
      await generateText({ model: languageModel(forced.llm), tools: weather(), toolChoice, prompt });
      expect(JSON.stringify(forced.asked[0]!.options.format)).toContain("get_weather");
    }
  });
});

const ask = (more: Partial<LanguageModelV3CallOptions> = {}): LanguageModelV3CallOptions => ({
  prompt: [{ role: "user", content: [{ type: "text", text: "Hi" }] }],
  ...more,
});
const functionTool = { type: "function", name: "get_weather", inputSchema: { type: "object" } } as const;

async function partsOf(llm: ScriptedLlm | unknown, more: Partial<LanguageModelV3CallOptions> = {}) {
  const { stream } = await languageModel(llm as never).doStream(ask(more));
  const parts: LanguageModelV3StreamPart[] = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

describe("the parts of a stream", () => {
  it("are closed before others open", async () => {
    const { llm } = ScriptedLlm.of(`<think>ab</think>c${call("O")}`);
    const parts = await partsOf(llm, { tools: [functionTool] });
    const id = expect.stringMatching(/^call_/) as string;
    const input = parts.flatMap((part) => (part.type === "tool-input-delta" ? [part.delta] : [])).join("");
    expect(input).toBe('{"city": "O"}');
    expect(parts.filter(({ type }) => type !== "tool-input-delta")).toEqual([
      { type: "stream-start", warnings: [] },
      {
        ...{ type: "response-metadata", id: "request-1", modelId: "ScriptedForCausalLM" },
        timestamp: expect.any(Date) as Date,
      },
      { type: "reasoning-start", id: "0" },
      { type: "reasoning-delta", id: "0", delta: "a" },
      { type: "reasoning-delta", id: "0", delta: "b" },
      { type: "reasoning-end", id: "0" },
      { type: "text-start", id: "1" },
      { type: "text-delta", id: "1", delta: "c" },
      { type: "text-end", id: "1" },
      { type: "tool-input-start", id, toolName: "get_weather" },
      { type: "tool-input-end", id },
      { type: "tool-call", toolCallId: id, toolName: "get_weather", input },
      {
        type: "finish",
        finishReason: { unified: "tool-calls", raw: "stop" },
        usage: {
          inputTokens: { total: 10, noCache: 6, cacheRead: 4, cacheWrite: undefined },
          outputTokens: {
            total: expect.any(Number) as number,
            text: expect.any(Number) as number,
            reasoning: 3,
          },
          raw: { promptTokens: 10, cachedTokens: 4, completionTokens: expect.any(Number) as number },
        },
      },
    ]);
  });

  it("have each chunk of the engine, when it is asked for", async () => {
    const parts = await partsOf(ScriptedLlm.of("ab").llm, { includeRawChunks: true });
    const raw = parts.flatMap((part) => (part.type === "raw" ? [part.rawValue] : []));
    expect(raw).toMatchObject([{ text: "a" }, { text: "b" }, { text: "", finishReason: "stop" }]);
  });

  it("end with the error of a generation that fails", async () => {
    const error = new Error("broken");
    const failing = () => ScriptedLlm.of({ text: "ab", error }).llm;
    const parts = await partsOf(failing());
    expect(parts.slice(-2)).toMatchObject([
      { type: "error", error },
      { type: "finish", finishReason: { unified: "error" }, usage: { inputTokens: { total: undefined } } },
    ]);
    await expect(languageModel(failing()).doGenerate(ask())).rejects.toBe(error);
  });

  it("end with an error when the model closes", async () => {
    const closed = () => ScriptedLlm.of({ text: "ab", finishReason: "abort" }).llm;
    await expect(partsOf(closed())).rejects.toMatchObject({ code: "ERR_ABORTED" });
    await expect(languageModel(closed()).doGenerate(ask())).rejects.toMatchObject({ code: "ERR_ABORTED" });
  });
});

describe("options", () => {
  it("become those of chat", async () => {
    const { llm, asked } = ScriptedLlm.of("a");
    const signal = new AbortController().signal;
    const own = { minP: 0.1, priority: 3, templateOptions: { enable_thinking: false } };
    await languageModel(llm).doGenerate(
      ask({
        ...{
          maxOutputTokens: 9,
          temperature: 0.5,
          topP: 0.9,
          topK: 7,
          presencePenalty: 1,
          frequencyPenalty: -1,
        },
        ...{ seed: 5, stopSequences: ["x"], abortSignal: signal, headers: { a: "b" } },
        providerOptions: { warploop: own, openai: { user: "x" } },
      }),
    );
    expect(asked[0]!.options).toEqual({
      ...{ maxTokens: 9, temperature: 0.5, topP: 0.9, topK: 7, presencePenalty: 1, frequencyPenalty: -1 },
      ...{ seed: 5, stop: ["x"], signal, ...own, skipSpecialTokens: false },
    });
  });

  it("that warploop does not know are refused", async () => {
    for (const name of ["n", "minp", "signal", "logprobs"])
      await expect(
        languageModel(ScriptedLlm.of("a").llm).doGenerate(
          ask({ providerOptions: { warploop: { [name]: 1 } } }),
        ),
      ).rejects.toMatchObject({
        code: "ERR_UNKNOWN_OPTION",
        message: expect.stringContaining(`"${name}"`) as string,
      });
  });

  it("that are not supported are refused by name, or warned of", async () => {
    const { warnings } = await languageModel(ScriptedLlm.of("a").llm).doGenerate(
      ask({
        tools: [
          { type: "provider", id: "openai.web_search", name: "web_search", args: {} },
          { ...functionTool, inputExamples: [{ input: { city: "Oslo" } }] },
        ],
      }),
    );
    expect(warnings).toMatchObject([
      { type: "unsupported", feature: "provider tool web_search" },
      { type: "unsupported", feature: "inputExamples of tool get_weather" },
    ]);
  });
});

describe("messages", () => {
  const assistant = (output: object): LanguageModelV3CallOptions["prompt"] => [
    {
      role: "assistant",
      content: [{ type: "tool-call", toolCallId: "c1", toolName: "f", input: "no JSON" }],
    },
    {
      role: "tool",
      content: [{ type: "tool-result", toolCallId: "c1", toolName: "f", output: output as never }],
    },
  ];
  const heard = async (messages: LanguageModelV3CallOptions["prompt"]) => {
    const { llm, asked } = ScriptedLlm.of("a");
    await languageModel(llm).doGenerate({ prompt: messages });
    return asked[0]!.messages;
  };

  it.each([
    [{ type: "text", value: "t" }, "t"],
    [{ type: "json", value: [1, { a: null }] }, '[1,{"a":null}]'],
    [{ type: "error-text", value: "e" }, "e"],
    [{ type: "error-json", value: { e: 1 } }, '{"e":1}'],
    [{ type: "execution-denied", reason: "no" }, "no"],
    [{ type: "execution-denied" }, "The user did not allow this call."],
    [
      {
        type: "content",
        value: [
          { type: "text", text: "a" },
          { type: "text", text: "b" },
        ],
      },
      "a\nb",
    ],
  ])("have results of tools: %j", async (output, content) => {
    const messages = await heard(assistant(output));
    expect(messages[1]).toEqual({ role: "tool", tool_call_id: "c1", name: "f", content });
    expect(messages[0]).toMatchObject({
      tool_calls: [{ function: { arguments: { arguments: "no JSON" } } }],
    });
  });

  it("have texts joined, and no files", async () => {
    const texts = [{ type: "text", text: "a" } as const, { type: "text", text: "b" } as const];
    expect(await heard([{ role: "user", content: texts }])).toEqual([{ role: "user", content: "a\nb" }]);
    const image = { type: "file", mediaType: "image/png", data: "AAAA" } as const;
    await expect(heard([{ role: "user", content: [image] }])).rejects.toThrow(
      "warploop: file of type image/png in a prompt: this model reads text",
    );
    const data = { type: "image-data", data: "AAAA", mediaType: "image/png" };
    await expect(heard(assistant({ type: "content", value: [data] }))).rejects.toThrow(
      "image-data in a tool result",
    );
  });
});
