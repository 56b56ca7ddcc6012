// Contract: OpenAI's client calls tools through /v1/chat/completions, as a stream and not: the template is told of them, calls and
// thoughts of the answer come in their fields, results go back through the template, and nothing that was written is lost.
import OpenAI from "openai";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createApp } from "../../server/index.js";
import { loadText } from "../../lib/index.js";
import { formatOf, toolFormatNames } from "../../toolcalls/index.js";
import { HermesModel, ScriptedWriter, weatherCall, weatherTool } from "./hermes.js";
import { cutsOf, errorOf, fetchOf, postOf, responseOf } from "./support.js";

let model: HermesModel;
let writer: ScriptedWriter;
let client: OpenAI;
let ask: typeof globalThis.fetch;
beforeAll(async () => {
  model = await HermesModel.load();
});
beforeEach(() => {
  writer = new ScriptedWriter(model.llm);
  ask = fetchOf(createApp({ writer }));
  client = new OpenAI({ baseURL: "http://host/v1", apiKey: "x", maxRetries: 0, fetch: ask });
});
afterAll(async () => {
  await model[Symbol.asyncDispose]();
});

type Params = Omit<OpenAI.ChatCompletionCreateParamsNonStreaming, "stream">;
const tools = [{ type: "function" as const, function: weatherTool }];
const question = { role: "user" as const, content: "How is the weather in Oslo?" };
const request: Params = { model: "writer", messages: [question], tools };

/** The answer, and that of a stream, which are the same but for ids. */
async function answers(params: Params = request) {
  const whole = (await client.chat.completions.create(params)).choices[0]!;
  const stream = client.chat.completions.stream({ ...params, stream_options: { include_usage: true } });
  const { choices, usage } = await stream.finalChatCompletion();
  const streamed = choices[0]!;
  expect(streamed.finish_reason).toBe(whole.finish_reason);
  expect(streamed.message.content ?? "").toBe(whole.message.content ?? "");
  expect(streamed.message.tool_calls?.map(({ function: f }) => [f.name, f.arguments]) ?? []).toEqual(
    (whole.message.tool_calls ?? []).map(
      (call) => call.type === "function" && [call.function.name, call.function.arguments],
    ),
  );
  return { ...whole, usage: usage! };
}

const weather = (city: string) => ({
  id: expect.stringMatching(/^call_\w{24}$/) as string,
  type: "function",
  function: { name: "get_weather", arguments: `{"city": "${city}"}` },
});

describe("calls", () => {
  it("go through a conversation: asked, called, answered", async () => {
    writer.script = [`<think>\nI look.\n</think>\n\n${weatherCall("Oslo")}`];
    const { message, finish_reason, usage } = await answers();
    expect(finish_reason).toBe("tool_calls");
    expect(message).toMatchObject({
      content: null,
      reasoning_content: "I look.",
      reasoning: "I look.",
      tool_calls: [weather("Oslo")],
    });
    expect(usage.completion_tokens_details!.reasoning_tokens).toBeGreaterThan(3);
    expect(usage.completion_tokens).toBeGreaterThan(usage.completion_tokens_details!.reasoning_tokens!);
    expect(writer.prompts[0]).toContain('"name": "get_weather"');

    writer.script = ["It is 3 degrees."];
    const result = { role: "tool" as const, tool_call_id: message.tool_calls![0]!.id, content: "3 degrees" };
    const next = await answers({ ...request, messages: [question, message, result] });
    expect(next).toMatchObject({ finish_reason: "stop", message: { content: "It is 3 degrees." } });
    expect(next.message.tool_calls).toBeUndefined();
    const history =
      `<|im_start|>assistant\n<think>\nI look.\n</think>\n\n${weatherCall("Oslo")}<|im_end|>\n` +
      "<|im_start|>user\n<tool_response>\n3 degrees\n</tool_response><|im_end|>\n<|im_start|>assistant\n";
    expect(writer.prompts.at(-1)!.endsWith(history), writer.prompts.at(-1)).toBe(true);
  });

  it("come several at once, behind words, or the first of them alone", async () => {
    writer.script = [`Both.\n${weatherCall("Oslo")}\n${weatherCall("Bergen")}`];
    const { message } = await answers();
    expect(message).toMatchObject({ content: "Both.", tool_calls: [weather("Oslo"), weather("Bergen")] });
    const one = await answers({ ...request, parallel_tool_calls: false });
    expect(one.message.tool_calls).toEqual([weather("Oslo")]);
  });

  it("stream their arguments in pieces", async () => {
    writer.script = [weatherCall("Oslo")];
    const pieces: string[] = [];
    for await (const { choices } of await client.chat.completions.create({ ...request, stream: true }))
      for (const { function: f } of choices[0]!.delta.tool_calls ?? []) pieces.push(f!.arguments!);
    expect(pieces.length).toBeGreaterThan(4);
    expect(pieces[0]).toBe("");
  });

  it.each([
    ["unknown markup", "<tool_call>\nI am no JSON\n</tool_call>", "<tool_call>\nI am no JSON"],
    ["a call behind an answer that is no JSON", '<tool_call>{"nam": 1}</tool_call>ok', '{"nam": 1}'],
  ])("that are none are text: %s", async (_, text, part) => {
    writer.script = [text];
    const { message, finish_reason } = await answers();
    expect(message.tool_calls).toBeUndefined();
    expect(message.content).toContain(part);
    expect(finish_reason).toBe("stop");
  });

  it("that are cut off by a stop string are none to run; those before an incomplete one neither", async () => {
    const cut = '<tool_call>\n{"name": "get_weather", "arguments": {"';
    writer.end = { finishReason: "stop", stopReason: "city" };
    for (const text of [cut, `${weatherCall("Oslo")}\n${cut}`]) {
      writer.script = [text];
      expect((await answers()).finish_reason).toBe("stop");
      const anthropic = await ask(
        "http://host/v1/messages",
        postOf({ messages: [question], max_tokens: 9, tools: [{ name: "get_weather", input_schema: {} }] }),
      );
      expect(await anthropic.json()).toMatchObject({ stop_reason: "stop_sequence" });
    }
    writer.end = { finishReason: "stop", stopReason: "</tool_call>" };
    writer.script = [weatherCall("Oslo").replace("\n</tool_call>", "")];
    expect((await answers()).finish_reason).toBe("tool_calls");
  });

  it("that are cut off by the length are told, with the reason", async () => {
    writer.script = ['<tool_call>\n{"name": "get_weather", "arguments": {"city": "Os'];
    writer.end = { finishReason: "length", stopReason: null };
    const { choices } = await client.chat.completions.create(request);
    expect(choices[0]).toMatchObject({
      finish_reason: "length",
      message: { tool_calls: [{ function: { name: "get_weather", arguments: '{"city": "Os' } }] },
    });
  });

  it("are not read where no tools are given, or tool_choice is none", async () => {
    writer.script = [weatherCall("Oslo")];
    const { tools: _, ...without } = request;
    for (const params of [without, { ...request, tool_choice: "none" as const }]) {
      expect((await answers(params)).message).toMatchObject({ content: weatherCall("Oslo") });
      expect(writer.prompts.at(-1)).not.toContain("get_weather");
    }
  });
});

