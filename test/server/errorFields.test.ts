// Contract: what the engine says of a request is told with the names of its fields: of the prompts which, of a format's options, of a
// variable that the template does not read; a form of the answer is checked where calls stand in place of it, too.
import { afterAll, beforeAll, expect, it } from "vitest";
import { createApp } from "../../server/index.js";
import { HermesModel } from "./hermes.js";
import { errorOf, fetchOf, postOf } from "./support.js";

let model: HermesModel;
beforeAll(async () => {
  model = await HermesModel.load();
});
afterAll(async () => {
  await model[Symbol.asyncDispose]();
});

const chat = { messages: [{ role: "user", content: "x" }], max_tokens: 2 };
const tools = [{ type: "function", function: { name: "f" } }];
const schemaOf = (schema: object) => ({ type: "json_schema", json_schema: { name: "a", schema } });
const place = "response_format.json_schema.schema";

it.each<[string, object, string | null, RegExp]>([
  ["/detokenize", { tokens: [1, 2 ** 40] }, "tokens[1]", /^tokens\[1\]: /],
  ["/v1/completions", { prompt: [5, 99999] }, "prompt[1]", /^prompt\[1\]: /],
  ["/v1/completions", { prompt: [[5], [5, 99999]] }, "prompt[1][1]", /^prompt\[1\]\[1\]: /],
  ["/v1/completions", { prompt: [[5], [99999]], echo: true }, "prompt[1][0]", /^prompt\[1\]\[0\]: /],
  ["/v1/completions", { prompt: ["a", ""] }, "prompt[1]", /^prompt\[1\]: expected at least one token/],
  ["/v1/completions", { prompt: "" }, "prompt", /^prompt: expected at least one token/],
  ["/v1/responses", { input: [{ role: "system", content: "" }] }, "input", /^input: expected at least one/],
  [
    "/v1/chat/completions",
    { ...chat, response_format: { type: "json_object" }, ignore_eos: true },
    "response_format",
    /expected ignore_eos: false, or stop_token_ids$/,
  ],
  [
    "/v1/chat/completions",
    { ...chat, response_format: schemaOf({ properties: { maxTokens: { nope: 1 } } }) },
    place,
    /\/properties\/maxTokens\/nope: /,
  ],
  ["/v1/chat/completions", { ...chat, reasoning_effort: "low" }, "reasoning_effort", /does not read/],
  ["/v1/responses", { input: "x", reasoning: { effort: "low" } }, "reasoning.effort", /does not read/],
  [
    "/v1/chat/completions",
    { ...chat, chat_template_kwargs: { colour: 1 } },
    "chat_template_kwargs.colour",
    /^chat_template_kwargs\.colour: .*does not read colour/,
  ],
  [
    "/v1/chat/completions",
    { ...chat, tools, tool_choice: "required", response_format: schemaOf({ nope: 1 }) },
    place,
    /^response_format\.json_schema\.schema: \/nope: /,
  ],
  [
    "/v1/chat/completions",
    { ...chat, tools: [...tools, ...tools] },
    "tools[1].function.name",
    /^tools\[1\]\.function\.name: .*"f"/,
  ],
])("%s %j: %s", async (path, body, param, says) => {
  const ask = fetchOf(createApp({ m: model.llm }));
  const { status, error } = await errorOf(await ask(`http://host${path}`, postOf(body)));
  expect([status, error.param], error.message).toEqual([400, param]);
  expect(error.message).toMatch(says);
});

it("levels without end are refused by the field that has them", async () => {
  const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`;
  const ask = fetchOf(createApp({ m: model.llm }));
  const body = `{"messages":[{"role":"user","content":"x"}],"chat_template_kwargs":{"a":${deep}}}`;
  expect(await errorOf(await ask("http://host/v1/chat/completions", postOf(body)))).toMatchObject({
    status: 400,
    error: { param: "chat_template_kwargs", message: "chat_template_kwargs: expected at most 200 levels" },
  });
});
