/** Reads the chunks of a generation: a parser for each of its continuations. */
import type { GenerateChunk, GenerationStream } from "../lib/index.js";
import type { ChatFormat } from "./detect.js";
import type { ToolDefinition, ToolEvent } from "./events.js";
import { OutputParser } from "./parser.js";
import type { ReasoningSyntax } from "./syntax.js";
import type { Vocabulary } from "./tokenPieces.js";

export interface OutputReaderOptions {
  /** Of the request; none: nothing is a call. */
  readonly tools: readonly ToolDefinition[];
  /** With it, markers that are tokens count as tokens only. */
  readonly vocabulary?: Vocabulary | undefined;
  /** Special tokens that are no markers stay in the text. Default false. */
  readonly keepsSpecialTokens?: boolean | undefined;
  /** False: of several calls the first is handed out. Default true. */
  readonly parallelCalls?: boolean | undefined;
  /** The prompt, or its end. */
  readonly prompt: string;
}

/** What a chunk of a generation says. The last chunk of a continuation comes with all that was held back. */
export interface ParsedChunk {
  readonly chunk: GenerateChunk;
  readonly events: readonly ToolEvent[];
}

/** Whether there is anything to read: else all is answer, as it is. */
export function hasMarkup({ syntax, reasoning }: ChatFormat, tools: readonly ToolDefinition[]): boolean {
  return (
    reasoning !== undefined || (syntax !== undefined && (tools.length > 0 || syntax.initial !== undefined))
  );
}

/** Whether a prompt ends in thoughts that are open: then the output begins with them. Line breaks behind the marker do not count. */
export function endsInReasoning(prompt: string, reasoning: ReasoningSyntax | undefined): boolean {
  return reasoning !== undefined && prompt.trimEnd().endsWith(reasoning.open);
}

/** Tokens that a marker and line breaks behind it have at most. */
const numPromptTokens = 16;

/** Text of token ids, with special tokens. */
export type DecodeIds = (ids: readonly number[]) => string | Promise<string>;

/**
 * The reader of a generation, when its prompt is known.
 *
 * @param decode default: as the vocabulary does
 * @throws as the stream
 */
export async function readerFor(
  stream: GenerationStream,
  format: ChatFormat,
  options: Omit<OutputReaderOptions, "prompt">,
  decode: DecodeIds = (ids) => options.vocabulary?.decode(ids, { skipSpecialTokens: false }) ?? "",
): Promise<OutputReader> {
  const ids = Array.from(await stream.promptTokenIds()).slice(-numPromptTokens);
  const prompt = format.reasoning ? await decode(ids) : ""; // which tells whether thoughts are open
  return new OutputReader(format, { ...options, prompt });
}

export class OutputReader {
  readonly #format: ChatFormat;
  readonly #options: OutputReaderOptions;
  readonly #isPlain: boolean;
  readonly #parsers = new Map<number, OutputParser>();
  #reasoningTokens = 0;

  constructor(format: ChatFormat, options: OutputReaderOptions) {
    this.#format = format;
    this.#options = options;
    this.#isPlain = !hasMarkup(format, options.tools);
  }

  /** Tokens of thoughts so far, of all continuations. */
  get reasoningTokens(): number {
    return this.#reasoningTokens;
  }

  /** @param chunk the next one of any continuation, with special tokens in its text if there is markup */
  read(chunk: GenerateChunk): ToolEvent[] {
    const { index, text, tokenIds, finishReason } = chunk;
    if (this.#isPlain) return text === "" ? [] : [{ type: "content", text }];
    const parser = this.#parsers.get(index) ?? this.#parser(index);
    const events = parser.push(chunk);
    if (parser.isInReasoning) this.#reasoningTokens += tokenIds.length;
    if (finishReason !== null) events.push(...parser.finish());
    const { parallelCalls = true } = this.#options;
    return parallelCalls ? events : events.filter((event) => !("index" in event) || event.index === 0);
  }

  #parser(index: number): OutputParser {
    const { syntax, reasoning } = this.#format;
    const { tools, vocabulary, keepsSpecialTokens, prompt } = this.#options;
    const startsInReasoning = endsInReasoning(prompt, reasoning);
    const parser = new OutputParser({
      ...{ syntax, reasoning, tools, vocabulary, keepsSpecialTokens, startsInReasoning },
    });
    this.#parsers.set(index, parser);
    return parser;
  }
}
