// Contract: Anthropic's own client holds a conversation with tools and thoughts through /v1/messages, as a stream and not, wherever the
// stream is cut, and knows the errors.
import Anthropic from "@anthropic-ai/sdk";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type App, createApp } from "../../server/index.js";
import { HermesModel, ScriptedWriter, weatherCall, weatherTool } from "./hermes.js";
import { cutsOf, fetchOf, postOf, responseOf, scriptedApp } from "./support.js";

let model: HermesModel;
let writer: ScriptedWriter;
let app: App;
let client: Anthropic;
const clientOf = (fetch: typeof globalThis.fetch, apiKey = "unused"): Anthropic =>
  new Anthropic({ baseURL: "http://host", apiKey, maxRetries: 0, fetch });
beforeAll(async () => {
  model = await HermesModel.load();
});
beforeEach(() => {
  writer = new ScriptedWriter(model.llm);
  app = createApp({ writer });
  client = clientOf(fetchOf(app));
});
afterAll(async () => {
  await model[Symbol.asyncDispose]();
});

const { name, description, parameters } = weatherTool;
const tools = [{ name, description, input_schema: parameters as Anthropic.Tool.InputSchema }];
const question = { role: "user" as const, content: "How is the weather in Oslo?" };
const request: Anthropic.MessageCreateParamsNonStreaming = {
  ...{ model: "writer", max_tokens: 500, tools },
  messages: [question],
};
const toolUse = (city: string) => ({
  ...{ type: "tool_use", name, input: { city }, caller: { type: "direct" } },
  id: expect.stringMatching(/^call_\w{24}$/) as string,
});
const textBlock = (text: string) => ({ type: "text", text, citations: null });

