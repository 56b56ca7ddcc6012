/** What `chat` takes: options of the generation, of the template, and what special tokens in messages mean. */
import { checkBoolean, copyOptions, describe, readArguments, readOptions } from "../arguments.js";
import { ArgumentTypeError } from "../errors.js";
import type { ChatRenderer } from "../text/chatRenderer.js";
import type { ChatMessage, ChatTemplateOptions } from "../text/chatTemplate.js";
import type { RenderedText } from "../text/renderJob.js";
import type { Tokenizer } from "../text/tokenizer.js";
import {
  type GenerateContext,
  type GenerateOptions,
  generateOptionNames,
  type Generation,
  resolveGeneration,
} from "./generateOptions.js";

/** Options of `chat`: those of `generate`, and what the template takes. */
export interface ChatOptions extends GenerateOptions {
  /** Tools as JSON schemas, for templates that know them. */
  readonly tools?: readonly object[] | undefined;
  /** Which of the checkpoint's templates, if it has several. Default: "tool_use" for tools if there is one, else "default". */
  readonly templateName?: string | undefined;
  /**
   * Whether a special token that a user, a tool or a document spells becomes that token. Default false: it stays the text that
   * it is. What "system", "developer" and "assistant" write is always taken as it is.
   */
  readonly parseSpecial?: boolean | undefined;
  /** Further variables of the template, such as `enable_thinking`. A variable that it does not read is an error. */
  readonly templateOptions?: Readonly<Record<string, unknown>> | undefined;
}

/** Options of `renderChat`. */
export type RenderChatOptions = Pick<ChatOptions, "tools" | "templateName" | "templateOptions">;

/** Whether a prompt is one of messages. */
export function isChat(prompt: unknown): prompt is readonly ChatMessage[] {
  return Array.isArray(prompt) && typeof prompt[0] === "object" && prompt[0] !== null;
}

/** What makes the prompt of a chat. */
export type ChatPromptOptions = RenderChatOptions & Pick<ChatOptions, "parseSpecial">;

const renderOptionNames = ["tools", "templateName", "templateOptions"] as const;
export const chatPromptOptionNames = [...renderOptionNames, "parseSpecial"] as const;
/** For a prompt that is none of messages. @throws ArgumentTypeError naming an option that would do nothing */
export function requireNoChatOptions(caller: string, prompt: unknown, options: ChatPromptOptions): void {
  const name = chatPromptOptionNames.find((one) => options[one] !== undefined);
  if (name === undefined) return;
  const got = describe(prompt);
  throw new ArgumentTypeError(`${caller}: ${name} is for messages, got ${got}: no template writes a text`);
}

export const chatOptionNames = [...generateOptionNames, ...chatPromptOptionNames] as const;

/**
 * Checks a chat.
 *
 * @returns the resolved options, and what starts to render the prompt
 * @throws ArgumentTypeError, ArgumentRangeError; TextError ERR_CHAT_TEMPLATE if there is no template
 */
export function prepareChat(
  messages: readonly ChatMessage[],
  options: ChatOptions,
  chats: ChatRenderer,
  tokenizer: Tokenizer | null,
  context: GenerateContext,
): { readonly generation: Generation; readonly render: () => Promise<RenderedText> } {
  const { tools, templateName, templateOptions, parseSpecial, ...rest } = readOptions(
    "chat",
    options,
    chatOptionNames,
  );
  const generation = resolveGeneration(rest, context);
  const prompt = { tools, templateName, templateOptions, parseSpecial };
  return { generation, render: preparePrompt("chat", messages, prompt, chats, tokenizer) };
}

/**
 * Checks the prompt of a chat.
 *
 * @param caller named in errors
 * @returns starts the rendering
 * @throws as prepareChat
 */
export function preparePrompt(
  caller: string,
  messages: readonly ChatMessage[],
  { parseSpecial, ...options }: ChatPromptOptions,
  chats: ChatRenderer,
  tokenizer: Tokenizer | null,
): () => Promise<RenderedText> {
  const controlTexts = checkBoolean("parseSpecial", parseSpecial, false)
    ? []
    : (tokenizer?.controlTexts ?? []);
  const template = templateVariables(options);
  const prepare = () => chats.prepare(messages, template, controlTexts);
  return readArguments(`${caller}: messages, tools, templateOptions`, prepare);
}

/** Checks a chat that is only rendered. @returns starts the rendering. @throws as prepareChat */
export function prepareText(
  messages: readonly ChatMessage[],
  options: RenderChatOptions,
  chats: ChatRenderer,
): () => Promise<RenderedText> {
  const template = templateVariables(readOptions("renderChat", options, renderOptionNames));
  return readArguments("renderChat: messages, tools, templateOptions", () =>
    chats.prepare(messages, template, []),
  );
}

function templateVariables({ tools, templateName, templateOptions }: RenderChatOptions): ChatTemplateOptions {
  return {
    ...copyOptions("templateOptions", templateOptions ?? {}),
    ...(tools !== undefined && tools !== null && { tools }),
    ...(templateName !== undefined && { templateName }),
  };
}
