// Cases of the fields that routes of generations share.
import { expect } from "vitest";
import { type Cases, model, option, owner } from "./fieldCase.js";

/** More levels than anybody needs. */
const deepTag = Array.from({ length: 300 }).reduce<object>(
  (inner) => ({ type: "sequence", elements: [inner] }),
  { type: "any_text" },
);

export const generation: Cases = {
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
  response_format: option(
    "format",
    { type: "json_schema", json_schema: { name: "x", schema: { type: "object" }, strict: true } },
    [
      "json",
      {},
      { type: "yaml" },
      { type: "json_schema" },
      { type: "json_schema", json_schema: { schema: {} } },
      { type: "json_schema", json_schema: { name: "x" }, schema: {} },
      { type: "json_object", schema: "{}" },
      { type: "json_object", schem: {} },
      { type: "text", schema: {} },
      { type: "json_schema", json_schema: { name: "x", schema: "{}" } },
      { type: "json_schema", json_schema: { name: "x", schema: {}, scheme: {} } },
      { type: "structural_tag", format: { type: "xml" } },
      { type: "structural_tag", triggers: [], structures: [] },
      deepTag,
    ],
    { parts: { schema: { type: "object" }, name: "response_format.json_schema.schema" } },
  ),
  structured_outputs: option(
    "format",
    { regex: "a+" },
    [
      5,
      { json: 5 },
      { json: "{" },
      { choice: [] },
      { json_object: false },
      { whitespace_pattern: " " },
      { grammar: "" },
      { disable_additional_properties: true },
      { yaml: {} },
      { structural_tag: { type: "text" } },
      { json: {}, regex: "a" },
    ],
    { parts: { regex: "a+", name: "structured_outputs.regex" } },
  ),
  guided_json: option("format", '{"type":"integer"}', [5, "{", ["a"]], {
    parts: { schema: { type: "integer" }, name: "guided_json" },
  }),
  guided_regex: option("format", "a+", ["", 5], { parts: { regex: "a+", name: "guided_regex" } }),
  guided_choice: option("format", ["a", "b"], [[], "a", [""], [5]], { choice: ["a", "b"] }),
  guided_grammar: option("format", 'root ::= "x"', ["", 5], {
    parts: { grammar: 'root ::= "x"', name: "guided_grammar" },
  }),
  guided_whitespace_pattern: { asks: " " },
  guided_decoding_backend: { asks: "xgrammar" },
  cache_salt: option("cacheSalt", "mine", ["", "x".repeat(1025), 5], JSON.stringify(["", "mine"])),
  priority: option("priority", -3, [1.5, "1", 2 ** 31]),
  request_id: { asks: "x" },
  session_id: owner("x", [5]),
  kv_transfer_params: { asks: {} },
  truncate_prompt_tokens: { asks: 5 },
  truncation_side: { asks: "left" },
  mm_processor_kwargs: { asks: {} },
  user: owner("somebody", [5, ["a"]]),
  safety_identifier: owner("somebody", [{}]),
  metadata: { sent: { a: "b" } },
  store: { asks: true, neutral: [false] },
  service_tier: { sent: "auto" },
  prompt_cache_key: owner("x", [true]),
  prompt_cache_retention: { sent: "24h" },
};
