/** /v1/chat/completions. */
import type { Choice, TokenLogprob } from "../../lib/index.js";
import { type Block, endsInCalls, type StartChatOptions, type ToolEvent } from "../../toolcalls/index.js";
import type { Call } from "../calls.js";
import { badField } from "../errors.js";
import { chatFields } from "../fields/chat.js";
import { type Body, optionsOf } from "../fields/field.js";
import { wantedFormat } from "../fields/outputFormat.js";
import { choiceOptions } from "../fields/tools.js";
import type { Route } from "./answer.js";
import { chatLogprobs, chatUsageOf, now, tokenName } from "./format.js";
import { saltOf } from "./salt.js";
import { readTurn, startTurn, type Turn, wholeTurn } from "./turn.js";

type ChatBody = Body<typeof chatFields>;

export const chatRoute: Route<typeof chatFields> = {
  fields: chatFields,
  operation: "chat",
  promptField: "messages",
  async reply(body, call) {
    const asked = { fields: chatFields, wanted: wantedFormat(body) };
    const turn = await startTurn(call, body.messages, chatOptions(body, call), asked);
    if (body.stream) return { events: chatEvents(body, call, turn) };
    const blocksOf = await wholeTurn(call, turn);
    const { choices } = await turn.stream.result();
    const head = {
      id: `chatcmpl-${call.requestId}`,
      object: "chat.completion",
      created: now(),
      model: call.model,
    };
    const answers = choices.map((one) => choiceOf(one, blocksOf(one.index), body));
    return { json: { ...head, choices: answers, usage: chatUsageOf(call.usage) } };
  },
};

function chatOptions(body: ChatBody, { tenant }: Call): StartChatOptions {
  const { max_completion_tokens: newer, max_tokens: older, top_logprobs: top } = body;
  if (top !== undefined && !body.logprobs) throw badField("top_logprobs", "needs logprobs: true");
  if (newer === undefined && older === 0) throw badField("max_tokens", "expected at least 1");
  const { reasoning_effort: effort, chat_template_kwargs: variables } = body;
  return {
    ...optionsOf(chatFields, body),
    ...(newer !== undefined && { maxTokens: newer }),
    ...(body.logprobs && { logprobs: top ?? 0 }),
    ...((variables ?? effort !== undefined) && {
      templateOptions: { ...(effort !== undefined && { reasoning_effort: effort }), ...variables },
    }),
    ...choiceOptions(body),
    parallelToolCalls: body.parallel_tool_calls,
    cacheSalt: saltOf(tenant, body.cache_salt),
  };
}

function choiceOf(choice: Choice, blocks: readonly Block[], body: ChatBody): object {
  const { index, finishReason, stopReason, logprobs = [] } = choice;
  const textOf = (type: Block["type"]) =>
    blocks.flatMap((block) => (block.type === type ? [block.text] : [])).join("");
  const reasoning = body.include_reasoning === false ? "" : textOf("reasoning");
  const calls = blocks.flatMap((block) =>
    block.type === "call"
      ? [{ id: block.id, type: "function", function: { name: block.name, arguments: block.text } }]
      : [],
  );
  const content = textOf("content");
  return {
    index,
    message: {
      role: "assistant",
      content: content === "" && calls.length > 0 ? null : content,
      refusal: null,
      ...(reasoning !== "" && { reasoning, reasoning_content: reasoning }),
      ...(calls.length > 0 && { tool_calls: calls }),
    },
    logprobs: body.logprobs ? chatLogprobs(logprobs, nameOf(body)) : null,
    finish_reason: reasonOf(finishReason, endsInCalls(blocks)),
    stop_reason: stopReason,
  };
}

const nameOf = (body: ChatBody) => tokenName(body.return_tokens_as_token_ids ?? false);

/** A call that is cut off is no reason to run it. */
const reasonOf = (finishReason: string, isCalls: boolean): string =>
  finishReason === "stop" && isCalls ? "tool_calls" : finishReason;

/** Each answer begins with its role and ends with its finish reason. */
async function* chatEvents(body: ChatBody, call: Call, turn: Turn): AsyncGenerator<object, void, void> {
  const hasUsage = body.stream_options?.include_usage === true;
  const head = {
    ...{
      id: `chatcmpl-${call.requestId}`,
      object: "chat.completion.chunk",
      created: now(),
      model: call.model,
    },
    ...(hasUsage && { usage: null }),
  };
  const begun = new Set<number>();
  /** Whether the last call of an answer is whole, as endsInCalls: a stream keeps no texts. */
  const isLastWhole = new Map<number, boolean>();
  for await (const { chunk, events } of readTurn(call, turn)) {
    const { index, finishReason, stopReason } = chunk;
    const event = (choice: object) => ({ ...head, choices: [{ index, logprobs: null, ...choice }] });
    if (!begun.has(index)) yield event({ delta: { role: "assistant", content: "" }, finish_reason: null });
    begun.add(index);
    for (const one of events) {
      if (one.type === "callStart") isLastWhole.set(index, false);
      if (one.type === "callEnd") isLastWhole.set(index, one.complete);
    }
    for (const choice of choicesOf(events, chunk.logprobs, body))
      yield event({ ...choice, finish_reason: null });
    if (finishReason !== null) {
      const finish_reason = reasonOf(finishReason, isLastWhole.get(index) ?? false);
      yield event({ delta: {}, finish_reason, stop_reason: stopReason });
    }
  }
  if (hasUsage) yield { ...head, choices: [], usage: chatUsageOf(call.usage) };
}

/** The deltas of a chunk. Log probabilities of its tokens are in the first one: their texts may come later. */
function choicesOf(
  events: readonly ToolEvent[],
  logprobs: readonly TokenLogprob[] | undefined,
  body: ChatBody,
): object[] {
  const deltas = events.flatMap((event) => deltaOf(event, body.include_reasoning ?? true) ?? []);
  if (!logprobs) return deltas.map((delta) => ({ delta }));
  const [first = { content: "" }, ...others] = deltas;
  const withLogprobs = { delta: first, logprobs: chatLogprobs(logprobs, nameOf(body)) };
  return [withLogprobs, ...others.map((delta) => ({ delta }))];
}

function deltaOf(event: ToolEvent, includesReasoning: boolean): object | undefined {
  switch (event.type) {
    case "content":
      return { content: event.text };
    case "reasoning":
      return includesReasoning ? { reasoning: event.text, reasoning_content: event.text } : undefined;
    case "callStart": {
      const { index, id, name } = event;
      return { tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }] };
    }
    case "arguments":
      return { tool_calls: [{ index: event.index, function: { arguments: event.text } }] };
    case "callEnd":
      return undefined;
  }
}
