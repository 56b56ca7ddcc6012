// Contract: an answer has the form that was asked of it, hot, by every name that clients have for it: openai's parse, the AI SDK's objects,
// vLLM's fields; what is not supported is a 400 before the head that names field, keyword and place, and costs nobody else anything.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, Output } from "ai";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { createApp } from "../../server/index.js";
import { firstSeed } from "../support/seed.js";
import { HermesModel } from "./hermes.js";
import { errorOf, fetchOf, postOf } from "./support.js";

vi.stubGlobal("AI_SDK_LOG_WARNINGS", false);

let model: HermesModel;
let fetch: typeof globalThis.fetch;
let client: OpenAI;
beforeAll(async () => {
  model = await HermesModel.load();
  fetch = fetchOf(createApp({ m: model.llm }));
  client = new OpenAI({ baseURL: "http://host/v1", apiKey: "unused", maxRetries: 0, fetch });
});
afterAll(async () => {
  await model[Symbol.asyncDispose]();
});

const person = z.strictObject({
  name: z.string().max(8),
  age: z.int().min(0).max(120),
  tags: z.array(z.enum(["a", "b"])).max(2),
});
const messages = [{ role: "user" as const, content: "Who are you?" }];
const hot = { model: "m", temperature: 1.5, seed: firstSeed };
/** Thoughts of this model have no end. */
const calm = { chat_template_kwargs: { enable_thinking: false } };
const chat = { ...hot, ...calm, messages, max_tokens: 300 };

