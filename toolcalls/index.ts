/**
 * Tool calls and thoughts in what models write: `import { formatOf, parseStream } from "warploop/toolcalls"`.
 *
 *     const format = await formatOf(llm);
 *     const stream = llm.chat(toTemplateMessages(messages, format.history), { tools, skipSpecialTokens: false });
 *     for await (const { events } of parseStream(stream, format, { tools, tokenizer: llm.tokenizer })) console.log(events);
 */
export { type ChatFormat, detectFormat, type KnownFormat, type RenderChat } from "./detect.js";
export type { FunctionDefinition, ToolDefinition, ToolEvent } from "./events.js";
export { families, reasonings } from "./families.js";
export {
  endsInReasoning,
  type FormatChoice,
  formatOf,
  type ParsedChunk,
  parseStream,
  reasoningFormatNames,
  toolFormatNames,
} from "./format.js";
export { type HistoryForm, plainHistory, toTemplateMessages } from "./history.js";
export { OutputParser } from "./parser.js";
export type { ParserOptions } from "./parserOptions.js";
export type { ReasoningSyntax, ToolSyntax } from "./syntax.js";
export type { OutputChunk, Vocabulary } from "./tokenPieces.js";
