/** One process with an engine, seen from the server: its calls, until it ends. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { ArgumentTypeError, type LoadProgress, WarploopError } from "../../lib/index.js";
import type { EngineInfo } from "../engine.js";
import type { Ask, Call, CallKind, SentLoadOptions, Told } from "./messages.js";
import { type Receiver, Receivers, ValueReceiver } from "./receivers.js";
import { unpackError } from "./sentErrors.js";

/** The process of an engine has ended; another one may be on its way. Code: ERR_ENGINE_EXIT. */
export class EngineExitError extends WarploopError {
  constructor(how: string, options?: ErrorOptions) {
    super("ERR_ENGINE_EXIT", `the process of the engine ${how}`, options);
  }
}

export interface LinkStart {
  readonly model: string;
  readonly options: SentLoadOptions;
  readonly onProgress: ((progress: LoadProgress) => void) | undefined;
  /** Ends the load. */
  readonly signal: AbortSignal | undefined;
}

const graceMs = 10_000; // for the model to close, before the process is killed

export class Link {
  /** Resolves when the process has ended, with how. */
  readonly exited: Promise<EngineExitError>;
  /** Of its engine. */
  readonly info: EngineInfo;
  readonly #child: ChildProcess;
  readonly #receivers: Receivers;
  #lastId = 0;

  private constructor(
    child: ChildProcess,
    info: EngineInfo,
    exited: Promise<EngineExitError>,
    receivers: Receivers,
  ) {
    this.#child = child;
    this.info = info;
    this.exited = exited;
    this.#receivers = receivers;
  }

  /** Starts the process and loads the model. @throws as `LLM.load`; EngineExitError */
  static async open({ model, options, onProgress, signal }: LinkStart): Promise<Link> {
    signal?.throwIfAborted();
    const child = forkEngine();
    const receivers = new Receivers();
    const exited = endOf(child).then((error) => {
      receivers.lose(error);
      return error;
    });
    const abort = (): void => void child.kill("SIGKILL");
    signal?.addEventListener("abort", abort);
    try {
      const ready = new Promise<EngineInfo>((resolve, reject) => {
        void exited.then(reject);
        child.on("message", (message) => {
          const told = message as Told;
          if ("answers" in told) return receivers.give(told.answers);
          if ("ready" in told) return resolve(told.ready);
          if ("failed" in told) return reject(unpackError(told.failed));
          try {
            onProgress?.(told.progress);
          } catch (error) {
            reject(error); // ends the load, as in this process
          }
        });
      });
      send(child, { kind: "load", model, options });
      const info = await ready;
      return new Link(child, info, exited, receivers);
    } catch (error) {
      child.kill("SIGKILL");
      await exited;
      signal?.throwIfAborted();
      throw error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** @returns aborts the call. @throws ArgumentTypeError for what cannot be sent; EngineExitError */
  call(ask: Omit<Call, "id">, receiver: Receiver): () => void {
    const id = ++this.#lastId;
    this.#receivers.add(id, receiver);
    try {
      send(this.#child, { ...ask, id });
    } catch (error) {
      this.#receivers.remove(id);
      throw new ArgumentTypeError(`${ask.kind}: ${(error as Error).message}`, undefined, { cause: error });
    }
    return () => {
      if (this.#receivers.has(id)) send(this.#child, { kind: "abort", id });
    };
  }

  /** A call with one answer. @throws as `call`, and what the engine throws */
  async ask(kind: CallKind, subject: unknown, options: object, signal?: AbortSignal): Promise<unknown> {
    const receiver = new ValueReceiver();
    const abort = this.call({ kind, subject, options }, receiver);
    signal?.addEventListener("abort", abort);
    try {
      return await receiver.value;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Closes the model and ends the process, by force when that takes too long. */
  async close(): Promise<void> {
    send(this.#child, { kind: "close" });
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), graceMs);
    await this.exited;
    clearTimeout(timer);
  }
}

/** Compiled, or, in the repository, from TypeScript through tsx. What the process was started with is not for the engine's. */
function forkEngine(): ChildProcess {
  const isSource = import.meta.url.endsWith(".ts");
  const entry = fileURLToPath(new URL(isSource ? "./main.ts" : "./main.js", import.meta.url));
  const execArgv = isSource ? ["--import", import.meta.resolve("tsx")] : [];
  const toStderr = ["ignore", 2, 2, "ipc"] as const; // a server's log has stdout
  return fork(entry, [], { serialization: "advanced", execArgv, stdio: [...toStderr] });
}

async function endOf(child: ChildProcess): Promise<EngineExitError> {
  try {
    const [status, signal] = (await once(child, "exit")) as [number | null, string | null];
    return new EngineExitError(signal ? `was ended by ${signal}` : `has ended with status ${status}`);
  } catch (cause) {
    return new EngineExitError("cannot be started", { cause });
  }
}

/** What is sent to a process that has gone is lost: its receivers are told of the end. @throws what cannot be cloned */
function send(child: ChildProcess, ask: Ask): void {
  if (child.connected) child.send(ask, () => undefined);
}
