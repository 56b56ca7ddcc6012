/** The format of a loaded model, and the parser of a stream of it. */
import {
  ArgumentRangeError,
  type GenerateChunk,
  type GenerationStream,
  type LLM,
  type Tokenizer,
} from "../lib/index.js";
import { type ChatFormat, detectFormat } from "./detect.js";
import type { ToolDefinition, ToolEvent } from "./events.js";
import { families, reasonings } from "./families.js";
import { OutputParser } from "./parser.js";
import type { ReasoningSyntax } from "./syntax.js";

/** Names instead of what is found; null: none, all is text. */
export interface FormatChoice {
  /** One of `toolFormatNames`. */
  readonly tools?: string | null | undefined;
  /** One of `reasoningFormatNames`. */
  readonly reasoning?: string | null | undefined;
}

/** Names of the families, and others that they are known by. */
export const toolFormatNames: readonly string[] = families.flatMap(({ name, aliases }) => [name, ...aliases]);
export const reasoningFormatNames: readonly string[] = reasonings.map(({ name }) => name);

/**
 * The format of a loaded model: as its chat template says, or as it is named. A model without a chat template has none.
 *
 * @throws ArgumentRangeError for a name that is none
 */
export async function formatOf(llm: LLM, { tools, reasoning }: FormatChoice = {}): Promise<ChatFormat> {
  const known = {
    syntax: named("tools", tools, families, ({ name, aliases }) => [name, ...aliases]),
    reasoning: named("reasoning", reasoning, reasonings, ({ name }) => [name]),
  };
  return detectFormat((messages, options) => llm.renderChat(messages, options), llm.tokenizer, known);
}

function named<T>(
  field: string,
  wanted: string | null | undefined,
  rows: readonly T[],
  namesOf: (row: T) => readonly string[],
): T | null | undefined {
  if (wanted === null || wanted === undefined) return wanted;
  const found = rows.find((row) => namesOf(row).includes(wanted));
  if (found !== undefined) return found;
  const names = rows.flatMap(namesOf).join(", ");
  throw new ArgumentRangeError(
    `formatOf: ${field}: expected null or one of ${names}, got ${JSON.stringify(wanted)}`,
  );
}

/** Whether a prompt ends in thoughts that are open: then the output begins with them. Line breaks behind the marker do not count. */
export function endsInReasoning(prompt: string, reasoning: ReasoningSyntax | undefined): boolean {
  return reasoning !== undefined && prompt.trimEnd().endsWith(reasoning.open);
}

/** What a chunk of a generation says. The last chunk of a continuation comes with all that was held back. */
export interface ParsedChunk {
  readonly chunk: GenerateChunk;
  readonly events: readonly ToolEvent[];
}

/** Tokens that a marker and line breaks behind it have at most. */
const numPromptTokens = 16;

/**
 * Reads a generation: one parser for each of its continuations.
 *
 * @param stream of `chat` or `generate` with `skipSpecialTokens: false`
 * @param tools of the request; none: nothing is a call
 * @throws as the stream
 */
export async function* parseStream(
  stream: GenerationStream,
  format: ChatFormat,
  { tools, tokenizer }: { readonly tools: readonly ToolDefinition[]; readonly tokenizer: Tokenizer },
): AsyncGenerator<ParsedChunk, void, void> {
  const ids = Array.from(await stream.promptTokenIds()).slice(-numPromptTokens);
  const prompt = tokenizer.decode(ids, { skipSpecialTokens: false });
  const { syntax, reasoning } = format;
  const startsInReasoning = endsInReasoning(prompt, reasoning);
  const parsers = new Map<number, OutputParser>();
  for await (const chunk of stream) {
    const { index, finishReason } = chunk;
    let parser = parsers.get(index);
    if (!parser) {
      parser = new OutputParser({ syntax, reasoning, tools, vocabulary: tokenizer, startsInReasoning });
      parsers.set(index, parser);
    }
    const events = parser.push(chunk);
    yield { chunk, events: finishReason === null ? events : [...events, ...parser.finish()] };
  }
}
