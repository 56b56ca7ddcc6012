/** Fields of /v1/chat/completions. */
import { z } from "zod";
import type { ChatMessage } from "../../lib/index.js";
import { chosen, ignored, type Refused, refused, required, supported } from "./field.js";
import { generationFields } from "./generation.js";
import { schemaOfArguments, toolFields, toolList } from "./tools.js";

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

/** What the renderer says itself, by its own names and by those that templates and Hugging Face's renderer have for it. */
const answersBegin = "an answer begins a message of its own";
const ofRenderer: Readonly<Record<string, Refused>> = {
  messages: refused("they are a field of their own"),
  tools: refused("they are a field of their own"),
  templateName: refused("the template is that of the checkpoint"),
  chat_template: refused("the template is that of the checkpoint"),
  addGenerationPrompt: refused(answersBegin),
  add_generation_prompt: refused(answersBegin, z.literal(true)),
  continue_final_message: refused(answersBegin, z.literal(false)),
};
const variables = z.record(z.string(), z.json()).transform((given, context) => {
  for (const [name, { schema }] of Object.entries(ofRenderer)) {
    const value = Object.hasOwn(given, name) ? given[name] : null;
    const issue = value !== null && schema.safeParse(value).error?.issues[0];
    if (issue) context.addIssue({ code: "custom", path: [name], message: issue.message });
  }
  return Object.fromEntries(Object.entries(given).filter(([name]) => !Object.hasOwn(ofRenderer, name)));
});

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
  ...toolFields(
    toolList(tool, ["function", "name"]),
    ({ function: chosenOne }) => (chosenOne as { name?: unknown } | undefined)?.name,
  ),
  functions: refused("use `tools`", z.array(z.unknown()).max(0)),
  function_call: refused("use `tool_choice`", z.literal("none")),
  chat_template: refused("the template is that of the checkpoint"),
  documents: refused("give them in `chat_template_kwargs`, if the template reads them"),
  add_generation_prompt: refused(answersBegin, z.literal(true)),
  continue_final_message: refused(answersBegin, z.literal(false)),
  add_special_tokens: refused("the template writes the special tokens", z.literal(false)),
  echo: refused("/v1/completions has it", z.literal(false)),
  reasoning_effort: supported(z.string().min(1), "a variable of the template, if it reads it; else refused"),
  thinking_token_budget: refused("thoughts have no limit of their own"),
  include_reasoning: supported(z.boolean(), "false: the answer comes without the thoughts; default true"),
  modalities: refused("answers are text", z.tuple([z.literal("text")])),
  audio: refused("answers are text"),
  prediction: ignored("it only makes OpenAI's answers faster"),
  verbosity: refused("say it in a message"),
  web_search_options: refused("nothing is searched"),
} as const;
