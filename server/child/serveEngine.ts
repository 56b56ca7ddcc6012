/** The engine's side: a model that answers its parent process until that says so or is gone. */
import { setImmediate } from "node:timers";
import {
  type ChatMessage,
  type GenerateOptions,
  type GenerationStream,
  LLM,
  type LoadProgress,
  type Prompt,
} from "../../lib/index.js";
import { type Engine, engineOf } from "../engine.js";
import type { Answer, Ask, Call, CallKind, SentLoadOptions, Told } from "./messages.js";
import { packError } from "./sentErrors.js";

/** Progress is for people: more often is of no use, and there may be very much of it. */
const progressMs = 50;

/** The channel to the parent: of the process, or of a test. */
export interface ParentChannel {
  send(message: Told): void;
  /** @param listener is called with each message */
  onMessage(listener: (message: Ask) => void): void;
}

/**
 * @param channel to the parent
 * @returns resolves when the parent has asked to close, and the model is closed; or when the model has not loaded, which it was told
 */
export async function serveEngine(channel: ParentChannel): Promise<void> {
  const loading = new AbortController();
  let calls: Calls | undefined;
  let ended: () => void;
  const end = new Promise<void>((resolve) => (ended = resolve));
  const llm = await new Promise<LLM>((resolve, reject) => {
    channel.onMessage((message) => {
      if (message.kind === "load")
        load(message.model, message.options, channel, loading.signal).then(resolve, reject);
      else if (message.kind === "close") {
        loading.abort();
        ended();
      } else calls?.take(message);
    });
  }).catch((error: unknown) => {
    channel.send({ failed: packError(error) });
    return undefined; // what `send` of a process returns is no model
  });
  if (!llm) return;
  try {
    const engine = engineOf(llm);
    calls = new Calls(engine, (answers) => channel.send({ answers }));
    channel.send({ ready: engine.info });
    await end;
  } finally {
    await llm.close();
  }
}

function load(
  model: string,
  options: SentLoadOptions,
  channel: ParentChannel,
  signal: AbortSignal,
): Promise<LLM> {
  let last = 0;
  const onProgress = (progress: LoadProgress): void => {
    const isWhole = progress.loaded === progress.total; // also what has no bytes, a message
    if (!isWhole && performance.now() - last < progressMs) return;
    last = performance.now();
    channel.send({ progress });
  };
  return LLM.load(model, { ...options, onProgress, signal });
}

/** Calls that may be aborted; the others are short. */
const abortable: ReadonlySet<Call["kind"]> = new Set(["generate", "chat", "embed"] as const);

/** The calls that are open. */
class Calls {
  readonly #engine: Engine;
  readonly #send: (answers: readonly Answer[]) => void;
  readonly #open = new Map<number, AbortController>();
  #answers: Answer[] = [];

  constructor(engine: Engine, send: (answers: readonly Answer[]) => void) {
    this.#engine = engine;
    this.#send = send;
  }

  take(ask: Exclude<Ask, { kind: "load" | "close" }>): void {
    if (ask.kind === "abort") return this.#open.get(ask.id)?.abort();
    const { id } = ask;
    const abort = new AbortController();
    this.#open.set(id, abort);
    void this.#answer(ask, abort.signal)
      .catch((error: unknown) => this.#tell({ id, error: packError(error) }))
      .finally(() => this.#open.delete(id));
  }

  async #answer({ kind, id, subject, options }: Call, signal: AbortSignal): Promise<void> {
    const all = abortable.has(kind) ? { ...options, signal } : options;
    if (kind === "generate") return this.#stream(id, this.#engine.generate(subject as Prompt, all), all);
    if (kind === "chat") return this.#stream(id, this.#engine.chat(subject as ChatMessage[], all), all);
    const value = await this.#value(kind, subject, all);
    this.#tell({ id, value });
  }

  #value(kind: CallKind, subject: unknown, options: object): Promise<unknown> {
    switch (kind) {
      case "countTokens":
        return this.#engine.countTokens(subject as ChatMessage[], options);
      case "encode":
        return this.#engine.encode(subject as string, options);
      case "decode":
        return this.#engine.decode(subject as Int32Array, options);
      case "embed":
        return this.#engine.embed(subject as Prompt[], options);
      case "format":
        return this.#engine.format(options);
      case "stats":
        return this.#engine.stats();
    }
  }

  async #stream(id: number, generation: GenerationStream, options: GenerateOptions): Promise<void> {
    this.#tell({ id, started: await generation.promptTokenIds() });
    let open = options.n ?? 1;
    for await (const chunk of generation) {
      if (chunk.finishReason !== null && --open === 0) {
        const { promptLogprobs } = await generation.result(); // it ends with this chunk
        if (promptLogprobs) this.#tell({ id, promptLogprobs });
      }
      this.#tell({ id, chunk });
    }
  }

  #tell(answer: Answer): void {
    if (this.#answers.push(answer) === 1) setImmediate(() => this.#send(this.#answers.splice(0)));
  }
}
