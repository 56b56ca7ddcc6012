// Cases of the fields of /v1/responses.
import { expect } from "vitest";
import { type Cases, option, schema } from "./fieldCase.js";
import { generation } from "./generationCases.js";

const generationNames = [
  ...[
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
  ],
  ...[
    "logit_bias",
    "seed",
    "min_tokens",
    "stop",
    "stop_token_ids",
    "include_stop_str_in_output",
    "ignore_eos",
  ],
  ...[
    "skip_special_tokens",
    "cache_salt",
    "priority",
    "user",
    "safety_identifier",
    "service_tier",
    "prompt_cache_key",
  ],
  ...["prompt_cache_retention", "store", "model"],
];
export const responses: Cases = {
  ...Object.fromEntries(generationNames.map((name) => [name, generation[name]!])),
  input: {
    good: [
      { role: "developer", content: "Be short." },
      { type: "message", role: "user", content: [{ type: "input_text", text: "Hi" }] },
      { type: "reasoning", id: "r", summary: [], content: [{ type: "reasoning_text", text: "hm" }] },
      { type: "function_call", call_id: "x", name: "f", arguments: "{}" },
      { type: "function_call_output", call_id: "x", output: "b" },
    ],
    wrong: [
      [],
      5,
      [{ role: "user" }],
      [{ role: "user", content: [{ type: "input_image", image_url: "x" }] }],
      [{ type: "item_reference", id: "msg_1" }],
      [{ type: "function_call", call_id: "x", name: "f", arguments: {} }],
    ],
    does: ({ asked }) =>
      expect(asked!.messages).toEqual([
        { role: "system", content: "Be short." },
        { role: "user", content: "Hi" },
        {
          ...{ role: "assistant", content: "" },
          tool_calls: [{ id: "x", type: "function", function: { name: "f", arguments: {} } }],
        },
        { role: "tool", tool_call_id: "x", name: "f", content: "b" },
      ]),
  },
  instructions: {
    good: "Be short.",
    wrong: [5, ["x"]],
    does: ({ asked }) =>
      expect(asked!.messages).toMatchObject([{ role: "system", content: "Be short." }, {}]),
  },
  max_output_tokens: option("maxTokens", 9, [0, -1, 1.5, "9"]),
  tools: option(
    "tools",
    [{ type: "function", name: "f", parameters: null, strict: false }],
    [
      5,
      [{}],
      [{ type: "web_search" }],
      [{ type: "function" }],
      [{ type: "function", name: "f", parameters: 5 }],
      Array(2).fill({ type: "function", name: "f" }),
    ],
    [{ type: "function", function: { name: "f", parameters: schema } }],
  ),
  tool_choice: {
    good: "none",
    wrong: [{ type: "function", name: "g" }, { type: "function", function: { name: "f" } }, 1],
    also: { tools: [{ type: "function", name: "f" }] },
    does: ({ options }) => expect(options["tools"]).toBeUndefined(),
  },
  parallel_tool_calls: {
    good: false,
    wrong: ["no", 1],
    does: ({ text }) => expect(JSON.parse(text).parallel_tool_calls).toBe(false),
  },
  reasoning: option("templateOptions", { effort: "none" }, ["high", { effort: 5 }, { summary: "auto" }], {
    enable_thinking: false,
  }),
  text: option(
    "format",
    { format: { type: "json_schema", name: "x", schema: { type: "object" }, strict: true } },
    [
      "text",
      { format: { type: "structural_tag" } },
      { format: { type: "json_schema", schema: {} } },
      { format: { type: "json_object", schem: {} } },
      { format: { type: "text", schema: {} } },
      { verbosity: "low" },
    ],
    { parts: { schema: { type: "object" }, name: "text.format.schema" } },
  ),
  stream: {
    good: true,
    wrong: ["true", 1],
    does: ({ text }) =>
      expect(text).toMatch(/^event: response\.created\ndata: .*event: response\.completed\ndata: .*\n\n$/s),
  },
  stream_options: {
    good: { include_obfuscation: false },
    wrong: [{ include_obfuscation: 1 }, true],
    also: { stream: true },
    does: ({ text, usual }) => expect(text.length).toBe(usual.length),
  },
  previous_response_id: { asks: "resp_1" },
  conversation: { asks: "conv_1" },
  background: { asks: true, neutral: [false] },
  include: { asks: ["message.output_text.logprobs"], neutral: [["reasoning.encrypted_content"]] },
  prompt: { asks: { id: "x" } },
  truncation: { asks: "auto", neutral: ["disabled"] },
  context_management: { asks: [{}] },
  max_tool_calls: { sent: 3 },
  moderation: { asks: {} },
  top_logprobs: { asks: 2, neutral: [0] },
  metadata: {
    good: { a: "b" },
    wrong: [5, { a: 1 }],
    does: ({ text }) => expect(JSON.parse(text).metadata).toEqual({ a: "b" }),
  },
  prompt_cache_options: { sent: {} },
};
