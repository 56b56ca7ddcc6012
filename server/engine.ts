/**
 * What the server asks of a model. Every answer that is not known when the model is loaded is a promise, so that a model may as well
 * live in another process; `engineOf` is the one for a model of this process.
 */
import {
  type ChatMessage,
  type ChatOptions,
  type CountTokensOptions,
  type DecodeOptions,
  type EmbedOptions,
  type EncodeOptions,
  type GenerateOptions,
  type GenerationStream,
  type LLM,
  type LLMStats,
  type Prompt,
  TextError,
  type Tokenizer,
} from "../lib/index.js";
import {
  type ChatFormat,
  type FormatChoice,
  formatOf,
  type TokenTable,
  tokenTableOf,
} from "../toolcalls/index.js";

/** Known from the load on. */
export interface EngineInfo {
  /** Tokens, prompt and generated. */
  readonly contextLength: number;
  /** Numbers of an embedding. */
  readonly hiddenSize: number;
}

/** What an engine does now. */
export interface EngineStats extends Omit<LLMStats, "state"> {
  /** As of `LLM.stats`; "starting": its process has ended, and another one loads the model. */
  readonly state: LLMStats["state"] | "starting";
}

/** How a model writes calls of tools and thoughts: data, which may be sent to another process. */
export interface EngineFormat extends ChatFormat {
  /** Undefined without a tokenizer. */
  readonly tokens: TokenTable | undefined;
}

export interface Engine {
  readonly info: EngineInfo;
  /** @throws as `LLM.generate` */
  generate(prompt: Prompt, options: GenerateOptions): GenerationStream;
  /** @throws as `LLM.chat` */
  chat(messages: readonly ChatMessage[], options: ChatOptions): GenerationStream;
  /** Token ids of a text. @throws as `Tokenizer.encodeAsync`; TextError ERR_TOKENIZER without a tokenizer */
  encode(text: string, options: EncodeOptions): Promise<Int32Array>;
  /** @throws as `Tokenizer.decode`; TextError ERR_TOKENIZER without a tokenizer */
  decode(ids: readonly number[] | Int32Array, options: DecodeOptions): Promise<string>;
  /** @throws as `LLM.embed` */
  embed(texts: readonly Prompt[], options: EmbedOptions): Promise<Float32Array[]>;
  /** Processes of its own that were started in place of one that had ended; without one: undefined. */
  readonly restarts?: number | undefined;
  /** Tokens of a chat as a prompt, whether it fits the context or not. @throws as `LLM.countTokens` */
  countTokens(messages: readonly ChatMessage[], options: CountTokensOptions): Promise<number>;
  /** @throws as `formatOf` */
  format(choice: FormatChoice): Promise<EngineFormat>;
  /** What it does now; `state` tells whether it can take requests. */
  stats(): Promise<EngineStats>;
}

/** A model of this process as an engine. Whoever loaded the model closes it. */
export function engineOf(llm: LLM): Engine {
  const { hiddenSize } = llm.shape;
  return {
    info: { contextLength: llm.stats().contextLength, hiddenSize },
    generate: (prompt, options) => llm.generate(prompt, options),
    chat: (messages, options) => llm.chat(messages, options),
    encode: async (text, options) => tokenizerOf(llm).encodeAsync(text, options),
    decode: async (ids, options) => tokenizerOf(llm).decode(ids, options),
    embed: (texts, options) => llm.embed(texts, options),
    countTokens: (messages, options) => llm.countTokens(messages, options),
    async format(choice) {
      const format = await formatOf(llm, choice);
      return { ...format, tokens: llm.tokenizer ? tokenTableOf(llm.tokenizer, format) : undefined };
    },
    stats: async () => llm.stats(),
  };
}

function tokenizerOf({ tokenizer }: LLM): Tokenizer {
  if (tokenizer) return tokenizer;
  throw new TextError("ERR_TOKENIZER", "the checkpoint has no tokenizer.json: it takes and gives token ids");
}
