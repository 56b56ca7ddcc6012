/** The model's turn in a conversation: how all routes of chats begin one and read it. */
import type { ChatMessage } from "../../lib/index.js";
import {
  type Block,
  BlockReader,
  type OutputReader,
  type ParsedChunk,
  startChat,
  type StartChatOptions,
  type StartedChat,
  TableVocabulary,
} from "../../toolcalls/index.js";
import type { Call } from "../calls.js";
import { chunksOf } from "../chunks.js";

export interface Turn {
  readonly stream: StartedChat["stream"];
  readonly reader: OutputReader;
}

/** Begins it; what is wrong with the prompt is known then. @throws as startChat, and as the stream's `started` */
export async function startTurn(
  { engine, format: known, signal }: Call,
  messages: readonly ChatMessage[],
  options: StartChatOptions,
): Promise<Turn> {
  const { tokens, ...format } = await known();
  const vocabulary = tokens && new TableVocabulary(tokens);
  const decode = (ids: readonly number[]) => engine.decode(ids, { skipSpecialTokens: false });
  const chat = startChat({ model: engine, format, vocabulary, decode }, messages, { ...options, signal });
  await chat.stream.started;
  return { stream: chat.stream, reader: await chat.reader() };
}

/** What the model writes. @throws as chunksOf */
export async function* readTurn(
  call: Call,
  { stream, reader }: Turn,
): AsyncGenerator<ParsedChunk, void, void> {
  for await (const { chunk } of chunksOf(call, [stream])) {
    const events = reader.read(chunk);
    call.usage.reasoningTokens = reader.reasoningTokens;
    yield { chunk, events };
  }
}

/** All that it writes, as the blocks of each answer. */
export async function wholeTurn(call: Call, turn: Turn): Promise<(index: number) => readonly Block[]> {
  const readers = new Map<number, BlockReader>();
  for await (const { chunk, events } of readTurn(call, turn)) {
    const reader = readers.get(chunk.index) ?? new BlockReader();
    readers.set(chunk.index, reader);
    reader.push(events);
  }
  return (index) => readers.get(index)?.blocks ?? [];
}
