// Contract: OpenAI's client holds a conversation with tools and thoughts through /v1/responses, as a stream and not, wherever the stream is
// cut; the events come in their order, numbered, and nothing is stored.
import OpenAI from "openai";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type App, createApp } from "../../server/index.js";
import { HermesModel, ScriptedWriter, weatherCall, weatherTool } from "./hermes.js";
import { cutsOf, fetchOf, postOf, responseOf, scriptedApp } from "./support.js";

let model: HermesModel;
let writer: ScriptedWriter;
let app: App;
let client: OpenAI;
const clientOf = (fetch: typeof globalThis.fetch): OpenAI =>
  new OpenAI({ baseURL: "http://host/v1", apiKey: "x", maxRetries: 0, fetch });
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

type Params = OpenAI.Responses.ResponseCreateParamsNonStreaming;
const tools = [{ type: "function" as const, strict: false, ...weatherTool }];
const request: Params = { model: "writer", input: "How is the weather in Oslo?", tools };

const plain = (response: object): object =>
  JSON.parse(
    JSON.stringify(response)
      .replaceAll(/"(id|call_id)":"[^"]*"/g, '"$1":""')
      .replaceAll(/"created_at":\d+/g, '"created_at":0'),
  ) as object;

/** The answer; that of a stream is the same but for ids. */
async function answer(fields: Partial<Params> = {}) {
  const whole = await client.responses.create({ ...request, ...fields });
  const stream = client.responses.stream({ ...request, ...fields } as never);
  expect(plain(await stream.finalResponse())).toMatchObject(plain(whole));
  return whole;
}

const call = (city: string) => ({
  ...{ type: "function_call", status: "completed", name: "get_weather", arguments: `{"city": "${city}"}` },
  call_id: expect.stringMatching(/^call_\w{24}$/) as string,
});

describe("a conversation", () => {
  it("asks, calls, answers", async () => {
    writer.script = [`<think>\nI look.\n</think>\n\nWait.\n${weatherCall("Oslo")}\n${weatherCall("Bergen")}`];
    const called = await answer({ instructions: "Be short.", metadata: { a: "b" } });
    expect(called.output).toMatchObject([
      { type: "reasoning", summary: [], content: [{ type: "reasoning_text", text: "I look." }] },
      {
        type: "message",
        role: "assistant",
        status: "completed",
        content: [{ type: "output_text", text: "Wait." }],
      },
      call("Oslo"),
      call("Bergen"),
    ]);
    expect(called).toMatchObject({
      ...{ object: "response", status: "completed", output_text: "Wait.", store: false, error: null },
      ...{ instructions: "Be short.", metadata: { a: "b" }, incomplete_details: null, model: "writer" },
    });
    const usage = called.usage!;
    expect(usage.total_tokens).toBe(usage.input_tokens + usage.output_tokens);
    expect(usage.output_tokens_details.reasoning_tokens).toBeGreaterThan(3);
    expect(writer.prompts[0]).toMatch(/^<\|im_start\|>system\nBe short\.\n.*"name": "get_weather"/s);

    writer.script = ["Cold."];
    const results = called.output.flatMap((item) =>
      item.type === "function_call"
        ? [{ type: "function_call_output" as const, call_id: item.call_id, output: "3" }]
        : [],
    );
    const question = { role: "user" as const, content: request.input as string };
    const next = await answer({ input: [question, ...called.output, ...results] as never });
    expect(next).toMatchObject({ output_text: "Cold.", output: [{ type: "message" }] });
    const result = "<|im_start|>user\n<tool_response>\n3\n</tool_response><|im_end|>\n";
    const history =
      `<|im_start|>assistant\n<think>\nI look.\n</think>\n\nWait.${weatherCall("Oslo")}${weatherCall("Bergen")}<|im_end|>\n` +
      `${result}${result}<|im_start|>assistant\n`;
    expect(writer.prompts.at(-1)!.slice(-history.length)).toBe(history);
  });

  it("keeps the first of several calls on request", async () => {
    writer.script = [`${weatherCall("Oslo")}\n${weatherCall("Bergen")}`];
    expect((await answer({ parallel_tool_calls: false })).output).toMatchObject([call("Oslo")]);
  });

  it("turns thoughts off", async () => {
    writer.script = ["Yes"];
    await answer({ reasoning: { effort: "none" } });
    expect(writer.prompts.at(-1)!.endsWith("<think>\n\n</think>\n\n")).toBe(true);
  });

  it("says what the length cut off", async () => {
    writer.script = ['Well.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Os'];
    writer.end = { finishReason: "length", stopReason: null };
    expect(await answer({ max_output_tokens: 9 })).toMatchObject({
      ...{ status: "incomplete", incomplete_details: { reason: "max_output_tokens" } },
      output: [{ status: "completed" }, { status: "incomplete", arguments: '{"city": "Os' }],
    });
  });
});

