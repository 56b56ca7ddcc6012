/**
 * A thread for work that untrusted data steers and that therefore must be able to end: one job after another, each with a time
 * limit. A job that takes longer, or more memory than allowed, ends together with its thread; the next job gets a new one. The
 * event loop is free meanwhile. What a job means is not known here.
 *
 * How to use it: a module `xyzWorker.ts` calls `serveJobs(handler)` (jobServer.ts), the main thread makes
 * `new JobThread<Job, Result>(new URL("./xyzWorker.js", import.meta.url), options)` and calls `run(job, limitMs)`. Jobs and
 * results are copied (structured clone), large ones in bytes that can be moved. The thread starts with `warm()` or the first job, keeps the process alive only while
 * there are jobs, and ends with `close()`.
 *
 * Resource limits bound V8's heap, but V8 aborts the whole process, from any thread, when one string or array exceeds what it
 * can represent (2^29 characters, 2^27 elements). The handler must bound sizes itself; time is bounded here.
 */
import { Worker } from "node:worker_threads";
import { onAbort } from "../abortSignals.js";
import { describeError } from "../checkpoint/json.js";
import { native } from "../device/native.js";

export interface JobThreadOptions {
  /** Shown by debuggers. */
  readonly name: string;
  /** V8 heap of the thread in MiB; a job that needs more ends with reason "memory". */
  readonly heapMiB: number;
}

/** Why a job has no result. "error": the handler threw, or the job cannot be copied; "thread": the thread cannot run. */
export type JobFailureReason = "error" | "time" | "memory" | "thread" | "closed" | "aborted";

/** V8 would reserve 128 MiB for compiled code; a job needs a few. */
const codeRangeSizeMb = 64;
/** Address space that a thread takes until it runs its first job, about twice what was seen. */
const startBytes = 768 * 2 ** 20;

export class JobFailure extends Error {
  constructor(
    readonly reason: JobFailureReason,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = "JobFailure";
  }
}

/** What the thread sends: once that it is ready, then one reply per job. */
export type JobReply = "ready" | { readonly result: unknown } | { readonly error: string };

interface Pending<Job, Result> {
  readonly job: Job;
  readonly limitMs: number;
  readonly moved: readonly ArrayBuffer[];
  readonly resolve: (result: Result) => void;
  readonly reject: (error: Error) => void;
}

export class JobThread<Job, Result> {
  readonly #entry: URL;
  readonly #options: JobThreadOptions;
  readonly #waiting: Pending<Job, Result>[] = [];
  #current: Pending<Job, Result> | undefined;
  #worker: Worker | undefined;
  #isReady = false;
  #isClosed = false;
  #clock: NodeJS.Timeout | undefined;

  /** @param entry URL of the module that calls `serveJobs`, with the extension .js also where the source is .ts */
  constructor(entry: URL, options: JobThreadOptions) {
    this.#entry = entry;
    this.#options = options;
  }

