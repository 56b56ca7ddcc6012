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
import type { Fields } from "../fields/field.js";
import type { WantedFormat } from "../fields/outputFormat.js";
import { namingFormat } from "./formatErrors.js";

export interface Turn {
  readonly stream: StartedChat["stream"];
  readonly reader: OutputReader;
}

/** What the route says of it. */
export interface AskedTurn {
  readonly fields: Fields;
  readonly wanted: WantedFormat | undefined;
}

/** Begins it; what is wrong with prompt and format is known then. @throws HttpError 400; as startChat, and as the stream's `started` */
export async function startTurn(
  { engine, format: known, signal }: Call,
  messages: readonly ChatMessage[],
  options: StartChatOptions,
  { fields, wanted }: AskedTurn,
): Promise<Turn> {
  const { tokens, ...format } = await known();
  const vocabulary = tokens && new TableVocabulary(tokens);
  const decode = (ids: readonly number[]) => engine.decode(ids, { skipSpecialTokens: false });
  const source = { model: engine, format, vocabulary, decode };
  const all = { ...options, ...(wanted && { format: wanted.format }), signal };
  const chat = await namingFormat(wanted, fields, async () => {
    const begun = startChat(source, messages, all);
    await begun.stream.started;
    return begun;
  });
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
