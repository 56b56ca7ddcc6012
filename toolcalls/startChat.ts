/**
 * A chat with tools: messages and tools as OpenAI's API has them become a prompt, and what the model writes becomes events. Servers
 * and providers of other interfaces are made of this.
 */
import {
  ArgumentRangeError,
  type ChatMessage,
  type ChatOptions,
  type GenerationStream,
} from "../lib/index.js";
import { constraintOf, type ToolChoice } from "./constraint.js";
import type { ChatFormat } from "./detect.js";
import { functionOf, type ToolDefinition } from "./events.js";
import { toTemplateMessages } from "./history.js";
import { type DecodeIds, hasMarkup, type OutputReader, type ParsedChunk, readerFor } from "./outputReader.js";
import type { Vocabulary } from "./tokenPieces.js";

/** A model, and how it writes calls and thoughts. */
export interface ChatSource {
  /** An LLM, or what answers chats like one. */
  readonly model: { chat(messages: readonly ChatMessage[], options: ChatOptions): GenerationStream };
  /** `await formatOf(llm)` */
  readonly format: ChatFormat;
  /** `llm.tokenizer` */
  readonly vocabulary: Vocabulary | null | undefined;
  /** Where the vocabulary does not decode all tokens. */
  readonly decode?: DecodeIds | undefined;
}

/** Options of `LLM.chat`, and what of the calls is wanted. */
export interface StartChatOptions extends Omit<ChatOptions, "tools"> {
  readonly tools?: readonly ToolDefinition[] | undefined;
  /** Whether the model has to call a tool, or this one. Default "auto": as it likes; calls of tools that are `strict` obey their schema. */
  readonly toolChoice?: ToolChoice | undefined;
  /** False: there is one call, or of several the first is handed out. Default true. */
  readonly parallelToolCalls?: boolean | undefined;
}

export interface StartedChat {
  /** Its `started` says what is wrong with the prompt. Iterate this or `events`, not both. */
  readonly stream: GenerationStream;
  /** For those who iterate `stream` themselves: reads its chunks. */
  reader(): Promise<OutputReader>;
  /** The chunks with what they say. */
  events(): AsyncGenerator<ParsedChunk, void, void>;
}

/**
 * Starts a chat.
 *
 * @param messages as OpenAI's API has them, with `tool_calls`, `tool_call_id` and `reasoning` (or `reasoning_content`)
 * @throws as LLM.chat; ArgumentRangeError about `tools`, which this model cannot call, and `toolChoice`
 */
export function startChat(
  { model, format, vocabulary, decode }: ChatSource,
  messages: readonly ChatMessage[],
  {
    tools = [],
    toolChoice = "auto",
    parallelToolCalls = true,
    skipSpecialTokens,
    format: wanted,
    ...options
  }: StartChatOptions = {},
): StartedChat {
  const prompt = promptOf(format, messages, tools);
  const output = { tools, toolChoice, parallelToolCalls, format: wanted };
  const constraint = constraintOf(format, output, vocabulary);
  const stream = model.chat(prompt.messages, {
    ...options,
    ...(constraint && { format: constraint }),
    ...(prompt.tools && { tools: prompt.tools }),
    ...(skipSpecialTokens !== undefined && { skipSpecialTokens }),
    ...(hasMarkup(format, tools) && { skipSpecialTokens: false }), // markers are special tokens in many vocabularies
  });
  const reader = (): Promise<OutputReader> => {
    const keepsSpecialTokens = skipSpecialTokens === false;
    const wanted = { tools, keepsSpecialTokens, parallelCalls: parallelToolCalls };
    return readerFor(stream, format, { ...wanted, vocabulary: vocabulary ?? undefined }, decode);
  };
  return {
    stream,
    reader,
    async *events() {
      const chunks = await reader();
      for await (const chunk of stream) yield { chunk, events: chunks.read(chunk) };
    },
  };
}

/** What the template gets. */
export interface ChatPrompt {
  readonly messages: ChatMessage[];
  /** Undefined: none. */
  readonly tools: object[] | undefined;
}

/** Messages and tools in the form of the template, as `startChat` hands them over. @throws ArgumentRangeError as that */
export function promptOf(
  format: ChatFormat,
  messages: readonly ChatMessage[],
  tools: readonly ToolDefinition[] = [],
): ChatPrompt {
  if (tools.length > 0) requireTools(format);
  return {
    messages: toTemplateMessages(messages, format.history),
    tools: tools.length > 0 ? tools.map(templateTool) : undefined,
  };
}

function requireTools({ syntax, takesTools }: ChatFormat): void {
  if (!takesTools)
    throw new ArgumentRangeError("tools: the chat template of this model does not tell it of tools");
  if (syntax === undefined) {
    const remedy = "name its format (toolFormat of a server, --tool-format, formatOf)";
    throw new ArgumentRangeError(`tools: how this model writes calls is not known: ${remedy}`);
  }
}

/** As templates expect a tool: some look into the parameters without asking whether there are any. */
function templateTool(tool: ToolDefinition, index: number): object {
  const found = functionOf(tool);
  if (!found) throw new ArgumentRangeError(`tools[${index}]: expected a function with a name`);
  const { name, description, parameters } = found;
  return {
    type: "function",
    function: {
      name,
      ...(description && { description }),
      parameters: parameters ?? { type: "object", properties: {} },
    },
  };
}
