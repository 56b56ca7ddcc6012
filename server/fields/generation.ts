/** Fields that chats and completions have in common. */
import { z } from "zod";
import { chosen, ignored, refused, supported } from "./field.js";
import { constraintFields } from "./outputFormat.js";

const tokenIds = z.array(z.int().min(0));
const stopTexts = chosen<string | string[]>((value) =>
  Array.isArray(value) ? z.array(z.string().min(1)).max(256) : z.string().min(1),
);
const bias = z.record(
  z.string().regex(/^\d+$/, "expected token ids as names"),
  z.number().min(-100).max(100),
);

export const model = supported(
  z.string(),
  "a name of `/v1/models`; may be left out where one model is served",
);

/** Whose a request is. */
const owner = supported(z.string(), "all requests that have it in common get the same version of a split");

/** OpenAI's own bookkeeping. */
const bookkeeping = {
  user: owner,
  safety_identifier: owner,
  metadata: ignored("notes for OpenAI's dashboard"),
  store: refused("nothing is stored", z.literal(false)),
  service_tier: ignored("there is one tier"),
  prompt_cache_key: owner,
  prompt_cache_retention: ignored("pages stay as long as there is room"),
};

const sampling = {
  temperature: supported(
    z.number().min(0).max(100),
    "0 is greedy; default: that of the checkpoint's generation_config.json if it samples, else 0",
    "temperature",
  ),
  top_p: supported(z.number().min(0).max(1), "sample from the likeliest tokens up to this sum", "topP"),
  top_k: supported(z.int().min(-1), "sample from so many tokens; 0 and -1 are off", "topK"),
  min_p: supported(z.number().min(0).max(1), "drop tokens less likely than this share of the best", "minP"),
  presence_penalty: supported(z.number().min(-2).max(2), "for tokens generated before", "presencePenalty"),
  frequency_penalty: supported(
    z.number().min(-2).max(2),
    "for each time a token was generated before",
    "frequencyPenalty",
  ),
  repetition_penalty: supported(
    z.number().min(0.01).max(100),
    "divides logits of tokens that occurred, prompt included; 1 is off",
    "repetitionPenalty",
  ),
  logit_bias: supported(bias, "added to the logits of tokens, by id", "logitBias"),
  seed: supported(
    z
      .int()
      .min(0)
      .max(2 ** 52),
    "the same request with the same seed gives the same tokens",
    "seed",
  ),
  length_penalty: ignored("only beam search has one"),
  use_beam_search: refused("there is no beam search", z.literal(false)),
  allowed_token_ids: refused("use `logit_bias`"),
  bad_words: refused("use `logit_bias`", z.array(z.unknown()).max(0)),
  repetition_detection: refused("repetitions are not looked for"),
  vllm_xargs: refused("there are no extensions"),
};

const ends = {
  max_tokens: supported(
    z.int().min(0),
    "most tokens to generate; default: up to the end of the context",
    "maxTokens",
  ),
  min_tokens: supported(z.int().min(0), "no stop before so many tokens", "minTokens"),
  stop: supported(stopTexts, "a text that ends the answer, or up to 256 of them", "stop"),
  stop_token_ids: supported(tokenIds, "ids that end the answer", "stopTokenIds"),
  include_stop_str_in_output: supported(z.boolean(), "the answer ends with the stop string", "includeStop"),
  ignore_eos: supported(z.boolean(), "go on after the checkpoint's end tokens", "ignoreEos"),
};

const output = {
  n: supported(z.int().min(1).max(128), "answers to the same prompt", "n"),
  stream: supported(z.boolean(), "server-sent events, the last of them `[DONE]`"),
  stream_options: supported(
    z.strictObject({ include_usage: z.boolean().optional(), include_obfuscation: z.boolean().optional() }),
    "`include_usage`: a last chunk with the usage and no choices",
  ),
  stream_interval: ignored("tokens are sent as they come"),
  skip_special_tokens: supported(
    z.boolean(),
    "default true; markers of calls and thoughts are never text",
    "skipSpecialTokens",
  ),
  spaces_between_special_tokens: ignored("texts are what the tokenizer decodes"),
  return_tokens_as_token_ids: supported(
    z.boolean(),
    "tokens of log probabilities are written as `token_id:123`",
  ),
  return_token_ids: refused("token ids are not returned", z.literal(false)),
  logprob_token_ids: refused("log probabilities are of the likeliest tokens"),
  prompt_logprobs: refused("use `echo` with `logprobs` of /v1/completions"),
};

const control = {
  cache_salt: supported(
    z.string().min(1).max(1024),
    "prefixes are shared among requests of equal salt, and of the same API key",
  ),
  priority: supported(
    z
      .int()
      .min(-(2 ** 31))
      .max(2 ** 31 - 1),
    "requests of a lower number are served first; default 0",
    "priority",
  ),
  request_id: refused("send it as the header `X-Request-Id`"),
  session_id: owner,
  kv_transfer_params: refused("prompts are not computed elsewhere"),
  truncate_prompt_tokens: refused("a prompt that is too long is refused"),
  truncation_side: refused("a prompt that is too long is refused"),
  mm_processor_kwargs: refused("there are no images or sounds"),
};

export const generationFields = {
  model,
  ...sampling,
  ...ends,
  ...output,
  ...constraintFields,
  ...control,
  ...bookkeeping,
};
