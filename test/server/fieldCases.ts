// A case for each row of the tables of request fields, which fails without the row.
import { expect } from "vitest";
import { type Cases, model, option, owner, plain, tool } from "./fieldCase.js";
import { generation } from "./generationCases.js";
import { messages, ofPrompt } from "./messageCases.js";
import { responses } from "./responseCases.js";

const firstLogprobs = (text: string): Record<string, unknown> =>
  (JSON.parse(text) as { choices: { logprobs: Record<string, unknown> }[] }).choices[0]!.logprobs;

const chat: Cases = {
  messages: {
    good: [
      { role: "system", content: [{ type: "text", text: "S" }] },
      { role: "assistant", content: null, tool_calls: [] },
    ],
    wrong: [
      [],
      "Hi",
      [{ content: "Hi" }],
      [{ role: "user", content: 5 }],
      [{ role: "assistant", content: null, tool_calls: [{ id: "x" }] }],
      [
        {
          role: "assistant",
          content: null,
          tool_calls: [{ id: "x", function: { name: "f", arguments: {} } }],
        },
      ],
      [{ role: "tool", content: "x", tool_call_id: 5 }],
      [{ role: "user", content: [{ type: "image_url", image_url: { url: "http://x" } }] }],
    ],
    does: ({ asked }) => expect(asked!.messages).toHaveLength(2),
  },
  ...generation,
  max_completion_tokens: { ...option("maxTokens", 4, [0, "4"]), also: { max_tokens: 9 } },
  logprobs: {
    good: true,
    wrong: [1, "true"],
    does({ options, text }) {
      expect(options["logprobs"]).toBe(0);
      expect(firstLogprobs(text)["content"]).toMatchObject([
        { token: " x", logprob: -0.5, bytes: [32, 120] },
        {},
      ]);
    },
  },
  top_logprobs: {
    ...option("logprobs", 3, [-1, 21, "3"]),
    also: { logprobs: true },
  },
  return_tokens_as_token_ids: {
    good: true,
    wrong: [1],
    also: { logprobs: true },
    does: ({ text }) =>
      expect(firstLogprobs(text)["content"]).toMatchObject([
        { token: "token_id:7", top_logprobs: [{ token: "token_id:8" }] },
        {},
      ]),
  },
  chat_template_kwargs: option("templateOptions", { enable_thinking: false }, [
    5,
    [],
    { tools: [] },
    { templateName: "x" },
    { addGenerationPrompt: false },
    { messages: [] },
    { chat_template: "x" },
    { add_generation_prompt: false },
    { continue_final_message: true },
    { a: Array.from({ length: 300 }).reduce<object>((inner) => [inner], []) },
  ]),
  tools: option(
    "tools",
    [{ type: "function", function: { name: "f", strict: false } }],
    [
      5,
      [{}],
      [{ type: "web_search" }],
      [{ type: "function", function: {} }],
      [tool({ parameters: 5 })],
      [tool({}), tool({})],
    ],
    [{ type: "function", function: { name: "f", parameters: { type: "object", properties: {} } } }],
  ),
  tool_choice: {
    good: "none",
    wrong: [{ type: "function", function: { name: "g" } }, { type: "function", name: "f" }, "any", 1],
    also: { tools: [tool({})] },
    does: ({ options }) => expect(options["tools"]).toBeUndefined(),
  },
  parallel_tool_calls: {
    good: false,
    wrong: ["no", 1],
    does: ({ text, usual }) => expect(plain(text)).toBe(plain(usual)), // there is one answer of text
  },
  functions: { asks: [{ name: "f" }], neutral: [[]] },
  function_call: { asks: "auto", neutral: ["none"] },
  chat_template: { asks: "{{ messages }}" },
  documents: { asks: [{}] },
  add_generation_prompt: { asks: false, neutral: [true] },
  continue_final_message: { asks: true, neutral: [false] },
  add_special_tokens: { asks: true, neutral: [false] },
  echo: { asks: true, neutral: [false] },
  reasoning_effort: option("templateOptions", "low", [5, ""], {
    reasoning_effort: "low",
  }),
  thinking_token_budget: { asks: 100 },
  include_reasoning: {
    good: false,
    wrong: ["no", 0],
    does: ({ text, usual }) => expect(plain(text)).toBe(plain(usual)), // this answer has no thoughts
  },
  modalities: { asks: ["text", "audio"], neutral: [["text"]] },
  audio: { asks: { voice: "x" } },
  prediction: { sent: { type: "content", content: "x" } },
  verbosity: { asks: "low" },
  web_search_options: { asks: {} },
};