/** The answer; that of a stream is the same but for ids. */
async function answer(fields: Partial<Anthropic.MessageCreateParamsNonStreaming> = {}) {
  const params = { ...request, ...fields };
  const whole = await client.messages.create(params);
  const streamed = await client.messages.stream(params).finalMessage();
  const plain = (message: Anthropic.Message) =>
    JSON.parse(JSON.stringify(message).replaceAll(/"id":"[^"]*"/g, '"id":""')) as object;
  expect(plain(streamed)).toMatchObject(plain(whole));
  return whole;
}

describe("a conversation", () => {
  it("asks, calls, answers", async () => {
    writer.script = [`<think>\nI look.\n</think>\n\nWait.\n${weatherCall("Oslo")}\n${weatherCall("Bergen")}`];
    const called = await answer({ system: "Be short." });
    expect(called).toMatchObject({ type: "message", role: "assistant", model: "writer" });
    expect(called.content).toEqual([
      { type: "thinking", thinking: "I look.", signature: "" },
      textBlock("Wait."),
      toolUse("Oslo"),
      toolUse("Bergen"),
    ]);
    expect([called.stop_reason, called.stop_sequence]).toEqual(["tool_use", null]);
    const { input_tokens, output_tokens, output_tokens_details } = called.usage;
    expect(output_tokens).toBeGreaterThan(output_tokens_details!.thinking_tokens);
    expect(output_tokens_details!.thinking_tokens).toBeGreaterThan(3);
    const { max_tokens: _, ...counted } = { ...request, system: "Be short." };
    expect(await client.messages.countTokens(counted)).toEqual({ input_tokens });
    expect(writer.prompts[0]).toMatch(/^<\|im_start\|>system\nBe short\.\n.*"name": "get_weather"/s);

    writer.script = ["Cold."];
    const results = called.content.flatMap((block) =>
      block.type === "tool_use"
        ? [{ type: "tool_result" as const, tool_use_id: block.id, content: "3" }]
        : [],
    );
    const next = await answer({
      messages: [
        question,
        { role: "assistant", content: called.content },
        { role: "user", content: [...results, { type: "text", text: "So?" }] },
      ],
    });
    expect(next.content).toEqual([textBlock("Cold.")]);
    expect(next.stop_reason).toBe("end_turn");
    const result = "<|im_start|>user\n<tool_response>\n3\n</tool_response><|im_end|>\n";
    const history =
      `<|im_start|>assistant\n<think>\nI look.\n</think>\n\nWait.${weatherCall("Oslo")}${weatherCall("Bergen")}<|im_end|>\n` +
      `${result}${result}<|im_start|>user\nSo?<|im_end|>\n<|im_start|>assistant\n`;
    expect(writer.prompts.at(-1)!.slice(-history.length)).toBe(history);
  });

  it("is counted where it is longer than the context, too", async () => {
    const long = [{ role: "user" as const, content: "fox ".repeat(4000) }];
    const { input_tokens } = await client.messages.countTokens({ model: "writer", messages: long });
    expect(input_tokens).toBeGreaterThan(4000);
    await expect(client.messages.create({ ...request, messages: long })).rejects.toBeInstanceOf(
      Anthropic.BadRequestError,
    );
  });

  it("keeps the first of several calls on request, and reads none where none may be", async () => {
    writer.script = [`${weatherCall("Oslo")}\n${weatherCall("Bergen")}`];
    const one = await answer({ tool_choice: { type: "auto", disable_parallel_tool_use: true } });
    expect(one.content).toEqual([toolUse("Oslo")]);
    const none = await answer({ tool_choice: { type: "none" } });
    expect(none).toMatchObject({ content: [{ type: "text" }], stop_reason: "end_turn" });
    expect(writer.prompts.at(-1)).not.toContain("get_weather");
  });

  it("thinks or not, as it is told, where the template can", async () => {
    writer.script = ["<think>\nhm\n</think>\n\nYes"];
    const hidden = await answer({ thinking: { type: "disabled" } });
    expect(hidden.content).toEqual([textBlock("Yes")]);
    expect(writer.prompts.at(-1)!.endsWith("<think>\n\n</think>\n\n")).toBe(true);
    const shown = await answer({ thinking: { type: "enabled", budget_tokens: 1024 } });
    expect(shown.content).toMatchObject([{ type: "thinking", thinking: "hm" }, { text: "Yes" }]);
    const omitted = await answer({ thinking: { type: "adaptive", display: "omitted" } });
    expect(omitted.content).toEqual([textBlock("Yes")]);
  });
});

describe("why an answer ends", () => {
  const endWith = async (reason: "stop" | "length", stopReason: string | null, max_tokens: number) => {
    writer.script = ["a b c"];
    writer.end = { finishReason: reason, stopReason };
    const { stop_reason, stop_sequence } = await answer({ max_tokens });
    return [stop_reason, stop_sequence];
  };

  it("is told in Anthropic's words", async () => {
    expect(await endWith("length", null, 1)).toEqual(["max_tokens", null]);
    expect(await endWith("length", null, 500)).toEqual(["model_context_window_exceeded", null]);
    expect(await endWith("stop", "END", 500)).toEqual(["stop_sequence", "END"]);
  });

  it("in the middle of a call: what was written of it is there", async () => {
    writer.script = ['<tool_call>\n{"name": "get_weather", "arguments": {"city": "Os'];
    writer.end = { finishReason: "length", stopReason: null };
    const { content, stop_reason } = await client.messages.create({ ...request, max_tokens: 5 });
    expect(stop_reason).toBe("max_tokens");
    expect(content).toMatchObject([{ type: "tool_use", input: { arguments: '{"city": "Os' } }]);
    let json = "";
    const stream = client.messages.stream({ ...request, max_tokens: 5 });
    await stream.on("inputJson", (piece) => (json += piece)).finalMessage();
    expect(json).toBe('{"city": "Os');
  });
});

it("a stream is the same wherever it is cut", async () => {
  writer.tokensAtOnce = 32;
  writer.script = [`<think>é</think>Well\n${weatherCall("Oslo")}`];
  const body = postOf({ ...request, stream: true });
  const bytes = new Uint8Array(await (await fetchOf(app)("http://host/v1/messages", body)).arrayBuffer());
  const read = async (pieces: readonly Uint8Array[]): Promise<string> =>
    JSON.stringify(
      await clientOf(async () => responseOf(pieces))
        .messages.stream(request)
        .finalMessage(),
    );
  const whole = await read([bytes]);
  expect(whole).toContain('"input":{"city":"Oslo"}');
  for (const [at, pieces] of cutsOf(bytes).entries()) expect(await read(pieces), `cut ${at}`).toBe(whole);
}, 300_000);

describe("errors", () => {
  const messages = [question];
  const ask = { model: "m", max_tokens: 5, messages };

  it("have Anthropic's shape and the id of the request", async () => {
    const failure = await client.messages
      .create({ ...request, model: "claude" })
      .catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Anthropic.NotFoundError);
    const { status, error, requestID } = failure as InstanceType<typeof Anthropic.APIError>;
    const message = 'model: "claude" is not served here; served are writer';
    expect(status).toBe(404);
    expect(error).toEqual({
      type: "error",
      error: { type: "not_found_error", message },
      request_id: requestID,
    });
    await expect(client.messages.create({ ...request, max_tokens: 0 })).rejects.toBeInstanceOf(
      Anthropic.BadRequestError,
    );
  });

  it("of keys, which come as x-api-key or as Authorization", async () => {
    const { app: guarded } = scriptedApp({ apiKeys: ["right"] });
    await expect(clientOf(fetchOf(guarded), "wrong").messages.create(ask)).rejects.toBeInstanceOf(
      Anthropic.AuthenticationError,
    );
    expect(await clientOf(fetchOf(guarded), "right").messages.create(ask)).toMatchObject({
      role: "assistant",
    });
    const bearer = new Anthropic({
      ...{ baseURL: "http://host", apiKey: null, authToken: "right", fetch: fetchOf(guarded) },
    });
    expect(await bearer.messages.create(ask)).toMatchObject({ role: "assistant" });
    const other = await fetchOf(guarded)(
      "http://host/v1/chat/completions",
      postOf({ messages }, { headers: { "x-api-key": "right" } }),
    );
    expect(other.status).toBe(401); // OpenAI's routes know no such header
  });

  it("of a queue that is full, with the type that clients wait for", async () => {
    const { engine } = scriptedApp();
    let fail = (_: Error): void => undefined;
    const unknown = new Promise<never>((_, reject) => (fail = reject));
    engine.format = () => unknown;
    const ofFull = clientOf(fetchOf(createApp({ m: engine }, { maxQueue: 1 })));
    const first = ofFull.messages.create(ask);
    const second = await ofFull.messages.create(ask).catch((error: unknown) => error);
    expect(second).toMatchObject({ status: 429, type: "rate_limit_error" });
    fail(new Error("over"));
    await expect(first).rejects.toMatchObject({ status: 500, type: "api_error" });
  });

  it("behind the head of a stream are an event that the client throws", async () => {
    const { app: broken, engine } = scriptedApp();
    engine.lateFailure = new Error("/srv/models/mine");
    const stream = clientOf(fetchOf(broken)).messages.stream(ask);
    await expect(stream.finalMessage()).rejects.toMatchObject({
      error: { error: { type: "api_error", message: expect.not.stringContaining("srv") as string } },
    });
  });
});
