/**
 * Tool calls and thoughts in what models write: `import { formatOf, startChat } from "warploop/toolcalls"`.
 *
 *     const format = await formatOf(llm);
 *     const chat = startChat({ model: llm, format, vocabulary: llm.tokenizer }, messages, { tools });
 *     for await (const { events } of chat.events()) console.log(events);
 */
export { type ChatFormat, detectFormat, type KnownFormat, type RenderChat } from "./detect.js";
export type { FunctionDefinition, ToolDefinition, ToolEvent } from "./events.js";
export { families, reasonings } from "./families.js";
export { type Block, type BlockEvent, BlockReader, endsInCalls } from "./blocks.js";
export { type FormatChoice, formatOf, parseStream, reasoningFormatNames, toolFormatNames } from "./format.js";
export { type HistoryForm, plainHistory, toTemplateMessages } from "./history.js";
export {
  type DecodeIds,
  endsInReasoning,
  OutputReader,
  type OutputReaderOptions,
  type ParsedChunk,
} from "./outputReader.js";
export { constraintOf, type ToolChoice, type WantedOutput } from "./constraint.js";
export { OutputParser } from "./parser.js";
export type { ParserOptions } from "./parserOptions.js";
export {
  type ChatPrompt,
  type ChatSource,
  promptOf,
  startChat,
  type StartChatOptions,
  type StartedChat,
} from "./startChat.js";
export type { ReasoningSyntax, ToolSyntax } from "./syntax.js";
export type { Slot, WrittenAnswer, WrittenCalls } from "./written.js";
export type { OutputChunk, Vocabulary } from "./tokenPieces.js";
export { TableVocabulary, type TokenTable, tokenTableOf } from "./tokenTable.js";