describe("openai", () => {
  const response_format = zodResponseFormat(person, "person");

  it("parses answers, several and as a stream", async () => {
    const { choices } = await client.chat.completions.parse({ ...chat, response_format, n: 3 });
    expect(choices).toHaveLength(3);
    for (const { message, finish_reason } of choices) {
      expect(finish_reason).toBe("stop");
      expect(person.parse(message.parsed)).toEqual(JSON.parse(message.content!));
    }
    const stream = client.chat.completions.stream({ ...chat, response_format });
    const [choice] = (await stream.finalChatCompletion()).choices;
    expect(person.parse(choice!.message.parsed)).toEqual(JSON.parse(choice!.message.content!));
  });

  it("parses responses, which repeat what was asked", async () => {
    const format = zodTextFormat(person, "person");
    const asked = {
      ...hot,
      input: "Who are you?",
      reasoning: { effort: "none" as const },
      max_output_tokens: 300,
    };
    const response = await client.responses.parse({ ...asked, text: { format } });
    expect(person.parse(response.output_parsed)).toEqual(JSON.parse(response.output_text));
    expect(response.text?.format).toMatchObject({ type: "json_schema", name: "person" });
  });

  it("has an object, ended by a stop string", async () => {
    const asked = { ...chat, response_format: { type: "json_object" as const }, stop: ":" };
    const [choice] = (await client.chat.completions.create(asked)).choices;
    expect(choice!.message.content).toMatch(/^\{("|\}$)/);
  });
});

describe("vLLM's fields", () => {
  const of = async (fields: object, path = "/v1/completions"): Promise<string> => {
    const body = path === "/v1/completions" ? { ...hot, prompt: "Once", max_tokens: 100 } : chat;
    const response = await fetch(`http://host${path}`, postOf({ ...body, ...fields }));
    const { choices } = (await response.json()) as {
      choices: { text?: string; message?: { content: string }; finish_reason: string }[];
    };
    expect(choices[0]!.finish_reason).toBe("stop");
    return choices[0]!.text ?? choices[0]!.message!.content;
  };
  const tag = { begin: "<n>", schema: { type: "integer", minimum: 0, maximum: 99 }, end: "</n>" };
  const content = { type: "json_schema", json_schema: tag.schema };
  const tagged = {
    type: "triggered_tags",
    triggers: ["<"],
    tags: [{ type: "tag", ...{ ...tag, schema: undefined }, content }],
  };
  const once = { at_least_one: true, stop_after_first: true };
  const sequence = [{ type: "const_string", value: "n=" }, content, { type: "regex", pattern: "[!?]" }];

  it.each<[object, RegExp]>([
    [{ guided_json: { type: "boolean" } }, /^(?:true|false)$/],
    [{ guided_json: '{"const":5}' }, /^5$/],
    [{ response_format: { type: "json_object", schema: { const: { a: 5 } } } }, /^\{"a":5\}$/],
    [{ guided_regex: "[A-C]{3}-\\d" }, /^[A-C]{3}-\d$/],
    [{ guided_choice: ["left", "right"] }, /^(?:left|right)$/],
    [{ guided_grammar: 'root ::= "(" root ")" | [xy]', logit_bias: {} }, /^\(*[xy]\)*$/],
    [{ structured_outputs: { grammar: 'start: /[ab]/ "!"' } }, /^[ab]!$/],
    [{ structured_outputs: { json: { enum: ["a"] } } }, /^"a"$/],
    [{ structured_outputs: { regex: "x{4}", whitespace_pattern: null } }, /^xxxx$/],
    [{ structured_outputs: { choice: ["é"], disable_fallback: true } }, /^é$/],
    [
      { response_format: { type: "structural_tag", format: { type: "sequence", elements: sequence } } },
      /^n=\d{1,2}[!?]$/,
    ],
    [
      {
        structured_outputs: { structural_tag: { type: "structural_tag", format: { ...tagged, ...once } } },
        logit_bias: {},
      },
      /^[^<]*<n>\d{1,2}<\/n>$/,
    ],
  ])("%o", async (fields, form) => {
    if (JSON.stringify(fields).includes("triggered")) {
      const { begin } = tag;
      const ids = await model.llm.tokenizer!.encodeAsync(begin, { addSpecialTokens: false });
      Object.assign(fields, { logit_bias: { [ids[0]!]: 100 } }); // or free text would go on and on
    }
    expect(await of(fields)).toMatch(form);
    if ("guided_choice" in fields) expect(await of(fields, "/v1/chat/completions")).toMatch(form);
  });
});

describe("what is refused", () => {
  const post = async (fields: object) =>
    errorOf(await fetch("http://host/v1/chat/completions", postOf({ ...chat, max_tokens: 8, ...fields })));
  const schemaOf = (schema: unknown) => ({ type: "json_schema", json_schema: { name: "x", schema } });
  const place = "response_format.json_schema.schema";

  it.each<[object, string, string | RegExp]>([
    [
      { response_format: schemaOf({ properties: { "a/b": { uniqueItems: true } } }) },
      place,
      `${place}: /properties/a~1b/uniqueItems: not supported where there may be more than one item`,
    ],
    [
      { response_format: schemaOf({ $ref: "#/nowhere" }), stream: true },
      place,
      `${place}: /$ref: nothing within this schema is named "#/nowhere"`,
    ],
    [{ guided_regex: "(?=a)b" }, "guided_regex", /^guided_regex: looking around/],
    [{ guided_regex: "(" }, "guided_regex", /^guided_regex: .*\(/],
    [{ guided_grammar: "root ::= x" }, "guided_grammar", /^guided_grammar: .*x/],
    [{ guided_json: { nope: {} } }, "guided_json", "guided_json: /nope: this keyword is not supported"],
    [
      {
        structured_outputs: {
          structural_tag: { type: "structural_tag", triggers: ["<"], structures: [{ begin: "a", end: "" }] },
        },
      },
      "structured_outputs.structural_tag",
      /begin: expected a text that begins with one of triggers/,
    ],
    [
      { guided_json: {}, guided_regex: "a" },
      "guided_regex",
      /^guided_regex: expected one form of the answer/,
    ],
    [
      { guided_choice: ["a"], ignore_eos: true },
      "guided_choice",
      /^guided_choice: no token may end the text: expected ignore_eos: false/,
    ],
    [
      { structured_outputs: { whitespace_pattern: " " } },
      "structured_outputs.whitespace_pattern",
      /expected null/,
    ],
  ])("%o", async (fields, param, message) => {
    const beside = fetch("http://host/v1/chat/completions", postOf({ ...chat, max_tokens: 4 }));
    const { status, error } = await post(fields);
    expect([status, error.param], error.message).toEqual([400, param]);
    if (typeof message === "string") expect(error.message).toBe(message);
    else expect(error.message).toMatch(message);
    expect((await beside).status).toBe(200);
  });

  it("a pattern that takes too much", async () => {
    const { status, error } = await post({ guided_regex: "(?:(?:a|b)*c){9999}".repeat(2000) });
    expect([status, error.param], error.message).toEqual([400, "guided_regex"]);
  });

  it("a schema of any depth", async () => {
    let text = '{"type":"object"}';
    for (let i = 0; i < 20_000; i++) text = `{"items":${text}}`;
    const body = JSON.stringify({ ...chat, guided_json: 0 }).replace(
      '"guided_json":0',
      `"guided_json":${text}`,
    );
    const { status, error } = await errorOf(await fetch("http://host/v1/chat/completions", postOf(body)));
    expect([status, error.param], error.message).toEqual([400, "guided_json"]);
  });
});

it("the AI SDK has objects of a schema, whole and as a stream", async () => {
  const server = { name: "warploop", baseURL: "http://host/v1", supportsStructuredOutputs: true };
  const provider = createOpenAICompatible({ ...server, fetch });
  const { output } = await generateText({
    ...{ model: provider("m"), prompt: "Who?", temperature: 1.5, seed: firstSeed, maxOutputTokens: 300 },
    output: Output.object({ schema: jsonSchema<{ ok: boolean }>(z.toJSONSchema(person) as never) }),
    providerOptions: { warploop: calm },
  });
  expect(person.parse(output)).toEqual(output); // as it came: nothing is dropped, nothing filled in
});
