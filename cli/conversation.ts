/**
 * A talk: its turns, and which of them the model is still shown. Knows no model: which turns fit is said from outside (`llm.fitChat`).
 */
import type { ChatMessage } from "../lib/index.js";

interface Turn {
  readonly user: string;
  readonly answer: string | undefined;
}

export class Conversation {
  system: string | undefined;
  #turns: Turn[] = [];
  /** Turns from the first on that the model is not shown any more. */
  #forgotten = 0;

  constructor(system?: string) {
    this.system = system;
  }

  get turns(): number {
    return this.#turns.length;
  }

  get forgotten(): number {
    return this.#forgotten;
  }

  /** What the model is shown. */
  get prompt(): ChatMessage[] {
    return messagesOf(this.system, this.#turns.slice(this.#forgotten));
  }

  /** All of it, also what the model is not shown any more. */
  get messages(): ChatMessage[] {
    return messagesOf(this.system, this.#turns);
  }

  ask(user: string): void {
    this.#turns.push({ user, answer: undefined });
  }

  answer(text: string): void {
    const last = this.#turns.pop()!;
    this.#turns.push({ ...last, answer: text });
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

  /** The model is not shown the next oldest turns any more. @param turns fewer than it is shown */
  forget(turns: number): void {
    this.#forgotten += turns;
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