describe("thoughts", () => {
  it("are left out on request", async () => {
    writer.script = ["<think>\nhm\n</think>\n\nYes"];
    const body = { ...request, include_reasoning: false };
    for (const stream of [false, true]) {
      const text = await (await ask("http://host/v1/chat/completions", postOf({ ...body, stream }))).text();
      expect(text).toContain("Yes");
      expect(text).not.toContain("hm");
    }
  });
});

describe("what cannot be called is refused", () => {
  const post = async (body: object, options = {}, models: object = { writer }) =>
    errorOf(
      await fetchOf(createApp(models as never, options))("http://host/v1/chat/completions", postOf(body)),
    );

  it("a choice of no tool", async () => {
    const { tools: _, ...without } = request;
    for (const [body, tool_choice, message] of [
      [without, "required", "tool_choice: expected tools to choose from"],
      [
        request,
        { type: "function", function: { name: "f" } },
        'tool_choice: expected one of get_weather, got {"name":"f"}',
      ],
    ] as const)
      expect(await post({ ...body, tool_choice })).toMatchObject({
        status: 400,
        error: { param: "tool_choice", message },
      });
  });

  it("tools of a model whose format is none", async () => {
    const { status, error } = await post(request, { toolFormat: "none" });
    expect([status, error.param]).toEqual([400, "tools"]);
    expect(error.message).toMatch(/^tools: how this model writes calls is not known: /);
    expect(await post(request, { toolFormat: "hermes" })).toMatchObject({ status: 200 });
  });

  it("a format that is not known", () => {
    expect(() => createApp({ writer }, { toolFormat: "hermess" })).toThrow(
      `createApp: options.toolFormat: expected one of auto, none, ${toolFormatNames.join(", ")}`,
    );
  });
});

it("the format is what the template says, and what info prints", async () => {
  const text = await loadText(model.folder);
  const format = await formatOf(text);
  expect([format.syntax?.name, format.reasoning?.name, format.takesTools]).toEqual(["hermes", "think", true]);
  expect(await text.renderChat([question])).toBe(await model.llm.renderChat([question]));
  await text.close();
  await expect(text.renderChat([question])).rejects.toThrow("closed");
});

it("a stream of calls is the same wherever it is cut", async () => {
  writer.tokensAtOnce = 16;
  writer.script = [`<think>é</think>Well\n${weatherCall("Oslo")}`];
  const body = { ...request, stream: true };
  const response = await ask("http://host/v1/chat/completions", postOf(body));
  const bytes = new Uint8Array(await response.arrayBuffer());
  const read = async (pieces: readonly Uint8Array[]): Promise<string> => {
    const fetch = async () => responseOf(pieces);
    const cut = new OpenAI({ baseURL: "http://host/v1", apiKey: "x", maxRetries: 0, fetch });
    const chunks: object[] = [];
    for await (const chunk of await cut.chat.completions.create({ ...request, stream: true }))
      chunks.push(chunk);
    return JSON.stringify(chunks);
  };
  const whole = await read([bytes]);
  expect(whole).toContain("get_weather");
  for (const [at, pieces] of cutsOf(bytes).entries()) expect(await read(pieces), `cut ${at}`).toBe(whole);
}, 300_000);
