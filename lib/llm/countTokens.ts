/** How many tokens a text or a chat has as a prompt, whether it fits the context or not. */
import { readOptions } from "../arguments.js";
import { TextError } from "../errors.js";
import { inTurns } from "../eventLoop.js";
import type { ChatMessage } from "../text/chatTemplate.js";
import {
  chatPromptOptionNames,
  type ChatPromptOptions,
  preparePrompt,
  requireNoChatOptions,
} from "./chatOptions.js";
import type { Intake, TextSource } from "./intake.js";
import type { Parts } from "./parts.js";

/** Options of `countTokens`, for messages alone: those of `chat` that change the prompt. */
export type CountTokensOptions = ChatPromptOptions;

/** What counting needs of a loaded model. */
export interface Counter extends Pick<Parts, "chats" | "tokenizer"> {
  readonly intake: Intake;
}

/** @throws as LLM.countTokens does */
export async function countTokens(
  textOrMessages: string | readonly ChatMessage[],
  given: CountTokensOptions,
  counter: Counter,
): Promise<number> {
  const options = readOptions("countTokens", given, chatPromptOptionNames);
  if (typeof textOrMessages !== "string") return countChat("countTokens", textOrMessages, options, counter);
  requireNoChatOptions("countTokens", textOrMessages, options);
  return count({ text: textOrMessages, addSpecialTokens: true }, counter);
}

/**
 * Tokens of a chat as a prompt.
 *
 * @param caller named in errors
 * @throws as LLM.chat for messages and options
 */
export async function countChat(
  caller: string,
  messages: readonly ChatMessage[],
  options: ChatPromptOptions,
  counter: Counter,
): Promise<number> {
  const { chats, tokenizer } = counter;
  const text = preparePrompt(caller, messages, options, chats, tokenizer);
  return count({ text, addSpecialTokens: false }, counter);
}

async function count(source: TextSource, { intake, tokenizer }: Counter): Promise<number> {
  if (!tokenizer) throw new TextError("ERR_TOKENIZER", "countTokens: the checkpoint has no tokenizer.json");
  return (await inTurns(intake.encode(source, undefined, { limit: Infinity }))).length;
}
