/** Fields of Anthropic's /v1/messages and /v1/messages/count_tokens. */
import { z } from "zod";
import { chosen, ignored, refused, required, supported } from "./field.js";
import { model } from "./generation.js";
import { toolList } from "./tools.js";

const text = z.looseObject({ type: z.literal("text"), text: z.string() });
const texts = z.array(text);
const textOrParts = chosen<string | z.output<typeof texts> | undefined>((value) =>
  Array.isArray(value) ? texts : z.string().optional(),
);
const block = z.discriminatedUnion(
  "type",
  [
    text,
    z.looseObject({ type: z.literal("thinking"), thinking: z.string() }),
    z.looseObject({ type: z.literal("redacted_thinking") }),
    z.looseObject({
      type: z.literal("tool_use"),
      id: z.string(),
      name: z.string().min(1),
      input: z.looseObject({}),
    }),
    z.looseObject({
      type: z.literal("tool_result"),
      tool_use_id: z.string(),
      content: textOrParts,
      is_error: z.boolean().optional(),
    }),
  ],
  "expected text, thinking, tool_use or tool_result: there are no images or files",
);
const content = chosen<string | readonly Block[]>((value) =>
  Array.isArray(value) ? z.array(block) : z.string(),
);
const message = z.looseObject({ role: z.enum(["user", "assistant", "system"]), content });

/** A piece of a message. */
export type Block = z.output<typeof block>;
export type Message = z.output<typeof message>;
/** A text, or parts of it. */
export type Texts = z.output<typeof textOrParts>;

const tool = z.looseObject({
  type: z.literal("custom", "expected tools with a schema: none run here").nullish(),
  name: z.string().min(1),
  description: z.string().nullish(),
  input_schema: z.looseObject({}, "expected a JSON schema"),
  strict: z.boolean().nullish(),
});
const toolChoice = z.discriminatedUnion(
  "type",
  [
    z.looseObject({
      type: z.enum(["auto", "none", "any"]),
      disable_parallel_tool_use: z.boolean().optional(),
    }),
    z.looseObject({
      type: z.literal("tool"),
      ...{ name: z.string().min(1), disable_parallel_tool_use: z.boolean().optional() },
    }),
  ],
  'expected "auto", "none", "any" or "tool"',
);
const thinking = z.looseObject({
  type: z.enum(["enabled", "adaptive", "between_tools", "disabled"]),
  display: z.string().nullish(),
});
const outputConfig = z.looseObject({
  format: z
    .strictObject({ type: z.literal("json_schema"), schema: z.looseObject({}, "expected a JSON schema") })
    .nullish(),
  effort: z.null("expected null: it is the template's").optional(),
});

/** What becomes the prompt. */
const prompt = {
  messages: required(
    z.array(message).min(1),
    "`{ role, content }`, oldest first, the last one not of the assistant; content is a text or blocks: `text`, `tool_use`, `tool_result`, `thinking`",
  ),
  model,
  system: supported(textOrParts, "a text or parts of it, before all messages"),
  tools: supported(
    toolList(tool, ["name"]),
    "functions that the model may call; `strict: true`: its calls obey the schema, whether they have to come or not",
  ),
  tool_choice: supported(
    toolChoice,
    "`auto` (default); `none`: the model is not told of the tools; `any`, or `tool` with a `name`: the answer is calls that obey the schemas of the tools, but for those with `strict: false`; `disable_parallel_tool_use`: one call",
  ),
  thinking: supported(
    thinking,
    "turns thoughts on and off where the template can; `disabled` and `display: omitted` leave them out of the answer. `budget_tokens` is not enforced",
  ),
};

const billing = {
  cache_control: ignored("prefixes are found by their tokens"),
  output_config: supported(
    outputConfig,
    "`format` of the type `json_schema` with a `schema`: the answer is valid for it",
  ),
  speed: ignored("there is one"),
  user_profile_id: ignored("a name for Anthropic's own checks"),
  workspace_id: ignored("a name for Anthropic's own checks"),
  context_management: refused("a prompt that is too long is refused"),
  mcp_servers: refused("tools are run by whoever asks", z.array(z.unknown()).max(0)),
};

export const countFields = { ...prompt, ...billing } as const;

export const messageFields = {
  ...prompt,
  max_tokens: required(z.int().min(1), "most tokens to generate"),
  temperature: supported(
    z.number().min(0).max(1),
    "0 is greedy; default: that of the checkpoint's generation_config.json if it samples, else 0",
    "temperature",
  ),
  top_p: supported(z.number().min(0).max(1), "sample from the likeliest tokens up to this sum", "topP"),
  top_k: supported(z.int().min(0), "sample from so many tokens; 0 is off", "topK"),
  stop_sequences: supported(z.array(z.string().min(1)).max(256), "texts that end the answer", "stop"),
  stream: supported(z.boolean(), "server-sent events with names, the last of them `message_stop`"),
  metadata: supported(
    z.looseObject({ user_id: z.string().nullish() }),
    "all requests with the same `user_id` get the same version of a split",
  ),
  service_tier: ignored("there is one tier"),
  inference_geo: ignored("there is one place"),
  diagnostics: ignored("nothing is kept to compare with"),
  container: refused("no code is run"),
  ...billing,
} as const;
