/** The format of a loaded model, and its streams. */
import { ArgumentRangeError, type GenerationStream, type LLM, type Tokenizer } from "../lib/index.js";
import { type ChatFormat, detectFormat } from "./detect.js";
import type { ToolDefinition } from "./events.js";
import { families, reasonings } from "./families.js";
import { type ParsedChunk, readerFor } from "./outputReader.js";

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
export async function formatOf(
  llm: Pick<LLM, "renderChat" | "tokenizer">,
  { tools, reasoning }: FormatChoice = {},
): Promise<ChatFormat> {
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

/**
 * Reads a generation.
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
  const reader = await readerFor(stream, format, { tools, vocabulary: tokenizer });
  for await (const chunk of stream) yield { chunk, events: reader.read(chunk) };
}