describe("a stream", () => {
  const short = {
    model: "writer",
    input: "x",
    tools: [{ type: "function", name: "get_weather" }],
    stream: true,
  };
  const bytesOf = async (script: string): Promise<Uint8Array> => {
    writer.tokensAtOnce = 100;
    writer.script = [script];
    const body = postOf(short);
    return new Uint8Array(await (await fetchOf(app)("http://host/v1/responses", body)).arrayBuffer());
  };

  it("has its events in their order, numbered and named", async () => {
    const frames = Buffer.from(await bytesOf(`<think>hm</think>Well\n${weatherCall("Oslo")}`))
      .toString()
      .trim()
      .split("\n\n");
    const events = frames.map((frame) => {
      const [, name, json] = /^event: (.*)\ndata: (.*)$/.exec(frame)!;
      const event = JSON.parse(json!) as { type: string; sequence_number: number };
      expect(event.type).toBe(name);
      return event;
    });
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, i) => i));
    const types = events.map(({ type }) => type.replace("response.", ""));
    const text = (kind: string) => [`${kind}.delta`, `${kind}.done`, "content_part.done", "output_item.done"];
    expect(types.filter((type, i) => type !== types[i - 1])).toEqual([
      ...["created", "in_progress"],
      ...["output_item.added", "content_part.added", ...text("reasoning_text")],
      ...["output_item.added", "content_part.added", ...text("output_text")],
      ...[
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
      ],
      "completed",
    ]);
  });

  it("is the same wherever it is cut", async () => {
    const bytes = await bytesOf(`é\n${weatherCall("Oslo")}`);
    let sent: readonly Uint8Array[] = [];
    const ask = clientOf(async () => responseOf(sent)).responses;
    const read = async (pieces: readonly Uint8Array[]): Promise<string> => {
      sent = pieces;
      const events: object[] = [];
      for await (const event of await ask.create({ ...request, stream: true })) events.push(event);
      return JSON.stringify(events);
    };
    const whole = await read([bytes]);
    expect(whole).toContain("get_weather");
    // Most of the bytes are three whole responses: near the borders of events, and in the letter of two bytes, is enough.
    const latin = Buffer.from(bytes).toString("latin1");
    const isNear = (at: number): boolean =>
      /\n\n|\u00c3\u00a9/.test(latin.slice(Math.max(0, at - 40), at + 40));
    for (const [at, pieces] of cutsOf(bytes).entries())
      if (at === bytes.length || isNear(at)) expect(await read(pieces), `cut ${at}`).toBe(whole);
  }, 300_000);

  it("that fails is an error which the client throws", async () => {
    const { app: broken, engine } = scriptedApp();
    engine.lateFailure = new Error("/srv/models/mine");
    const stream = clientOf(fetchOf(broken)).responses.stream({ model: "m", input: "x" });
    await expect(stream.finalResponse()).rejects.toMatchObject({
      error: { type: "server_error", message: expect.not.stringContaining("srv") as string },
    });
  });
});

it("nothing is stored, and who asks for it is told", async () => {
  for (const fields of [{ previous_response_id: "resp_1" }, { store: true }])
    await expect(client.responses.create({ ...request, ...fields })).rejects.toMatchObject({
      ...{
        status: 400,
        param: Object.keys(fields)[0],
        message: expect.stringContaining("nothing is stored") as string,
      },
    });
});
