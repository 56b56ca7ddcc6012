// Cases of the fields that routes of generations share.
import { expect } from "vitest";
import { type Cases, model, option, owner } from "./fieldCase.js";

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
