// Servers for the tests: the small model over a real port, and an engine that answers by script and remembers what it was asked.
import OpenAI from "openai";
import type {
  ChatOptions,
  CountTokensOptions,
  GenerateChunk,
  GenerateOptions,
  GenerationStream,
  LLMStats,
} from "../../lib/index.js";
import { LLM } from "../../lib/index.js";
import { requireHead } from "../../lib/llm/generateOptions.js";
import type { Engine, EngineFormat } from "../../server/engine.js";
import { type App, createApp, serve, type Server } from "../../server/index.js";
import type { ServeOptions } from "../../server/options.js";
import { families, plainHistory } from "../../toolcalls/index.js";

/** A model and a server for it, both closed at the end of a block. */
export class TinyServer {
  static readonly model = "tiny-moë"; // two bytes: a cut may fall between them

  private constructor(
    readonly llm: LLM,
    readonly server: Server,
  ) {}

  static async start(options: ServeOptions = {}, maxSequences = 8): Promise<TinyServer> {
    const llm = await LLM.load("models/tiny-moe", { device: "cpu", threads: 1, maxSequences });
    const models = { [TinyServer.model]: llm };
    return new TinyServer(llm, await serve(models, { port: 0, logger: false, ...options }));
  }

  get url(): string {
    return this.server.url;
  }

  /** The client that people use. It tries nothing twice. */
  client(apiKey = "unused", fetch?: typeof globalThis.fetch): OpenAI {
    return new OpenAI({ baseURL: `${this.url}/v1`, apiKey, maxRetries: 0, ...(fetch && { fetch }) });
  }

  post(path: string, body: unknown, init: RequestInit = {}): Promise<Response> {
    return fetch(this.url + path, postOf(body, init));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close({ drainMs: 0 });
    await this.llm.close();
  }
}

export function postOf(body: unknown, init: RequestInit = {}): RequestInit {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return {
    method: "POST",
    body: text,
    ...init,
    headers: { "content-type": "application/json", ...init.headers },
  };
}

export interface ErrorAnswer {
  readonly status: number;
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

export async function errorOf(response: Response): Promise<ErrorAnswer> {
  return { status: response.status, ...((await response.json()) as { error: ErrorAnswer["error"] }) };
}

/** What is asked of an engine. */
export interface Asked {
  readonly prompt?: unknown;
  readonly messages?: unknown;
  readonly options: ChatOptions;
}

const usage = { promptTokens: 3, completionTokens: 2, cachedTokens: 1 };
const logprobs = [
  { tokenId: 7, text: " x", logprob: -0.5, top: [{ tokenId: 8, text: " y", logprob: -0.25 }] },
];

/** What a model says that makes vectors when it is asked for text. */
export function withoutHead(): Error {
  try {
    requireHead({ hasHead: false });
  } catch (error) {
    return error as Error;
  }
  throw new Error("requireHead: expected an error");
}

/** Two tokens for each continuation, at once. */
export class ScriptedEngine implements Engine {
  readonly info = { contextLength: 100, hiddenSize: 4 };
  readonly asked: Asked[] = [];
  /** Thrown in place of an answer. */
  failure: Error | undefined;
  /** Thrown behind the first token. */
  lateFailure: Error | undefined;
  state: LLMStats["state"] = "running";

  generate(prompt: unknown, options: GenerateOptions): GenerationStream {
    this.asked.push({ prompt, options });
    return this.#answer(options);
  }

  chat(messages: unknown, options: ChatOptions): GenerationStream {
    this.asked.push({ messages, options });
    return this.#answer(options);
  }

  async encode(
    text: string,
    { addSpecialTokens = true }: { addSpecialTokens?: boolean | undefined },
  ): Promise<Int32Array> {
    if (this.failure) throw this.failure;
    const ids = Array.from(text, (letter) => letter.charCodeAt(0));
    return Int32Array.from(addSpecialTokens ? ids : [...ids, 0]);
  }

  async decode(ids: readonly number[] | Int32Array): Promise<string> {
    return String.fromCharCode(...ids);
  }

  async embed(texts: readonly unknown[], options: object): Promise<Float32Array[]> {
    this.asked.push({ prompt: texts, options });
    return texts.map(() => Float32Array.of(0.5, 0.25));
  }

  async countTokens(messages: unknown, options: CountTokensOptions): Promise<number> {
    this.asked.push({ messages, options });
    return 3;
  }

  async format(): Promise<EngineFormat> {
    const syntax = families.find(({ name }) => name === "hermes");
    const reads = { takesTools: true, thinkingSwitch: "enable_thinking" };
    return { syntax, reasoning: undefined, history: plainHistory, ...reads, tokens: undefined };
  }

  async stats(): Promise<LLMStats> {
    const idle = { running: 0, waiting: 0, usedPages: 0, kvPages: 1, preemptions: 0 };
    return { state: this.state, ...idle, prefix: { queries: 0, hits: 0 } } as LLMStats;
  }

  #answer({ n = 1, logprobs: top, promptLogprobs }: GenerateOptions): GenerationStream {
    if (this.failure) throw this.failure;
    const { lateFailure } = this;
    const chunks = Array.from({ length: n }, (_, index): GenerateChunk[] => [
      { index, text: "a", tokenIds: [7], ...(top !== undefined && { logprobs }), finishReason: null },
      { index, text: "b", tokenIds: [8], ...(top !== undefined && { logprobs }), finishReason: null },
      { index, text: "", tokenIds: [], finishReason: "stop", stopReason: null, usage },
    ]).flat();
    const choices = Array.from({ length: n }, (_, index) => {
      const end = { finishReason: "stop", stopReason: null } as const;
      return {
        index,
        text: "ab",
        tokenIds: [7, 8],
        ...end,
        ...(top !== undefined && { logprobs: [...logprobs, ...logprobs] }),
      };
    });
    const ofPrompt = promptLogprobs !== undefined && { promptLogprobs: [null] };
    return {
      id: "scripted",
      started: Promise.resolve(),
      promptTokenIds: async () => [7, 7, 7],
      abort: () => undefined,
      result: async () => ({ ...choices[0]!, choices, usage, ...ofPrompt }),
      text: async () => "ab",
      async *[Symbol.asyncIterator]() {
        for (const chunk of chunks) {
          yield chunk;
          if (lateFailure) throw lateFailure;
        }
      },
    };
  }
}

/** `fetch` of a client that asks an app, without a port. */
export const fetchOf =
  (app: App): typeof globalThis.fetch =>
  async (input, init) =>
    app.fetch(new Request(input, init));

/** A response with these bytes, as a client gets them: in these pieces. */
export function responseOf(pieces: readonly Uint8Array[]): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

/** All ways to cut bytes in two, and all single ones. */
export function cutsOf(bytes: Uint8Array): Uint8Array[][] {
  const pairs = Array.from(bytes, (_, at) => [bytes.subarray(0, at), bytes.subarray(at)]);
  return [...pairs, Array.from(bytes, (_, at) => bytes.subarray(at, at + 1))];
}

/** An app with a scripted engine under the name "m", without a port. */
export function scriptedApp(options: Parameters<typeof createApp>[1] = {}) {
  const engine = new ScriptedEngine();
  const app = createApp({ m: engine }, options);
  const request = async (path: string, init?: RequestInit): Promise<Response> =>
    app.fetch(new Request(`http://host${path}`, init));
  const post = (path: string, body: unknown, init: RequestInit = {}) => request(path, postOf(body, init));
  return { app, engine, request, post };
}

/** Waits until something is so, for up to 20 s. */
export async function until(isSo: () => boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`not within 20 s: ${isSo.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
