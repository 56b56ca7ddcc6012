/** What a chat says, as parts of a stream of the AI SDK. */
import type {
  LanguageModelV3FinishReason,
  LanguageModelV3StreamPart,
  LanguageModelV3Usage,
} from "@ai-sdk/provider";
import { type GenerateChunk, type Usage, WarploopError } from "../../lib/index.js";
import { type BlockEvent, BlockReader, endsInCalls, type StartedChat } from "../../toolcalls/index.js";

type Part = LanguageModelV3StreamPart;
type LastChunk = Extract<GenerateChunk, { usage: Usage }>;

/**
 * The parts of an answer, without those that come before it. One that fails ends with "error" and "finish".
 *
 * @param isRaw each chunk of the engine comes as well, in front of what it says
 * @throws the reason of the signal, or WarploopError ERR_ABORTED where the model was closed
 */
export async function* partsOf(
  chat: StartedChat,
  { signal, isRaw }: { readonly signal: AbortSignal | undefined; readonly isRaw: boolean },
): AsyncGenerator<Part, void, void> {
  const blocks = new BlockReader();
  const reader = await chat.reader();
  let last: LastChunk | undefined;
  try {
    for await (const chunk of chat.stream) {
      if (isRaw) yield { type: "raw", rawValue: chunk };
      for (const event of blocks.push(reader.read(chunk))) yield* partsOfEvent(event);
      if (chunk.finishReason !== null) last = chunk;
    }
  } catch (error) {
    yield { type: "error", error };
    yield { type: "finish", finishReason: { unified: "error", raw: undefined }, usage: unknownUsage };
    return;
  }
  if (last!.finishReason === "abort") {
    signal?.throwIfAborted();
    throw new WarploopError("ERR_ABORTED", "the model was closed before the answer had ended");
  }
  for (const event of blocks.finish()) yield* partsOfEvent(event);
  const hasCalls = endsInCalls(blocks.blocks);
  const usage = usageOf(last!.usage, reader.reasoningTokens);
  yield { type: "finish", finishReason: finishReasonOf(last!, hasCalls), usage };
}

function partsOfEvent(event: BlockEvent): Part[] {
  const { block } = event;
  if (block.type === "call") return partsOfCall(event, block);
  const id = String(event.index);
  const type = block.type === "content" ? "text" : "reasoning";
  if (event.type === "delta") return [{ type: `${type}-delta`, id, delta: event.text }];
  return [{ type: `${type}-${event.type}`, id }];
}

function partsOfCall(
  event: BlockEvent,
  { id, name, text, complete }: BlockEvent["block"] & { type: "call" },
): Part[] {
  if (event.type === "start") return [{ type: "tool-input-start", id, toolName: name }];
  if (event.type === "delta") return [{ type: "tool-input-delta", id, delta: event.text }];
  const call = { type: "tool-call", toolCallId: id, toolName: name, input: text } as const;
  // The AI SDK tells the model of arguments that are no JSON; no text at all it would take for {} and run.
  return [{ type: "tool-input-end", id }, ...(complete || text.trim() !== "" ? [call] : [])];
}

function finishReasonOf({ finishReason }: LastChunk, hasCalls: boolean): LanguageModelV3FinishReason {
  const unified = {
    stop: hasCalls ? "tool-calls" : "stop",
    length: "length",
    error: "error",
    abort: "other",
  } as const;
  return { unified: unified[finishReason], raw: finishReason };
}

function usageOf(usage: Usage, reasoning: number): LanguageModelV3Usage {
  const { promptTokens, cachedTokens, completionTokens } = usage;
  return {
    inputTokens: {
      ...{ total: promptTokens, noCache: promptTokens - cachedTokens },
      ...{ cacheRead: cachedTokens, cacheWrite: undefined },
    },
    outputTokens: { total: completionTokens, text: completionTokens - reasoning, reasoning },
    raw: { ...usage },
  };
}

const unknownUsage: LanguageModelV3Usage = {
  inputTokens: { total: undefined, noCache: undefined, cacheRead: undefined, cacheWrite: undefined },
  outputTokens: { total: undefined, text: undefined, reasoning: undefined },
};
