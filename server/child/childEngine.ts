/**
 * An engine in a process of its own: neither scheduling nor the kernels' threads hold up HTTP, and what ends the engine, a crash or
 * the kernel's OOM killer, ends none of the server's connections. Calls that were open fail with ERR_ENGINE_EXIT; a new process is
 * started, and calls that come meanwhile wait for it.
 */
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import {
  type ChatMessage,
  type ChatOptions,
  ClosedError,
  type CountTokensOptions,
  type DecodeOptions,
  type EmbedOptions,
  type EncodeOptions,
  type GenerateOptions,
  type GenerationStream,
  type LLMOptions,
  type Prompt,
} from "../../lib/index.js";
import type { FormatChoice } from "../../toolcalls/index.js";
import type { Engine, EngineFormat, EngineInfo, EngineStats } from "../engine.js";
import { resolve } from "../resolve.js";
import { EngineExitError, Link, type LinkStart } from "./link.js";
import type { CallKind, StreamKind } from "./messages.js";
import { StreamReceiver } from "./receivers.js";

export interface StartEngineOptions extends LLMOptions {
  /** How often within ten minutes a new process may be started; after that the engine is "dead". Default 3. */
  readonly maxRestarts?: number | undefined;
  /** Told of each process that has ended unasked, and of each that did not start in its place. */
  readonly onExit?: ((error: Error) => void) | undefined;
}

const restartOptions = z.object({
  maxRestarts: z.int().min(0).default(3),
  onExit: z
    .custom<(error: Error) => void>((value) => typeof value === "function", "expected a function")
    .optional(),
});
const budgetMs = 600_000;
const pauseMs = 1000; // after a process that did not start

/**
 * Loads a model in a process of its own.
 *
 * @param model as for `LLM.load`
 * @throws as `LLM.load`; EngineExitError when the process ends meanwhile
 */
export async function startEngine(model: string, options: StartEngineOptions = {}): Promise<ChildEngine> {
  const { maxRestarts, onExit, ...loadOptions } = options;
  const restarts = resolve("startEngine", restartOptions, { maxRestarts, onExit });
  const { onProgress, signal, ...sent } = loadOptions;
  const start = { model, options: sent };
  const link = await Link.open({ ...start, onProgress: onProgress || undefined, signal });
  return new ChildEngine(link, (await link.ask("stats", undefined, {})) as EngineStats, start, restarts);
}

export class ChildEngine implements Engine {
  readonly #start: Pick<LinkStart, "model" | "options">;
  readonly #budget: z.output<typeof restartOptions>;
  /** The process that answers, or the next one. */
  #link: Promise<Link>;
  #info: EngineInfo;
  #state: "running" | "starting" | "dead" | "closed" = "running";
  #lastStats: EngineStats;
  /** When processes were started anew. */
  readonly #restarts: number[] = [];
  #numStreams = 0;
  readonly #closing = new AbortController();

  /** Use startEngine. */
  constructor(
    link: Link,
    stats: EngineStats,
    start: Pick<LinkStart, "model" | "options">,
    budget: z.output<typeof restartOptions>,
  ) {
    this.#start = start;
    this.#budget = budget;
    this.#link = Promise.resolve(link);
    this.#info = link.info;
    this.#lastStats = stats;
    this.#watch(link);
  }

  get info(): EngineInfo {
    return this.#info;
  }

  /** Processes that were started in place of another one. */
  get restarts(): number {
    return this.#restarts.length;
  }

  generate(prompt: Prompt, options: GenerateOptions): GenerationStream {
    return this.#stream("generate", prompt, options);
  }

  chat(messages: readonly ChatMessage[], options: ChatOptions): GenerationStream {
    return this.#stream("chat", messages, options);
  }

  async encode(text: string, options: EncodeOptions): Promise<Int32Array> {
    return (await this.#call("encode", text, options)) as Int32Array;
  }

  async decode(ids: readonly number[] | Int32Array, options: DecodeOptions): Promise<string> {
    return (await this.#call("decode", ids, options)) as string;
  }

  async embed(texts: readonly Prompt[], { signal, ...options }: EmbedOptions): Promise<Float32Array[]> {
    return (await this.#call("embed", texts, options, signal)) as Float32Array[];
  }

  async countTokens(messages: readonly ChatMessage[], options: CountTokensOptions): Promise<number> {
    return (await this.#call("countTokens", messages, options)) as number;
  }

  async format(choice: FormatChoice): Promise<EngineFormat> {
    return (await this.#call("format", undefined, choice)) as EngineFormat;
  }

  /** While no process answers: what the last one said, of which nothing runs. */
  async stats(): Promise<EngineStats> {
    if (this.#state === "running") {
      try {
        return (this.#lastStats = (await this.#call("stats", undefined, {})) as EngineStats);
      } catch (error) {
        if (!(error instanceof EngineExitError)) throw error;
      }
    }
    const state = this.#state === "running" ? "starting" : this.#state; // the news of its end is on its way
    return { ...this.#lastStats, state, running: 0, waiting: 0, usedPages: 0 };
  }

  /** Closes the model and ends its process. Idempotent. */
  async close(): Promise<void> {
    this.#state = "closed";
    this.#closing.abort(new ClosedError("engine"));
    const link = await this.#link.catch(() => undefined);
    await link?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #watch(link: Link): void {
    void link.exited.then((error) => {
      if (this.#state === "closed") return;
      this.#link = this.#restart(error);
      this.#link.catch(() => undefined); // told to the calls that wait for it
      this.#budget.onExit?.(error);
    });
  }

  /** @throws the last failure, when the budget is used up */
  async #restart(reason: Error): Promise<Link> {
    this.#state = "starting";
    for (let failure = reason; ; await delay(pauseMs, undefined, { signal: this.#closing.signal })) {
      const since = performance.now() - budgetMs;
      if (this.#restarts.filter((time) => time > since).length >= this.#budget.maxRestarts) {
        this.#state = "dead";
        throw failure;
      }
      this.#restarts.push(performance.now());
      try {
        const link = await Link.open({ ...this.#start, onProgress: undefined, signal: this.#closing.signal });
        this.#state = "running";
        this.#info = link.info;
        this.#watch(link);
        return link;
      } catch (error) {
        this.#closing.signal.throwIfAborted();
        failure = error as Error;
        this.#budget.onExit?.(failure);
      }
    }
  }

  /** @throws ClosedError; when the engine is dead, why */
  async #open(): Promise<Link> {
    if (this.#state === "closed") throw new ClosedError("engine");
    return this.#link;
  }

  #stream(kind: StreamKind, subject: unknown, given: GenerateOptions): GenerationStream {
    const { signal, ...options } = given;
    let abort = (): void => receiver.endUnasked();
    const receiver = new StreamReceiver(`${kind}-${++this.#numStreams}`, options, () => abort());
    const { channel } = receiver;
    const onAbort = (): void => channel.abort();
    if (signal?.aborted) onAbort();
    signal?.addEventListener("abort", onAbort);
    const free = (): void => signal?.removeEventListener("abort", onAbort);
    channel.result().then(free, free);
    this.#open()
      .then((link) => {
        if (receiver.isOpen) abort = link.call({ kind, subject, options }, receiver);
      })
      .catch((error: Error) => channel.fail(error));
    return channel;
  }

  async #call(kind: CallKind, subject: unknown, options: object, signal?: AbortSignal): Promise<unknown> {
    signal?.throwIfAborted();
    return (await this.#open()).ask(kind, subject, options, signal);
  }
}
