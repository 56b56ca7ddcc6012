/** /v1/chat/completions. */
import type { ChatOptions, Choice, GenerateChunk, GenerationStream } from "../../lib/index.js";
import type { Call } from "../calls.js";
import { chunksOf } from "../chunks.js";
import { badField } from "../errors.js";
import { chatFields } from "../fields/chat.js";
import { type Body, optionsOf } from "../fields/field.js";
import type { Route } from "./answer.js";
import { chatLogprobs, now, tokenName, usageOf } from "./format.js";
import { saltOf } from "./salt.js";

type ChatBody = Body<typeof chatFields>;

export const chatRoute: Route<typeof chatFields> = {
  fields: chatFields,
  promptField: "messages",
  async reply(body, call) {
    const generation = call.engine.chat(body.messages, chatOptions(body, call));
    await generation.started;
    if (body.stream) return { events: chatEvents(body, call, generation) };
    for await (const _ of chunksOf(call, [generation])); // which counts them, and throws what went wrong
    const { choices } = await generation.result();
    const head = {
      id: `chatcmpl-${call.requestId}`,
      object: "chat.completion",
      created: now(),
      model: call.model,
    };
    return {
      json: { ...head, choices: choices.map((one) => choiceOf(one, body)), usage: usageOf(call.usage) },
    };
  },
};

function chatOptions(body: ChatBody, { signal, tenant }: Call): ChatOptions {
  const { max_completion_tokens: newer, max_tokens: older, top_logprobs: top } = body;
  if (top !== undefined && !body.logprobs) throw badField("top_logprobs", "needs logprobs: true");
  if (newer === undefined && older === 0) throw badField("max_tokens", "expected at least 1");
  return {
    ...optionsOf(chatFields, body),
    ...(newer !== undefined && { maxTokens: newer }),
    ...(body.logprobs && { logprobs: top ?? 0 }),
    ...(body.chat_template_kwargs && { templateOptions: body.chat_template_kwargs }),
    cacheSalt: saltOf(tenant, body.cache_salt),
    signal,
  };
}

function choiceOf(choice: Choice, body: ChatBody): object {
  const { index, text, finishReason, stopReason, logprobs = [] } = choice;
  return {
    index,
    message: { role: "assistant", content: text, refusal: null },
    logprobs: body.logprobs ? chatLogprobs(logprobs, nameOf(body)) : null,
    finish_reason: finishReason,
    stop_reason: stopReason,
  };
}

const nameOf = (body: ChatBody) => tokenName(body.return_tokens_as_token_ids ?? false);

/** Each answer begins with its role and ends with its finish reason. */
async function* chatEvents(
  body: ChatBody,
  call: Call,
  generation: GenerationStream,
): AsyncGenerator<object, void, void> {
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
  for await (const { chunk } of chunksOf(call, [generation])) {
    const event = (choice: object) => ({
      ...head,
      choices: [{ index: chunk.index, logprobs: null, ...choice }],
    });
    if (!begun.has(chunk.index)) {
      begun.add(chunk.index);
      yield event({ delta: { role: "assistant", content: "" }, finish_reason: null });
    }
    if (chunk.text !== "" || chunk.logprobs) yield event(deltaOf(chunk, body));
    const { finishReason, stopReason } = chunk;
    if (finishReason !== null)
      yield event({ delta: {}, finish_reason: finishReason, stop_reason: stopReason });
  }
  if (hasUsage) yield { ...head, choices: [], usage: usageOf(call.usage) };
}

function deltaOf({ text, logprobs }: GenerateChunk, body: ChatBody): object {
  return {
    delta: { content: text },
    ...(logprobs && { logprobs: chatLogprobs(logprobs, nameOf(body)) }),
    finish_reason: null,
  };
}
