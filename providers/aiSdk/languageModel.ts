/** A loaded model as a language model of the AI SDK. */
import type {
  LanguageModelV3,
  LanguageModelV3CallOptions,
  LanguageModelV3Content,
  LanguageModelV3GenerateResult,
  LanguageModelV3StreamPart,
  LanguageModelV3StreamResult,
  SharedV3Warning,
} from "@ai-sdk/provider";
import type { LLM } from "../../lib/index.js";
import { type ChatFormat, formatOf, startChat, type StartedChat } from "../../toolcalls/index.js";
import { partsOf } from "./answer.js";
import { chatCallOf } from "./callOptions.js";
import { messagesOf } from "./messages.js";

export interface LanguageModelSettings {
  /** What the AI SDK calls it in logs and responses. Default: the name of its architecture. */
  readonly modelId?: string | undefined;
  /** How it writes calls of tools, a name of `toolFormatNames` of warploop/toolcalls; null: not at all. Default: what its template says. */
  readonly toolFormat?: string | null | undefined;
  /** The same of its thoughts, and `reasoningFormatNames`. */
  readonly reasoningFormat?: string | null | undefined;
}

/** The model stays yours: close it when it is not needed any more. */
export function languageModel(llm: LLM, settings: LanguageModelSettings = {}): LanguageModelV3 {
  return new LanguageModel(llm, settings);
}

type Part = LanguageModelV3StreamPart;

interface Call {
  readonly chat: StartedChat;
  readonly warnings: SharedV3Warning[];
  readonly response: { readonly id: string; readonly timestamp: Date; readonly modelId: string };
  readonly parts: AsyncGenerator<Part, void, void>;
}

class LanguageModel implements LanguageModelV3 {
  readonly specificationVersion = "v3";
  readonly provider = "warploop";
  readonly modelId: string;
  readonly supportedUrls = {};
  readonly #llm: LLM;
  readonly #settings: LanguageModelSettings;
  #format: Promise<ChatFormat> | undefined;

  constructor(llm: LLM, settings: LanguageModelSettings) {
    this.#llm = llm;
    this.#settings = settings;
    this.modelId = settings.modelId ?? llm.shape.architecture;
  }

  async doGenerate(options: LanguageModelV3CallOptions): Promise<LanguageModelV3GenerateResult> {
    const { parts, warnings, response } = await this.#start({ ...options, includeRawChunks: false });
    const content: LanguageModelV3Content[] = [];
    let end: (Part & { type: "finish" }) | undefined;
    for await (const part of parts) {
      if (part.type === "error") throw part.error;
      if (part.type === "finish") end = part;
      else addContent(content, part);
    }
    const { finishReason, usage } = end!;
    return { content, finishReason, usage, warnings, response };
  }

  async doStream(options: LanguageModelV3CallOptions): Promise<LanguageModelV3StreamResult> {
    const { chat, parts, warnings, response } = await this.#start(options);
    const all = (async function* (): AsyncGenerator<Part, void, void> {
      yield { type: "stream-start", warnings };
      yield { type: "response-metadata", ...response };
      yield* parts;
    })();
    const stream = new ReadableStream<Part>({
      async pull(controller) {
        const { done, value } = await all.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: () => chat.stream.abort(),
    });
    return { stream };
  }

  /** @throws what is wrong with options and prompt */
  async #start(options: LanguageModelV3CallOptions): Promise<Call> {
    const { abortSignal: signal, includeRawChunks: isRaw = false } = options;
    signal?.throwIfAborted();
    const { options: chatOptions, warnings } = chatCallOf(options);
    const messages = messagesOf(options.prompt);
    const model = this.#llm;
    const format = await this.#formatOf();
    const chat = startChat({ model, format, vocabulary: model.tokenizer }, messages, chatOptions);
    await chat.stream.started;
    const response = { id: chat.stream.id, timestamp: new Date(), modelId: this.modelId };
    return { chat, warnings, response, parts: partsOf(chat, { signal, isRaw }) };
  }

  /** Found once, unless that fails. */
  async #formatOf(): Promise<ChatFormat> {
    const { toolFormat: tools, reasoningFormat: reasoning } = this.#settings;
    this.#format ??= formatOf(this.#llm, { tools, reasoning });
    try {
      return await this.#format;
    } catch (error) {
      this.#format = undefined;
      throw error;
    }
  }
}

/** Texts from their pieces, and calls. */
function addContent(content: LanguageModelV3Content[], part: Part): void {
  const last = content.at(-1);
  if (part.type === "text-start") content.push({ type: "text", text: "" });
  else if (part.type === "reasoning-start") content.push({ type: "reasoning", text: "" });
  else if (part.type === "tool-call") content.push(part);
  else if ((part.type === "text-delta" || part.type === "reasoning-delta") && last && "text" in last)
    last.text += part.delta;
}
