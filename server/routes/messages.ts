/** Anthropic's /v1/messages and /v1/messages/count_tokens. */
import type { ChatMessage, GenerateChunk } from "../../lib/index.js";
import {
  type Block,
  type BlockEvent,
  BlockReader,
  endsInCalls,
  promptOf,
  type StartChatOptions,
  type ToolChoice,
} from "../../toolcalls/index.js";
import type { Call, CallUsage } from "../calls.js";
import { badField } from "../errors.js";
import { type Body, optionsOf } from "../fields/field.js";
import { countFields, messageFields } from "../fields/messages.js";
import { ofSchema, type WantedFormat } from "../fields/outputFormat.js";
import type { Route } from "./answer.js";
import { chatMessages, functionTools } from "./anthropicMessages.js";
import { saltOf } from "./salt.js";
import { readTurn, startTurn, type Turn } from "./turn.js";

type MessageBody = Body<typeof messageFields>;
type PromptBody = Body<typeof countFields>;
type LastChunk = Extract<GenerateChunk, { readonly usage: object }>;

export const messagesRoute: Route<typeof messageFields> = {
  fields: messageFields,
  operation: "chat",
  promptField: "messages",
  async reply(body, call) {
    const options = optionsOf(messageFields, body);
    const asked = {
      ...options,
      ...(await promptOptions(body, call)),
      maxTokens: body.max_tokens,
      toolChoice: choiceOf(body),
      parallelToolCalls: body.tool_choice?.disable_parallel_tool_use !== true,
      cacheSalt: saltOf(call.tenant, undefined),
    };
    const said = { fields: messageFields, wanted: formatOf(body) };
    const turn = await startTurn(call, conversationOf(body), asked, said);
    if (body.stream) return { events: messageEvents(body, call, turn) };
    const reader = new BlockReader();
    let last: LastChunk | undefined;
    for await (const { chunk, events } of readTurn(call, turn)) {
      reader.push(events.filter(shown(body)));
      if (chunk.finishReason !== null) last = chunk;
    }
    const content = reader.blocks.map(blockOf);
    return {
      json: {
        ...headOf(call),
        content,
        ...endOf(body, call, reader.blocks, last!),
        usage: usageOf(call.usage),
      },
    };
  },
};

export const countTokensRoute: Route<typeof countFields> = {
  fields: countFields,
  promptField: "messages",
  async reply(body, call) {
    const { tools, templateOptions } = await promptOptions(body, call);
    const prompt = promptOf(await call.format(), conversationOf(body), tools);
    const counted = { tools: prompt.tools, templateOptions };
    return { json: { input_tokens: await call.engine.countTokens(prompt.messages, counted) } };
  },
};

/** @throws HttpError 400 */
function conversationOf({ messages, system }: PromptBody): ChatMessage[] {
  const last = messages.length - 1;
  if (messages[last]!.role === "assistant")
    throw badField(`messages[${last}].role`, "expected user: an answer begins a message of its own");
  return chatMessages(system, messages);
}

/** What the template gets beside the messages. */
async function promptOptions(
  { tools, tool_choice: choice, thinking }: PromptBody,
  call: Call,
): Promise<Pick<StartChatOptions, "tools" | "templateOptions">> {
  const { thinkingSwitch } = await call.format();
  const doesThink = thinking && thinking.type !== "disabled";
  return {
    ...(thinking && thinkingSwitch && { templateOptions: { [thinkingSwitch]: doesThink } }),
    tools: choice?.type === "none" ? [] : functionTools(tools),
  };
}

function choiceOf({ tool_choice: choice }: PromptBody): ToolChoice {
  if (choice?.type === "tool") return { name: choice.name };
  return choice?.type === "any" ? "required" : "auto";
}

const formatOf = ({ output_config: config }: PromptBody): WantedFormat | undefined =>
  ofSchema("output_config.format.schema", config?.format?.schema);

/** Which events the answer has. */
function shown({ thinking }: PromptBody): (event: { readonly type: string }) => boolean {
  const hides = thinking?.type === "disabled" || thinking?.display === "omitted";
  return ({ type }) => !(hides && type === "reasoning");
}

const headOf = ({ requestId, model }: Call) => ({
  ...{ id: `msg_${requestId}`, type: "message", role: "assistant", model },
  container: null,
});

/** Why the answer ended. */
function endOf(body: MessageBody, { usage }: Call, blocks: readonly Block[], last: LastChunk): object {
  const { finishReason, stopReason } = last;
  const isStopped = typeof stopReason === "string";
  const isAtLimit = usage.completionTokens >= body.max_tokens;
  let reason = isStopped ? "stop_sequence" : "end_turn";
  if (finishReason === "length") reason = isAtLimit ? "max_tokens" : "model_context_window_exceeded";
  else if (!isStopped && endsInCalls(blocks)) reason = "tool_use";
  return { stop_reason: reason, stop_sequence: isStopped ? stopReason : null, stop_details: null };
}

function usageOf(usage: CallUsage): object {
  const { promptTokens, cachedTokens, completionTokens, reasoningTokens } = usage;
  return {
    input_tokens: promptTokens - cachedTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cachedTokens,
    output_tokens: completionTokens,
    output_tokens_details: { thinking_tokens: reasoningTokens },
  };
}

/** A block that is whole. Arguments that are no JSON object are not lost: they are one argument of their own. */
function blockOf(block: Block): object {
  if (block.type !== "call") {
    const { type, text } = block;
    if (type === "content") return { type: "text", text, citations: null };
    return { type: "thinking", thinking: text, signature: "" };
  }
  const input: unknown = block.complete ? JSON.parse(block.text) : { arguments: block.text };
  return { ...emptyBlockOf(block), input };
}

function emptyBlockOf(block: Block): object {
  if (block.type !== "call") return blockOf({ ...block, text: "" });
  return { type: "tool_use", id: block.id, name: block.name, input: {}, caller: { type: "direct" } };
}

async function* messageEvents(body: MessageBody, call: Call, turn: Turn): AsyncGenerator<object, void, void> {
  const numPrompt = (await turn.stream.promptTokenIds()).length;
  const usage = usageOf({ ...call.usage, promptTokens: numPrompt });
  const open = { content: [], stop_reason: null, stop_sequence: null, stop_details: null, usage };
  yield { type: "message_start", message: { ...headOf(call), ...open } };
  const reader = new BlockReader();
  let last: LastChunk | undefined;
  for await (const { chunk, events } of readTurn(call, turn)) {
    yield* reader.push(events.filter(shown(body))).flatMap(wireEvents);
    if (chunk.finishReason !== null) last = chunk;
  }
  yield* reader.finish().flatMap(wireEvents);
  yield { type: "message_delta", delta: endOf(body, call, reader.blocks, last!), usage: usageOf(call.usage) };
  yield { type: "message_stop" };
}

function wireEvents(event: BlockEvent): object[] {
  const { index, block } = event;
  const delta = (fields: object) => ({ type: "content_block_delta", index, delta: fields });
  switch (event.type) {
    case "start":
      return [{ type: "content_block_start", index, content_block: emptyBlockOf(block) }];
    case "delta": {
      const { text } = event;
      if (block.type === "content") return [delta({ type: "text_delta", text })];
      if (block.type === "reasoning") return [delta({ type: "thinking_delta", thinking: text })];
      return [delta({ type: "input_json_delta", partial_json: text })];
    }
    case "end": {
      const stop = { type: "content_block_stop", index };
      return block.type === "reasoning" ? [delta({ type: "signature_delta", signature: "" }), stop] : [stop];
    }
  }
}