  /** Starts the thread, so that the first job need not wait for it. */
  warm(): void {
    if (this.#isClosed || this.#worker) return;
    try {
      this.#start();
    } catch {
      // The first job tries again and gets the error.
    }
  }

  /**
   * Runs a job after those that were handed over before.
   *
   * @param limitMs milliseconds of work; waiting, and time in which this process stood still, do not count
   * @param signal ends the job, with its thread if it has begun
   * @param moved memory of the job that is handed over instead of copied; nobody else may need it
   * @throws JobFailure
   */
  run(
    job: Job,
    limitMs: number,
    {
      signal,
      moved = [],
    }: { readonly signal?: AbortSignal | undefined; readonly moved?: readonly ArrayBuffer[] } = {},
  ): Promise<Result> {
    let endWait: (() => void) | undefined;
    const result = new Promise<Result>((resolve, reject) => {
      const refusal = this.#isClosed ? "closed" : signal?.aborted ? "aborted" : undefined;
      if (refusal !== undefined) {
        reject(new JobFailure(refusal, refusal === "closed" ? "the thread is closed" : "aborted"));
        return;
      }
      const pending = { job, limitMs, moved, resolve, reject };
      endWait = signal && onAbort(signal, () => this.#abort(pending));
      this.#waiting.push(pending);
      this.#next();
    });
    return result.finally(() => endWait?.());
  }

  /** Rejects the jobs that have not finished (reason "closed") and ends the thread. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const open = [...(this.#current ? [this.#current] : []), ...this.#waiting.splice(0)];
    const worker = this.#forget();
    for (const { reject } of open) reject(new JobFailure("closed", "the thread was closed"));
    await worker?.terminate();
  }

  #abort(pending: Pending<Job, Result>): void {
    const failure = new JobFailure("aborted", "aborted");
    const at = this.#waiting.indexOf(pending);
    if (at >= 0) this.#waiting.splice(at, 1);
    if (pending === this.#current) this.#onEnd(failure);
    else pending.reject(failure);
  }

  #next(): void {
    if (this.#current || this.#waiting.length === 0) {
      if (!this.#current) this.#worker?.unref();
      return;
    }
    try {
      this.#worker ??= this.#start();
    } catch (cause) {
      this.#failAll(new JobFailure("thread", `cannot start a thread: ${describeError(cause)}`, { cause }));
      return;
    }
    this.#worker.ref();
    if (!this.#isReady) return;
    const pending = (this.#current = this.#waiting.shift()!);
    try {
      this.#worker.postMessage(pending.job, pending.moved);
      this.#startClock(pending.limitMs);
    } catch (cause) {
      this.#current = undefined;
      pending.reject(new JobFailure("error", describeError(cause), { cause }));
      this.#next();
    }
  }

  #start(): Worker {
    const { name, heapMiB } = this.#options;
    native.requireAddressSpace(startBytes); // V8 ends the process when it cannot reserve what a thread starts with
    // Young generations grow in three semi-spaces; a small one is enough and costs less to end.
    const resourceLimits = { maxOldGenerationSizeMb: heapMiB, maxYoungGenerationSizeMb: 32, codeRangeSizeMb };
    const worker = openWorker(this.#entry, { name, resourceLimits });
    worker.unref();
    this.#worker = worker;
    worker.on("message", (reply: JobReply) => {
      if (worker === this.#worker) this.#onReply(reply);
    });
    worker.on("messageerror", (error) => {
      if (worker === this.#worker) this.#onEnd(new JobFailure("thread", describeError(error)));
    });
    worker.on("error", (error: Error & { readonly code?: string }) => {
      const isMemory = error.code === "ERR_WORKER_OUT_OF_MEMORY";
      const message = isMemory
        ? `took more than ${heapMiB} MiB of memory, or than the process may have`
        : describeError(error);
      if (worker === this.#worker) this.#onEnd(new JobFailure(isMemory ? "memory" : "thread", message));
    });
    worker.on("exit", () => {
      if (worker === this.#worker) this.#onEnd(new JobFailure("thread", "the thread ended"));
    });
    return worker;
  }

  #onReply(reply: JobReply): void {
    if (reply === "ready") {
      this.#isReady = true;
    } else {
      const current = this.#current;
      this.#current = undefined;
      clearInterval(this.#clock);
      if ("error" in reply) current?.reject(new JobFailure("error", reply.error));
      else current?.resolve(reply.result as Result);
    }
    this.#next();
  }

  /** The thread is gone or has to go. Only the job that it worked on fails, if there is one: others get a new thread. */
  #onEnd(failure: JobFailure): void {
    const current = this.#current;
    const worker = this.#forget();
    void worker?.terminate();
    if (!current) {
      this.#failAll(failure);
      return;
    }
    current.reject(failure);
    this.warm();
    this.#next();
  }

  /** Counts in ticks, and of a late tick only a part: a process that was stopped or busy has not let the job work either. */
  #startClock(limitMs: number): void {
    const tickMs = Math.max(5, limitMs / 20);
    let [spentMs, last] = [0, performance.now()];
    this.#clock = setInterval(() => {
      const now = performance.now();
      spentMs += Math.min(now - last, 2 * tickMs);
      last = now;
      if (spentMs >= limitMs) this.#onEnd(new JobFailure("time", `took longer than ${limitMs} ms`));
    }, tickMs);
  }

  #failAll(failure: JobFailure): void {
    for (const { reject } of this.#waiting.splice(0)) reject(failure);
  }

  #forget(): Worker | undefined {
    clearInterval(this.#clock);
    const worker = this.#worker;
    this.#worker = undefined;
    this.#current = undefined;
    this.#isReady = false;
    return worker;
  }
}

/** Opens a worker on a module of this package: compiled, or, in the repository, its TypeScript source through tsx. */
function openWorker(entry: URL, options: ConstructorParameters<typeof Worker>[1]): Worker {
  // Options of the process are not for the thread: --input-type, which goes with --eval, would keep it from starting.
  if (!import.meta.url.endsWith(".ts")) return new Worker(entry, { ...options, execArgv: [] });
  const tsx = JSON.stringify(import.meta.resolve("tsx/esm/api"));
  const source = JSON.stringify(entry.href.replace(/\.js$/, ".ts"));
  const code = `import(${tsx}).then((tsx) => { tsx.register(); return import(${source}); });`;
  return new Worker(code, { ...options, eval: true });
}
