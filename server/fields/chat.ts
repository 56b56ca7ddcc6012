/** Fields of /v1/chat/completions. */
import { z } from "zod";
import type { ChatMessage } from "../../lib/index.js";
import { chosen, ignored, refused, required, supported } from "./field.js";
import { generationFields } from "./generation.js";

const part = z.looseObject({
  type: z.literal("text", 'expected "text": there are no images, sounds or files'),
  text: z.string(),
});
const content = chosen<unknown>((value) =>
  Array.isArray(value) ? z.array(part) : z.string().nullable().optional(),
);
const message = z.looseObject({ role: z.string().min(1), content });

/** Options of the renderer, which a request may not set as if they were variables of the template. */
const reserved = ["tools", "templateName", "addGenerationPrompt", "messages"];
const variables = z
  .record(z.string(), z.json())
  .refine(
    (value) => !reserved.some((name) => Object.hasOwn(value, name)),
    `expected none of ${reserved.join(", ")}`,
  );

const noTools = "tool calls are not parsed yet";

export const chatFields = {
  messages: required(
    z.array(message).min(1) as unknown as z.ZodType<readonly ChatMessage[]>,
    "`{ role, content }`, oldest first; content is a text or parts of it",
  ),
  ...generationFields,
  max_completion_tokens: supported(z.int().min(1), "the newer name of `max_tokens`; wins over it"),
  logprobs: supported(z.boolean(), "log probabilities of the tokens of the answer"),
  top_logprobs: supported(z.int().min(0).max(20), "and of so many of the likeliest ones; needs `logprobs`"),
  chat_template_kwargs: supported(variables, "variables of the template, such as `enable_thinking`"),
  tools: refused(noTools, z.array(z.unknown()).max(0)),
  tool_choice: refused(noTools, z.literal("none")),
  parallel_tool_calls: ignored("without tools there are no calls"),
  functions: refused(noTools),
  function_call: refused(noTools, z.literal("none")),
  chat_template: refused("the template is that of the checkpoint"),
  documents: refused("give them in `chat_template_kwargs`, if the template reads them"),
  add_generation_prompt: refused("an answer begins a message of its own", z.literal(true)),
  continue_final_message: refused("an answer begins a message of its own", z.literal(false)),
  add_special_tokens: refused("the template writes the special tokens", z.literal(false)),
  echo: refused("/v1/completions has it", z.literal(false)),
  reasoning_effort: refused("give it in `chat_template_kwargs`, if the template reads it"),
  thinking_token_budget: refused("thoughts are not told from answers yet"),
  include_reasoning: refused("thoughts are not told from answers yet", z.literal(true)),
  modalities: refused("answers are text", z.tuple([z.literal("text")])),
  audio: refused("answers are text"),
  prediction: ignored("it only makes OpenAI's answers faster"),
  verbosity: refused("say it in a message"),
  web_search_options: refused("nothing is searched"),
} as const;
