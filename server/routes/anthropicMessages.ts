/** Messages and tools of Anthropic's API as OpenAI's. */
import type { ChatMessage } from "../../lib/index.js";
import type { ToolDefinition } from "../../toolcalls/index.js";
import type { Block, Message, Texts } from "../fields/messages.js";

/** Conversations as templates know them. */
export function chatMessages(system: Texts, messages: readonly Message[]): ChatMessage[] {
  const text = textOf(system, "\n\n");
  const first: ChatMessage[] = text === "" ? [] : [{ role: "system", content: text }];
  return [...first, ...messages.flatMap(chatMessagesOf)];
}

function textOf(texts: Texts, between: string): string {
  if (texts === undefined || typeof texts === "string") return texts ?? "";
  return texts.map(({ text }) => text).join(between);
}

function chatMessagesOf({ role, content }: Message): ChatMessage[] {
  if (typeof content === "string") return [{ role, content }];
  return role === "assistant" ? [assistantMessage(content)] : otherMessages(role, content);
}

function assistantMessage(blocks: readonly Block[]): ChatMessage {
  const join = (parts: readonly string[]): string => parts.join("");
  const texts = blocks.flatMap((block) => (block.type === "text" ? [block.text] : []));
  const thoughts = blocks.flatMap((block) => (block.type === "thinking" ? [block.thinking] : []));
  const calls = blocks.flatMap((block) =>
    block.type === "tool_use"
      ? [
          {
            id: block.id,
            type: "function",
            function: { name: block.name, arguments: JSON.stringify(block.input) },
          },
        ]
      : [],
  );
  return {
    role: "assistant",
    content: texts.length === 0 && calls.length > 0 ? null : join(texts),
    ...(thoughts.length > 0 && { reasoning: join(thoughts) }),
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}

/** Results of calls are messages of their own, between those of what is said beside them. */
function otherMessages(role: string, blocks: readonly Block[]): ChatMessage[] {
  const messages: ChatMessage[] = [];
  let said: string[] = [];
  const flush = (): void => {
    if (said.length > 0) messages.push({ role, content: said.join("\n\n") });
    said = [];
  };
  for (const block of blocks) {
    if (block.type === "text") said.push(block.text);
    if (block.type !== "tool_result") continue;
    flush();
    const text = textOf(block.content, "\n");
    const content = text === "" && block.is_error ? "error" : text;
    messages.push({ role: "tool", tool_call_id: block.tool_use_id, content });
  }
  flush();
  return messages;
}

interface Tool {
  readonly name: string;
  readonly description?: string | null | undefined;
  readonly input_schema: object;
  readonly strict?: boolean | null | undefined;
}

export function functionTools(tools: readonly Tool[] = []): ToolDefinition[] {
  return tools.map(({ name, description, input_schema: parameters, strict }) => ({
    type: "function",
    function: { name, description, parameters, strict },
  }));
}
