/** Fields of /v1/chat/completions. */
import { z } from "zod";
import type { ChatMessage } from "../../lib/index.js";
import { chosen, ignored, refused, required, supported } from "./field.js";
import { generationFields } from "./generation.js";
import { schemaOfArguments, toolFields } from "./tools.js";

const part = z.looseObject({
  type: z.literal("text", 'expected "text": there are no images, sounds or files'),
  text: z.string(),
});
const content = chosen<unknown>((value) =>
  Array.isArray(value) ? z.array(part) : z.string().nullable().optional(),
);
const toolCall = z.looseObject({
  id: z.string(),
  type: z.literal("function").optional(),
  function: z.looseObject({ name: z.string().min(1), arguments: z.string() }),
});
const message = z.looseObject({
  role: z.string().min(1),
  content,
  tool_calls: z.array(toolCall).nullish(),
  tool_call_id: z.string().nullish(),
});

/** Options of the renderer, which a request may not set as if they were variables of the template. */
const reserved = ["tools", "templateName", "addGenerationPrompt", "messages"];
const variables = z
  .record(z.string(), z.json())
  .refine(
    (value) => !reserved.some((name) => Object.hasOwn(value, name)),
    `expected none of ${reserved.join(", ")}`,
  );

const tool = z.looseObject({
  type: z.literal("function", 'expected "function": there are no others'),
  function: z.looseObject({
    name: z.string().min(1),
    description: z.string().nullish(),
    parameters: schemaOfArguments.nullish(),
    strict: z.boolean().nullish(),
  }),
});

export const chatFields = {
  messages: required(
    z.array(message).min(1) as unknown as z.ZodType<readonly ChatMessage[]>,
    "`{ role, content }`, oldest first; content is a text or parts of it; with `tool_calls`, `tool_call_id`, `reasoning`",
  ),
  ...generationFields,
  max_completion_tokens: supported(z.int().min(1), "the newer name of `max_tokens`; wins over it"),
  logprobs: supported(z.boolean(), "log probabilities of the tokens of the answer"),
  top_logprobs: supported(z.int().min(0).max(20), "and of so many of the likeliest ones; needs `logprobs`"),
  chat_template_kwargs: supported(variables, "variables of the template, such as `enable_thinking`"),
  ...toolFields(tool, ({ function: chosenOne }) => (chosenOne as { name?: unknown } | undefined)?.name),
  functions: refused("use `tools`", z.array(z.unknown()).max(0)),
  function_call: refused("use `tool_choice`", z.literal("none")),
  chat_template: refused("the template is that of the checkpoint"),
  documents: refused("give them in `chat_template_kwargs`, if the template reads them"),
  add_generation_prompt: refused("an answer begins a message of its own", z.literal(true)),
  continue_final_message: refused("an answer begins a message of its own", z.literal(false)),
  add_special_tokens: refused("the template writes the special tokens", z.literal(false)),
  echo: refused("/v1/completions has it", z.literal(false)),
  reasoning_effort: supported(z.string().min(1), "a variable of the template, if it reads it"),
  thinking_token_budget: refused("thoughts have no limit of their own"),
  include_reasoning: supported(z.boolean(), "false: the answer comes without the thoughts; default true"),
  modalities: refused("answers are text", z.tuple([z.literal("text")])),
  audio: refused("answers are text"),
  prediction: ignored("it only makes OpenAI's answers faster"),
  verbosity: refused("say it in a message"),
  web_search_options: refused("nothing is searched"),
} as const;
