/** Items of OpenAI's /v1/responses: those of a request as messages, and those of an answer. */
import type { ChatMessage } from "../../lib/index.js";
import type { Block } from "../../toolcalls/index.js";
import type { Item, Texts } from "../fields/responses.js";

const textOf = (texts: Texts): string =>
  typeof texts === "string" ? texts : texts.map(({ text }) => text).join("");

/** Conversations as templates know them: what the application says before all is one system message. */
export function chatMessages(
  instructions: string | undefined,
  input: string | readonly Item[],
): ChatMessage[] {
  const items: readonly Item[] = typeof input === "string" ? [{ role: "user", content: input }] : input;
  const first = items.findIndex((item) => !isSystem(item));
  const numSystem = first < 0 ? items.length : first;
  const said = items.slice(0, numSystem).map((item) => textOf((item as { readonly content: Texts }).content));
  const system = [...(instructions === undefined ? [] : [instructions]), ...said].join("\n\n");
  const conversation = new Conversation();
  for (const item of items.slice(numSystem)) conversation.add(item);
  return [...(system === "" ? [] : [{ role: "system", content: system }]), ...conversation.messages];
}

const isSystem = (item: Item): boolean => "role" in item && /^(system|developer)$/.test(String(item.role));

/** Thoughts, text and calls that follow one another are one message of the assistant. */
class Conversation {
  readonly messages: ChatMessage[] = [];
  #turn: { content: string | null; reasoning?: string; tool_calls?: object[] } | undefined;

  add(item: Item): void {
    switch (item.type) {
      case "reasoning": {
        const turn = this.#assistant(true);
        const thoughts = (item.content ?? []).map(({ text }) => text).join("");
        if (thoughts !== "") turn.reasoning = (turn.reasoning ?? "") + thoughts;
        return;
      }
      case "function_call": {
        const { call_id: id, name, arguments: json } = item;
        (this.#assistant().tool_calls ??= []).push({
          ...{ id, type: "function" },
          function: { name, arguments: json },
        });
        return;
      }
      case "function_call_output":
        this.#turn = undefined;
        this.messages.push({ role: "tool", tool_call_id: item.call_id, content: textOf(item.output) });
        return;
      case "message":
      case undefined:
        this.#message(item.role, textOf(item.content));
    }
  }

  #message(role: string, text: string): void {
    if (role === "assistant") {
      const turn = this.#assistant();
      turn.content = (turn.content ?? "") + text;
      return;
    }
    this.#turn = undefined;
    this.messages.push({ role: role === "developer" ? "system" : role, content: text });
  }

  /** @param begins thoughts behind an answer are those of the next one */
  #assistant(begins = false) {
    if (!this.#turn || (begins && (this.#turn.content !== null || this.#turn.tool_calls))) {
      this.#turn = { content: null };
      this.messages.push({ role: "assistant", ...this.#turn });
      this.#turn = this.messages.at(-1) as never;
    }
    return this.#turn;
  }
}

export type ItemStatus = "in_progress" | "completed" | "incomplete";

/** The parts of an item: of a message, or of thoughts. */
export function partOf({ type, text }: Block): object {
  if (type === "reasoning") return { type: "reasoning_text", text };
  return { type: "output_text", text, annotations: [], logprobs: [] };
}

/** @param id of the item. @param block without its text while the item is in progress */
export function itemOf(id: string, block: Block, status: ItemStatus): object {
  const isBegun = status !== "in_progress";
  if (block.type === "call") {
    const { id: call_id, name, text } = block;
    return { id, type: "function_call", status, call_id, name, arguments: isBegun ? text : "" };
  }
  const content = isBegun ? [partOf(block)] : [];
  if (block.type === "reasoning") return { id, type: "reasoning", status, summary: [], content };
  return { id, type: "message", status, role: "assistant", content };
}

const prefixes = { reasoning: "rs", content: "msg", call: "fc" } as const;

/** @param index of the item in the answer */
export function itemId(requestId: string, { type }: Block, index: number): string {
  return `${prefixes[type]}_${requestId}_${index}`;
}
