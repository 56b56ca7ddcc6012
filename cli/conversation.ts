/**
 * A talk: its turns, and which of them the model still sees when the context is full. Knows no model: whoever has one says how many
 * tokens a text has.
 */
import type { ChatMessage } from "../lib/index.js";

interface Turn {
  readonly user: string;
  readonly answer: string | undefined;
  /** Of both, about. */
  readonly tokens: number;
}

export interface ConversationSizes {
  /** Of a text, in tokens. */
  readonly tokensOf: (text: string) => number;
  /** Tokens that fit, prompt and answer. */
  readonly contextLength: number;
  /** Tokens that an answer is to have room for. */
  readonly room: number;
}

/** What a template writes around a message, about. */
const tokensAround = 8;

export class Conversation {
  system: string | undefined;
  readonly #sizes: ConversationSizes;
  #turns: Turn[] = [];
  /** Turns from the first on that the model is not shown any more. */
  #forgotten = 0;

  constructor(sizes: ConversationSizes, system?: string) {
    this.#sizes = sizes;
    this.system = system;
  }

  get turns(): number {
    return this.#turns.length;
  }

  get forgotten(): number {
    return this.#forgotten;
  }

  /** What the model would be shown, in tokens, about. */
  get tokens(): number {
    const system = this.system === undefined ? 0 : this.#tokensOf(this.system);
    return this.#seen.reduce((sum, { tokens }) => sum + tokens, system);
  }

  /** What the model is shown. */
  get prompt(): ChatMessage[] {
    return messagesOf(this.system, this.#seen);
  }

  /** All of it, also what the model is not shown any more. */
  get messages(): ChatMessage[] {
    return messagesOf(this.system, this.#turns);
  }

  get #seen(): readonly Turn[] {
    return this.#turns.slice(this.#forgotten);
  }

  ask(user: string): void {
    this.#turns.push({ user, answer: undefined, tokens: this.#tokensOf(user) });
  }

  answer(text: string): void {
    const last = this.#turns.pop()!;
    this.#turns.push({ ...last, answer: text, tokens: last.tokens + this.#tokensOf(text) });
  }

  /** Takes the last answer back, so that there can be another. @returns whether there was one */
  unanswer(): boolean {
    const last = this.#turns.pop();
    if (last === undefined) return false;
    this.ask(last.user);
    return true;
  }

  /** Takes the last turn back. */
  undo(): void {
    this.#turns.pop();
    this.#forgotten = Math.min(this.#forgotten, this.#turns.length);
  }

  clear(): void {
    this.#turns = [];
    this.#forgotten = 0;
  }

  /** Instead of what there is. @param messages of `messages`, of this or another conversation */
  restore(messages: readonly ChatMessage[]): void {
    this.clear();
    this.system = undefined;
    for (const { role, content } of messages) {
      const text = content as string;
      if (role === "system") this.system = text;
      else if (role === "user") this.ask(text);
      else this.answer(text);
    }
  }

  /**
   * Makes room for an answer: the oldest turns go until half of the context is free, lest it happen again at the next turn. The last one
   * and the system message stay.
   *
   * @returns how many turns have gone
   */
  shift(): number {
    const { contextLength, room } = this.#sizes;
    if (this.tokens + room <= contextLength) return 0;
    const before = this.#forgotten;
    while (this.tokens > contextLength / 2 && this.forgetOldest());
    return this.#forgotten - before;
  }

  /** @returns false if only the last turn is left */
  forgetOldest(): boolean {
    if (this.#forgotten + 1 >= this.#turns.length) return false;
    this.#forgotten++;
    return true;
  }

  #tokensOf(text: string): number {
    return this.#sizes.tokensOf(text) + tokensAround;
  }
}

function messagesOf(system: string | undefined, turns: readonly Turn[]): ChatMessage[] {
  const first = system === undefined ? [] : [{ role: "system", content: system }];
  const rest = turns.flatMap(({ user, answer }) => [
    { role: "user", content: user },
    ...(answer === undefined ? [] : [{ role: "assistant", content: answer }]),
  ]);
  return [...first, ...rest];
}
