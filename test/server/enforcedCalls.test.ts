// Contract: OpenAI's client asks for calls that have to come, or to obey: in the syntax of each family, hot, as a stream and not, the calls
// that are read are whole and valid for the schemas of their tools; what cannot be enforced is refused by name.
import { Ajv } from "ajv";
import OpenAI from "openai";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createApp } from "../../server/index.js";
import { families } from "../../toolcalls/index.js";
import { firstSeed } from "../support/seed.js";
import { HermesModel } from "./hermes.js";
import { errorOf, fetchOf, postOf } from "./support.js";

let model: HermesModel;
beforeAll(async () => {
  model = await HermesModel.load();
});
afterAll(async () => {
  await model[Symbol.asyncDispose]();
});

const parameters = {
  type: "object",
  properties: {
    city: { type: "string", minLength: 1, maxLength: 6 },
    days: { type: "integer", minimum: 0, maximum: 9 },
    at: {
      type: "object",
      properties: { x: { type: "array", items: { type: "integer", minimum: 0, maximum: 5 }, maxItems: 2 } },
      required: ["x"],
      additionalProperties: false,
    },
  },
  required: ["city", "days", "at"],
  additionalProperties: false,
};
const tools = [
  { type: "function" as const, function: { name: "get_weather", parameters } },
  { type: "function" as const, function: { name: "get_time" } },
];
const validate = new Ajv({ strict: false }).compile(parameters);
const request = {
  model: "m",
  messages: [{ role: "user" as const, content: "How is the weather?" }],
  ...{ tools, temperature: 1.5, max_tokens: 400, seed: firstSeed, parallel_tool_calls: false },
  chat_template_kwargs: { enable_thinking: false }, // thoughts of this model have no end
};
/** Nor have those of gpt-oss, which say themselves what they are: never "analysis". */
const noAnalysis = (): Record<string, number> =>
  Object.fromEntries(
    Array.from({ length: 8 }, (_, i) => model.llm.tokenizer!.tokenId("analysis".slice(0, i + 1)))
      .filter((id) => id !== undefined)
      .map((id) => [id, -100]),
  );
const weather = { type: "function", function: { name: "get_weather" } } as const;

const ask = async (path: string, body: object): Promise<Response> =>
  fetchOf(createApp({ m: model.llm }))(`http://host${path}`, postOf(body));

const clientOf = (toolFormat: string): OpenAI => {
  const fetch = fetchOf(createApp({ m: model.llm }, { toolFormat }));
  return new OpenAI({ baseURL: "http://host/v1", apiKey: "unused", maxRetries: 0, fetch });
};

interface CallLike {
  readonly function: { readonly name: string; readonly arguments: string };
}
function expectValid({ function: { name, arguments: text } }: CallLike): void {
  const value: unknown = JSON.parse(text);
  if (name === "get_time") return expect(value).toEqual({});
  expect(name).toBe("get_weather");
  expect(validate(value), `${text}: ${JSON.stringify(validate.errors)}`).toBe(true);
}

it.each(families.map(({ name }) => ({ name })))("$name", async ({ name }) => {
  const asked = { ...request, ...(name === "openai" && { logit_bias: noAnalysis() }) };
  const stream = clientOf(name).chat.completions.stream({ ...asked, tool_choice: "required", n: 2 });
  const { choices } = await stream.finalChatCompletion();
  expect(choices).toHaveLength(2);
  for (const { message, finish_reason } of choices) {
    expect(finish_reason, JSON.stringify(message)).toBe("tool_calls");
    expect(message.content ?? "").toBe("");
    expect(message.tool_calls).toHaveLength(1);
    expectValid(message.tool_calls![0] as CallLike);
  }
});

it("a function that is named, whole, through all APIs", async () => {
  const client = clientOf("hermes");
  const chat = await client.chat.completions.create({ ...request, tool_choice: weather });
  expect(chat.choices[0]!.message.tool_calls![0]).toMatchObject({ function: { name: "get_weather" } });
  expectValid(chat.choices[0]!.message.tool_calls![0] as CallLike);
  const { messages, temperature, seed } = request;
  const response = await client.responses.create({
    ...{ model: "m", input: "How is the weather?", temperature, max_output_tokens: 400, seed },
    reasoning: { effort: "none" },
    tools: [{ type: "function", name: "get_weather", parameters, strict: true }],
    tool_choice: { type: "function", name: "get_weather" },
    parallel_tool_calls: false,
  });
  expect(response.tool_choice).toEqual({ type: "function", name: "get_weather" });
  const [item] = response.output;
  expectValid({ function: item as OpenAI.Responses.ResponseFunctionToolCall });
  const anthropic = await ask("/v1/messages", {
    ...{ messages, max_tokens: 400, thinking: { type: "disabled" } },
    tools: [{ name: "get_weather", input_schema: parameters }],
    tool_choice: { type: "any", disable_parallel_tool_use: true },
  });
  const { content, stop_reason } = (await anthropic.json()) as {
    content: { input: unknown }[];
    stop_reason: string;
  };
  expect(stop_reason).toBe("tool_use");
  expect(validate(content[0]!.input)).toBe(true);
});

it("a tool that is strict may be called or not", async () => {
  const strict = { ...tools[0]!, function: { ...tools[0]!.function, strict: true } };
  const { choices } = await clientOf("hermes").chat.completions.create({
    ...request,
    ...{ tools: [strict], n: 4, max_tokens: 30, parallel_tool_calls: true },
  });
  const whole = choices.filter(({ finish_reason }) => finish_reason === "tool_calls");
  for (const { message } of whole) for (const call of message.tool_calls!) expectValid(call as CallLike);
});

it("a schema that cannot be enforced is refused, and is free where calls need not obey", async () => {
  const tool = (strict?: boolean) => ({
    type: "function",
    function: { name: "f", parameters: { properties: { a: { nope: {} } } }, strict },
  });
  const post = async (fields: object) =>
    errorOf(await ask("/v1/chat/completions", { ...request, max_tokens: 4, ...fields }));
  for (const fields of [
    { tools: [tool()], tool_choice: "required" },
    { tools: [tool(true)], stream: true },
  ])
    expect(await post(fields)).toMatchObject({
      status: 400,
      error: {
        param: "tools[0].function.parameters",
        message: "tools[0].function.parameters: /properties/a/nope: this keyword is not supported",
      },
    });
  for (const fields of [{ tools: [tool()] }, { tools: [tool(false)], tool_choice: "required" }])
    expect(await post(fields)).toMatchObject({ status: 200 });
});
