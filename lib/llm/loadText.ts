/** What reads and writes a model's text, without its weights. */
import { readOptions } from "../arguments.js";
import { ChatRenderer } from "../text/chatRenderer.js";
import { type ChatMessage, ChatTemplate } from "../text/chatTemplate.js";
import type { Tokenizer } from "../text/tokenizer.js";
import { prepareText, type RenderChatOptions } from "./chatOptions.js";
import { type LLMOptions, resolveOptions } from "./engineOptions.js";
import { fetchModel } from "./fetchModel.js";

export const textOptionNames = ["revision", "onProgress", "signal"] as const;

/** Those of `LLM.load` that a download has. */
export type LoadTextOptions = Pick<LLMOptions, (typeof textOptionNames)[number]>;

/** Tokenizer and chat template of a model. To be closed. */
export interface ModelText {
  /** Null when the checkpoint has none. */
  readonly tokenizer: Tokenizer | null;
  /** As `LLM.renderChat`. @throws as that */
  renderChat(messages: readonly ChatMessage[], options?: RenderChatOptions): Promise<string>;
  /** Idempotent. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Reads the tokenizer and the chat template of a model.
 *
 * @param pathOrId as in `LLM.load`; of a model of the hub that is not in the cache no weights are fetched
 * @throws as `LLM.load` before weights are read
 */
export async function loadText(pathOrId: string, options: LoadTextOptions = {}): Promise<ModelText> {
  const resolved = resolveOptions(readOptions("loadText", options, textOptionNames));
  const { description } = await fetchModel(pathOrId, resolved, true);
  const tokenizer = await description.source.tokenizer();
  const chats = new ChatRenderer(ChatTemplate.of(await description.source.templates()));
  const close = async (): Promise<void> => {
    await chats.close();
    await tokenizer?.endThread();
  };
  return {
    tokenizer,
    renderChat: async (messages, given = {}) => (await prepareText(messages, given, chats)()).text,
    close,
    [Symbol.asyncDispose]: close,
  };
}
