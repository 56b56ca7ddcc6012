/**
 * Which messages of a long talk the model is still shown: its oldest turns go when the context is full. A turn begins with what a user
 * says, so that calls of tools and their results stay together; the system message in front of all turns stays.
 */
import { readArguments, readOptions } from "../arguments.js";
import type { ChatMessage } from "../text/chatTemplate.js";
import { chatPromptOptionNames, type ChatPromptOptions } from "./chatOptions.js";
import { countChat, type Counter } from "./countTokens.js";
import { type ContextLimit, promptTooLong } from "./prompt.js";
import { checkNumber } from "./validate.js";

/** Options of `fitChat`: those of `chat` that change the prompt, and how much is left to an answer. */
export interface FitChatOptions extends ChatPromptOptions {
  /**
   * Tokens that an answer is to have room for, 1 to one less than the context. The last turn stays also where it leaves fewer.
   * Default: a quarter of the context.
   */
  readonly room?: number | undefined;
}

export interface FittedChat {
  /** What fits: the system message and the latest turns. */
  readonly messages: readonly ChatMessage[];
  /** What does not, oldest first; empty where everything fits. */
  readonly dropped: readonly ChatMessage[];
  /** Of `messages` as a prompt. */
  readonly promptTokens: number;
}

/** @throws as LLM.fitChat does */
export async function fitChat(
  given: readonly ChatMessage[],
  options: FitChatOptions,
  { context, ...counter }: Counter & { readonly context: ContextLimit },
): Promise<FittedChat> {
  const { contextLength } = context;
  const { room: wanted, ...prompt } = readOptions("fitChat", options, [...chatPromptOptionNames, "room"]);
  const rooms = { min: 1, max: contextLength - 1, integer: true };
  const room = checkNumber("room", wanted, Math.min(Math.ceil(contextLength / 4), rooms.max), rooms);
  const read = <T>(what: () => T): T => readArguments("fitChat: messages", what);
  const all = read(() => (Array.isArray(given) ? (given as readonly ChatMessage[]).slice() : given));
  const tokensOf = (messages: readonly ChatMessage[]) => countChat("fitChat", messages, prompt, counter);
  const promptTokens = await tokensOf(all);
  if (promptTokens + room <= contextLength) return { messages: all, dropped: [], promptTokens };
  const most = Math.min(Math.floor(contextLength / 2), contextLength - room);
  const { system, starts } = read(() => turnsOf(all));
  const without = (turns: number) => [...all.slice(0, system), ...all.slice(starts[turns])];
  // Half of the context is made free, lest turns go again at the next message and no beginning is found in the prefix cache.
  const turns = await leastOf(starts.length - 1, async (n) => (await tokensOf(without(n))) <= most);
  const messages = without(turns);
  const left = turns === 0 ? promptTokens : await tokensOf(messages);
  if (left >= contextLength) throw promptTooLong(`${left}`, context, "messages: the last turn");
  return { messages, dropped: all.slice(system, starts[turns]), promptTokens: left };
}

/** @returns how many messages stand before all turns, and where each turn begins; one at least */
function turnsOf(messages: readonly ChatMessage[]): { readonly system: number; readonly starts: number[] } {
  const isSystem = ({ role }: ChatMessage): boolean => role === "system" || role === "developer";
  const first = messages.findIndex((message) => !isSystem(message));
  const system = first < 0 ? messages.length : first;
  const later = [...messages.keys()].filter((i) => i > system && messages[i]!.role === "user");
  return { system, starts: [system, ...later] };
}

/** The least n from 1 to `last` for which `holds`, which then holds for all that are greater; `last` if it holds for none. */
async function leastOf(last: number, holds: (n: number) => Promise<boolean>): Promise<number> {
  let [low, high] = [Math.min(1, last), last];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (await holds(middle)) high = middle;
    else low = middle + 1;
  }
  return high;
}
