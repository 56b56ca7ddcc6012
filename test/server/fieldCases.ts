// A case for each row of the tables of request fields, which fails without the row.
import { expect } from "vitest";
import type { Asked } from "./support.js";

interface Seen {
  /** What the engine was given. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly asked: Asked | undefined;
  /** The answer, and that of the same request without the field. */
  readonly text: string;
  readonly usual: string;
}

interface Supported {
  readonly good: unknown;
  readonly wrong: readonly unknown[];
  /** Other fields that it needs. */
  readonly also?: object;
  readonly does: (seen: Seen) => void;
}

export type FieldCase =
  | Supported
  /** `asks` for what is refused; `neutral` values do not. */
  | { readonly asks: unknown; readonly neutral?: readonly unknown[] }
  | { readonly sent: unknown };

type Cases = Readonly<Record<string, FieldCase>>;

/** The value arrives as an option of the engine. */
const option = (name: string, good: unknown, wrong: readonly unknown[], expected = good): Supported => ({
  good,
  wrong,
  does: ({ options }) => expect(options[name]).toEqual(expected),
});

const tool = (fields: object) => ({ type: "function", function: { name: "f", ...fields } });

/** An answer without what differs from request to request. */
export function plain(text: string): string {
  return text.replaceAll(/"(id|created)":("[^"]*"|\d+)/g, "");
}

const model: Supported = {
  good: "m",
  wrong: ["x", "../models/tiny-moe", "/etc/passwd", 3, ["m"]],
  does: ({ text, usual }) => expect(text.length).toBe(usual.length),
};

const generation: Cases = {
  model,
  temperature: option("temperature", 0.5, ["hot", -1, 101, true]),
  top_p: option("topP", 0.5, [-0.1, 1.1, "1"]),
  top_k: option("topK", -1, [-2, 1.5, "3"]),
  min_p: option("minP", 0.1, [-0.1, 2]),
  presence_penalty: option("presencePenalty", -2, [-2.1, 2.1, "0"]),
  frequency_penalty: option("frequencyPenalty", 2, [-2.1, 2.1]),
  repetition_penalty: option("repetitionPenalty", 1.5, [0, 101]),
  logit_bias: option("logitBias", { 5: -100 }, [{ a: 1 }, { 5: 101 }, [1], { "-1": 0 }]),
  seed: option("seed", 17, [-1, 1.5, "17", 1e300]),
  length_penalty: { sent: 2 },
  use_beam_search: { asks: true, neutral: [false] },
  allowed_token_ids: { asks: [1] },
  bad_words: { asks: ["x"], neutral: [[]] },
  repetition_detection: { asks: {} },
  vllm_xargs: { asks: { a: 1 } },
  max_tokens: option("maxTokens", 9, [0, -1, 1.5, "9"]),
  min_tokens: option("minTokens", 2, [-1, "2"]),
  stop: option("stop", ["a", "b"], ["", [""], ["a", 3], 5, {}]),
  stop_token_ids: option("stopTokenIds", [3], [[-1], 3, ["3"], [1.5]]),
  include_stop_str_in_output: option("includeStop", true, ["yes", 1]),
  ignore_eos: option("ignoreEos", true, ["yes"]),
  n: {
    good: 2,
    wrong: [0, 129, 1.5, "2"],
    does: ({ text }) => expect(JSON.parse(text).choices).toHaveLength(2),
  },
  stream: {
    good: true,
    wrong: ["true", 1],
    does: ({ text }) => expect(text).toMatch(/^data: .*\n\ndata: \[DONE\]\n\n$/s),
  },
  stream_options: {
    good: { include_usage: true, include_obfuscation: false },
    wrong: [{ include_usage: 1 }, { other: true }, true],
    also: { stream: true },
    does({ text, usual }) {
      const last = (events: string) =>
        JSON.parse(events.split("data: ").at(-2)!) as { choices: object[]; usage?: object };
      expect(last(text)).toMatchObject({
        choices: [],
        usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 },
      });
      expect(text.match(/"usage":null/g)!.length).toBe(text.split("data: ").length - 3);
      expect(usual).not.toContain("usage");
    },
  },
  stream_interval: { sent: 4 },
  skip_special_tokens: option("skipSpecialTokens", false, ["no"]),
  spaces_between_special_tokens: { sent: false },
  return_token_ids: { asks: true, neutral: [false] },
  logprob_token_ids: { asks: [1] },
  prompt_logprobs: { asks: 1 },
  response_format: {
    asks: { type: "json_schema", json_schema: { name: "x", schema: {} } },
    neutral: [{ type: "text" }],
  },
  structured_outputs: { asks: { json: {} } },
  guided_json: { asks: {} },
  guided_regex: { asks: "a+" },
  guided_choice: { asks: ["a"] },
  guided_grammar: { asks: "root ::= x" },
  cache_salt: option("cacheSalt", "mine", ["", "x".repeat(1025), 5], JSON.stringify(["", "mine"])),
  priority: option("priority", -3, [1.5, "1", 2 ** 31]),
  request_id: { asks: "x" },
  session_id: { sent: "x" },
  kv_transfer_params: { asks: {} },
  truncate_prompt_tokens: { asks: 5 },
  truncation_side: { asks: "left" },
  mm_processor_kwargs: { asks: {} },
  user: { sent: "somebody" },
  safety_identifier: { sent: "somebody" },
  metadata: { sent: { a: "b" } },
  store: { asks: true, neutral: [false] },
  service_tier: { sent: "auto" },
  prompt_cache_key: { sent: "x" },
  prompt_cache_retention: { sent: "24h" },
};

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
  ]),
  tools: option(
    "tools",
    [{ type: "function", function: { name: "f", strict: true } }],
    [5, [{}], [{ type: "web_search" }], [{ type: "function", function: {} }], [tool({ parameters: 5 })]],
    [{ type: "function", function: { name: "f", parameters: { type: "object", properties: {} } } }],
  ),
  tool_choice: {
    good: "none",
    wrong: ["required", { type: "function", function: { name: "f" } }, "any", 1],
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
  reasoning_effort: option("templateOptions", "low", [5, ""], { reasoning_effort: "low" } as never),
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
  user: { sent: "somebody" },
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
  "/tokenize": tokenize,
  "/detokenize": detokenize,
};