const completions: Cases = {
  prompt: {
    good: [[72, 105], [72]],
    wrong: [5, [1.5], [-1], ["a", 1], [[1], "a"], [[]], {}],
    does: ({ text }) => expect(JSON.parse(text).choices).toMatchObject([{ index: 0 }, { index: 1 }]),
  },
  ...generation,
  logprobs: {
    good: 1,
    wrong: [true, -1, 21],
    does({ options, text }) {
      expect(options["logprobs"]).toBe(1);
      expect(firstLogprobs(text)).toEqual({
        tokens: [" x", " x"],
        token_logprobs: [-0.5, -0.5],
        top_logprobs: [
          { " x": -0.5, " y": -0.25 },
          { " x": -0.5, " y": -0.25 },
        ],
        text_offset: [0, 2],
      });
    },
  },
  return_tokens_as_token_ids: {
    good: true,
    wrong: [1],
    also: { logprobs: 1 },
    does: ({ text }) => expect(firstLogprobs(text)["tokens"]).toEqual(["token_id:7", "token_id:7"]),
  },
  echo: {
    good: true,
    wrong: ["yes"],
    does: ({ text }) => expect(JSON.parse(text).choices[0].text).toBe("Hiab"),
  },
  add_special_tokens: {
    good: false,
    wrong: ["no"],
    does: ({ asked }) => expect(asked!.prompt).toEqual(Int32Array.of(72, 105, 0)), // encoded here
  },
  best_of: { asks: 2, neutral: [1] },
  suffix: { asks: "x", neutral: [""] },
};

const embeddings: Cases = {
  input: {
    good: ["Hi", "x"],
    wrong: [5, [1.5], ["a", 1], {}, [[]]],
    does: ({ text }) => expect(JSON.parse(text).data).toMatchObject([{ index: 0 }, { index: 1 }]),
  },
  model,
  encoding_format: {
    good: "base64",
    wrong: ["hex", 64],
    does: ({ text }) => expect(JSON.parse(text).data[0].embedding).toBe("AAAAPwAAgD4="), // 0.5 and 0.25
  },
  dimensions: option("dimensions", 2, [0, 5, "2"]),
  pooling: option("pooling", "mean", ["max", 1]),
  normalize: option("normalize", false, ["no"]),
  user: owner("somebody", [5]),
  truncate_prompt_tokens: { asks: 5 },
};

const tokenize: Cases = {
  prompt: {
    good: "abc",
    wrong: [5, ["a"]],
    does: ({ text }) => expect(JSON.parse(text).tokens).toEqual([97, 98, 99]),
  },
  model,
  add_special_tokens: { good: false, wrong: [0], does: ({ text, usual }) => expect(text).not.toBe(usual) },
  return_token_strs: { asks: true, neutral: [false] },
};

const detokenize: Cases = {
  tokens: {
    good: [97],
    wrong: ["a", [-1], [1.5], 5],
    does: ({ text }) => expect(JSON.parse(text).prompt).toBe("a"),
  },
  model,
};

export const cases: Readonly<Record<string, Cases>> = {
  "/v1/chat/completions": chat,
  "/v1/completions": completions,
  "/v1/embeddings": embeddings,
  "/v1/responses": responses,
  "/v1/messages": messages,
  "/v1/messages/count_tokens": ofPrompt,
  "/tokenize": tokenize,
  "/detokenize": detokenize,
};
