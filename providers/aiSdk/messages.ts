/** Prompts of the AI SDK as messages of OpenAI's API, which toolcalls/ brings into the form of a template. */
import type {
  LanguageModelV3Message,
  LanguageModelV3Prompt,
  LanguageModelV3ToolResultPart,
} from "@ai-sdk/provider";
import type { ChatMessage } from "../../lib/index.js";
import { unsupported } from "./callOptions.js";

/** @throws UnsupportedFunctionalityError for what is no text */
export function messagesOf(prompt: LanguageModelV3Prompt): ChatMessage[] {
  return prompt.flatMap(messageOf);
}

type AssistantParts = Extract<LanguageModelV3Message, { role: "assistant" }>["content"];
type AssistantPart = AssistantParts[number];

function messageOf(message: LanguageModelV3Message): ChatMessage[] {
  switch (message.role) {
    case "system":
      return [{ role: "system", content: message.content }];
    case "user":
      // As vLLM joins them: many templates take one text.
      return [{ role: "user", content: message.content.map(textOf).join("\n") }];
    case "assistant":
      return assistantMessages(message.content);
    case "tool":
      // An approval is the AI SDK's own business: it runs the tool then, and the result is what the model reads.
      return message.content.flatMap((part) => (part.type === "tool-result" ? [resultOf(part)] : []));
  }
}

function textOf(part: AssistantPart): string {
  if (part.type === "text" || part.type === "reasoning") return part.text;
  const what = part.type === "file" ? `file of type ${part.mediaType}` : part.type;
  throw unsupported(`${what} in a prompt`, "this model reads text");
}

function assistantMessages(parts: AssistantParts): ChatMessage[] {
  const calls = parts.flatMap((part) => (part.type === "tool-call" ? [part] : []));
  const texts = parts.filter(({ type }) => type !== "tool-call" && type !== "reasoning").map(textOf);
  const thoughts = parts.filter(({ type }) => type === "reasoning").map(textOf);
  const toolCalls = calls.map(({ toolCallId, toolName, input }) => ({
    ...{ id: toolCallId, type: "function" },
    function: { name: toolName, arguments: typeof input === "string" ? input : JSON.stringify(input ?? {}) },
  }));
  const content = texts.join("");
  return [
    {
      ...{ role: "assistant", content },
      ...(thoughts.length > 0 && { reasoning: thoughts.join("") }),
      ...(toolCalls.length > 0 && { tool_calls: toolCalls }),
    },
  ];
}

function resultOf({ toolCallId, toolName, output }: LanguageModelV3ToolResultPart): ChatMessage {
  return { role: "tool", tool_call_id: toolCallId, name: toolName, content: outputOf(output) };
}

function outputOf(output: LanguageModelV3ToolResultPart["output"]): string {
  switch (output.type) {
    case "text":
    case "error-text":
      return output.value;
    case "json":
    case "error-json":
      return JSON.stringify(output.value);
    case "execution-denied":
      return output.reason ?? "The user did not allow this call.";
    case "content":
      return output.value
        .map((part) => {
          if (part.type === "text") return part.text;
          throw unsupported(`${part.type} in a tool result`, "this model reads text");
        })
        .join("\n");
  }
}
