/**
 * Brings a conversation with calls and results, as OpenAI's API has it, into the form that a checkpoint's template renders: arguments
 * as an object or as text, ids of the family, one call per message where the template takes no more.
 */
import { createHash } from "node:crypto";
import type { ChatMessage } from "../lib/index.js";
import { isMistralId, kimiId } from "./callIds.js";
import type { ToolSyntax } from "./syntax.js";

/** What a template wants of messages with calls; found by detect.ts. */
export interface HistoryForm {
  /** `function.arguments` of a call: parsed, or JSON text. */
  readonly arguments: "object" | "text";
  /** What the content is of a message that has calls and says nothing. */
  readonly emptyContent: "" | null;
  /** A message has one call at most. */
  readonly isSingle: boolean;
  /** A message with content loses its calls: they go into a message behind it. */
  readonly contentApart: boolean;
  /** The field that the template reads thoughts from; null: none. */
  readonly reasoningField: string | null;
  /** Thoughts and content do not go together into a message with calls: content goes behind the thoughts. */
  readonly joinsThoughts: boolean;
  readonly ids: ToolSyntax["ids"];
}

/** What most templates take. */
export const plainHistory: HistoryForm = {
  ...{ arguments: "object", emptyContent: "", isSingle: false, contentApart: false },
  ...{ reasoningField: null, joinsThoughts: false, ids: "openai" },
};

type Fields = Readonly<Record<string, unknown>>;
interface Call {
  /** As the message has it. */
  readonly id: string;
  readonly message: Fields;
}

/**
 * The messages in the form that a template wants; those without calls, results and thoughts stay as they are.
 *
 * @param messages roles "assistant" with `tool_calls` and `reasoning` (or `reasoning_content`), and "tool" with `tool_call_id`
 */
export function toTemplateMessages(messages: readonly ChatMessage[], form: HistoryForm): ChatMessage[] {
  const ids = new IdMap(form.ids);
  const result: ChatMessage[] = [];
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i] as ChatMessage & Fields;
    const calls = Array.isArray(message["tool_calls"]) ? (message["tool_calls"] as readonly Fields[]) : [];
    if (message.role === "tool") result.push(toolResult(message, ids));
    else if (message.role !== "assistant") result.push(message);
    else if (calls.length === 0) result.push(withThoughts(message, form));
    else {
      const converted = calls.map((call) => convertCall(call, form, ids));
      const results: Fields[] = [];
      while (messages[i + 1]?.role === "tool") results.push(messages[++i]!);
      result.push(...callMessages(message, converted, results, form, ids));
    }
  }
  return result;
}

function callMessages(
  message: Fields,
  calls: readonly Call[],
  results: readonly Fields[],
  form: HistoryForm,
  ids: IdMap,
): ChatMessage[] {
  const { content } = message;
  const isEmpty = content === undefined || content === null || content === "";
  const first = withThoughts({ ...message, content: isEmpty ? form.emptyContent : content } as never, form);
  const { tool_calls: _, ...text } = first as Fields;
  const empty = { role: "assistant", content: form.emptyContent };
  const isApart = form.contentApart && !isEmpty;
  const withCalls = (head: Fields, some: readonly Call[]): ChatMessage =>
    ({ ...head, tool_calls: some.map((call) => call.message) }) as never;
  const head = isApart ? empty : text;
  const before = isApart ? [text as ChatMessage] : [];
  if (!form.isSingle || calls.length === 1)
    return [...before, withCalls(head, calls), ...results.map((one) => toolResult(one, ids))];
  const left = new Set(results);
  const pairs = calls.flatMap((call, i) => {
    const own = results.filter((one) => one["tool_call_id"] === call.id && left.delete(one));
    return [withCalls(i === 0 ? head : empty, [call]), ...own.map((one) => toolResult(one, ids))];
  });
  return [...before, ...pairs, ...[...left].map((one) => toolResult(one, ids))];
}

function convertCall(call: Fields, form: HistoryForm, ids: IdMap): Call {
  const inner = (call["function"] ?? call) as Fields;
  const name = String(inner["name"]);
  const id = typeof call["id"] === "string" ? call["id"] : "";
  const given = inner["arguments"] ?? {};
  const converted = form.arguments === "object" ? asObject(given) : asText(given);
  return {
    id,
    message: { id: ids.add(id, name), type: "function", function: { name, arguments: converted } },
  };
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Text that is no JSON object, from a call that was malformed, becomes an argument of its own: it is not lost. */
function asObject(value: unknown): unknown {
  if (typeof value !== "string") return value;
  try {
    const parsed: unknown = value.trim() === "" ? {} : JSON.parse(value);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed;
  } catch {
    // as below
  }
  return { arguments: value };
}

function toolResult(message: Fields, ids: IdMap): ChatMessage {
  const id = message["tool_call_id"];
  const { content } = message;
  const text = Array.isArray(content)
    ? content.map((part: Fields) => String(part["text"] ?? "")).join("")
    : content;
  if (typeof id !== "string") return { ...message, content: text } as never;
  const { id: mapped, name } = ids.of(id);
  return {
    ...(name !== undefined && { name }),
    ...message,
    content: text ?? "",
    tool_call_id: mapped,
  } as never;
}

/** With the thoughts in the template's field, or without them. */
function withThoughts(message: ChatMessage, { reasoningField, joinsThoughts }: HistoryForm): ChatMessage {
  const { reasoning, reasoning_content: other, thinking, ...rest } = message as Fields;
  const thoughts = [reasoning, other, thinking].find((text) => typeof text === "string" && text !== "");
  const content = rest["content"] ?? (rest["tool_calls"] ? rest["content"] : "");
  if (thoughts === undefined || reasoningField === null) return { ...rest, content } as never;
  const isJoined =
    joinsThoughts && rest["tool_calls"] !== undefined && typeof content === "string" && content !== "";
  if (!isJoined) return { ...rest, content, [reasoningField]: thoughts } as never;
  return { ...rest, content: "", [reasoningField]: `${thoughts as string}\n\n${content}` } as never;
}

/** Ids of the conversation, and those that the family wants instead: the same for a call and its result. */
class IdMap {
  readonly #kind: ToolSyntax["ids"];
  readonly #byId = new Map<string, { readonly id: string; readonly name: string | undefined }>();
  #numCalls = 0;

  constructor(kind: ToolSyntax["ids"]) {
    this.#kind = kind;
  }

  add(id: string, name: string): string {
    const index = this.#numCalls++;
    const isKimi = /^functions\..+:\d+$/.test(id);
    const mapped = this.#kind === "kimi" ? (isKimi ? id : kimiId(name, index)) : this.#convert(id, index);
    this.#byId.set(id, { id: mapped, name });
    return mapped;
  }

  of(id: string): { readonly id: string; readonly name: string | undefined } {
    return this.#byId.get(id) ?? { id: this.#convert(id, 0), name: undefined };
  }

  #convert(id: string, index: number): string {
    if (this.#kind !== "mistral") return id;
    if (isMistralId(id)) return id;
    return createHash("sha256")
      .update(id === "" ? String(index) : id)
      .digest("hex")
      .slice(0, 9);
  }
}
