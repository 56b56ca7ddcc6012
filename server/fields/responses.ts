/** Fields of OpenAI's /v1/responses. */
import { z } from "zod";
import { chosen, ignored, refused, required, supported } from "./field.js";
import { generationFields } from "./generation.js";
import { formats, namedSchema, type Schema } from "./outputFormat.js";
import { schemaOfArguments, toolFields, toolList } from "./tools.js";

const text = z.looseObject({
  type: z.enum(["input_text", "output_text", "text"], "expected a text: there are no images or files"),
  text: z.string(),
});
const texts = z.array(text);
const textOrParts = chosen<string | z.output<typeof texts>>((value) =>
  Array.isArray(value) ? texts : z.string(),
);
const message = z.looseObject({ role: z.string().min(1), content: textOrParts });
const otherItems = z.discriminatedUnion(
  "type",
  [
    z.looseObject({
      type: z.literal("function_call"),
      call_id: z.string(),
      name: z.string().min(1),
      arguments: z.string(),
    }),
    z.looseObject({ type: z.literal("function_call_output"), call_id: z.string(), output: textOrParts }),
    z.looseObject({
      type: z.literal("reasoning"),
      content: z.array(z.looseObject({ text: z.string() })).nullish(),
    }),
  ],
  "expected message, function_call, function_call_output or reasoning: nothing is stored, and no other tools run here",
);

/** A text, or parts of it. */
export type Texts = z.output<typeof textOrParts>;
/** A piece of the conversation. A message may leave its type out. */
export type Item = z.output<typeof otherItems> | (z.output<typeof message> & { readonly type?: "message" });

const isMessage = (value: unknown): boolean => {
  const type = (value as { readonly type?: unknown } | null)?.type;
  return type === undefined || type === "message";
};
const item = chosen<Item>((value) => (isMessage(value) ? message : otherItems) as z.ZodType<Item>);
const tool = z.looseObject({
  type: z.literal("function", 'expected "function": there are no others'),
  name: z.string().min(1),
  description: z.string().nullish(),
  parameters: schemaOfArguments.nullish(),
  strict: z.boolean().nullish(),
});

const { model, seed, stop, stop_token_ids, min_tokens, ignore_eos } = generationFields;
const { temperature, top_p, top_k, min_p, presence_penalty, frequency_penalty } = generationFields;
const { repetition_penalty, logit_bias, cache_salt, priority, skip_special_tokens } = generationFields;
const { user, safety_identifier, service_tier } = generationFields;
const { prompt_cache_key, prompt_cache_retention, include_stop_str_in_output } = generationFields;
const json_schema = z.strictObject({ type: z.literal("json_schema"), ...namedSchema });
export type TextFormat =
  | { readonly type: "text" }
  | { readonly type: "json_object"; readonly schema?: Schema | null | undefined }
  | z.output<typeof json_schema>;
const textFormat = formats<TextFormat>({ json_schema });
const notStored = "nothing is stored: send the conversation in `input`";

export const responseFields = {
  input: required(
    chosen<string | readonly Item[]>((value) => (Array.isArray(value) ? z.array(item).min(1) : z.string())),
    "a text, or items: messages, `function_call`, `function_call_output`, `reasoning`",
  ),
  model,
  instructions: supported(z.string(), "a system message before all others"),
  max_output_tokens: supported(
    z.int().min(1),
    "most tokens to generate; default: up to the end of the context",
    "maxTokens",
  ),
  temperature,
  top_p,
  ...toolFields(toolList(tool, ["name"]), ({ name }) => name),
  reasoning: supported(
    z.looseObject({
      effort: z.string().nullish(),
      summary: z.null("expected null: thoughts are not summed up").optional(),
    }),
    "`effort`: `none` turns thoughts off, where the template can; others are its variable `reasoning_effort`, if it reads one; else refused",
  ),
  text: supported(
    z.looseObject({
      format: textFormat.optional(),
      verbosity: z.null("expected null: say it in a message").optional(),
    }),
    "of `format` the types `text`, `json_object` (with `schema`, if you like), and `json_schema` with `name` and `schema`: the answer has the form; `strict` changes nothing",
  ),
  stream: supported(z.boolean(), "server-sent events with names, the last of them `response.completed`"),
  stream_options: supported(
    z.looseObject({ include_obfuscation: z.boolean().optional() }),
    "`include_obfuscation` has no effect: nothing is added",
  ),
  metadata: supported(z.record(z.string(), z.string()), "given back with the answer"),
  store: refused("nothing is stored", z.literal(false)),
  previous_response_id: refused(notStored),
  conversation: refused(notStored),
  background: refused("an answer comes where it is asked for", z.literal(false)),
  include: refused(
    "answers have all that there is",
    z.array(z.literal("reasoning.encrypted_content")), // there are none, and so all of them are included
  ),
  prompt: refused("prompts are not stored"),
  truncation: refused("a prompt that is too long is refused", z.literal("disabled")),
  context_management: refused("a prompt that is too long is refused"),
  max_tool_calls: ignored("no tools run here"),
  moderation: refused("nothing is moderated"),
  top_logprobs: refused("/v1/chat/completions has log probabilities", z.literal(0)),
  ...{ top_k, min_p, presence_penalty, frequency_penalty, repetition_penalty, logit_bias, seed },
  ...{ min_tokens, stop, stop_token_ids, include_stop_str_in_output, ignore_eos, skip_special_tokens },
  ...{ cache_salt, priority, user, safety_identifier, service_tier, prompt_cache_key },
  ...{ prompt_cache_retention, prompt_cache_options: ignored("prefixes are found by their tokens") },
} as const;
