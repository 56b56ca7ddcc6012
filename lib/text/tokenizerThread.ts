/**
 * A tokenizer's work that would stop the event loop, on another thread: reading a large tokenizer.json, and encoding a text
 * that cannot be cut (slicing.ts). Such a thread keeps a tokenizer of its own, which shares the large tables; it starts with
 * the first such text, and ends when that text is not wanted any more or after a while without one.
 */
import { describeError } from "../checkpoint/json.js";
import { ClosedError, TextError } from "../errors.js";
import { JobFailure, JobThread } from "./jobThread.js";
import type { PreparedTokenizer } from "./preparedTokenizer.js";
import type { TokenizerConfig } from "./specialTokens.js";
import type { EncodeOptions } from "./tokenizerOptions.js";

export type TokenizerJob =
  | {
      readonly kind: "prepare";
      /** Of tokenizer.json. */
      readonly bytes: Uint8Array;
      readonly file: string;
      readonly files: TokenizerConfig;
    }
  | {
      readonly kind: "encode";
      readonly text: string;
      readonly options: EncodeOptions;
      /** What to encode with. Undefined: as before. */
      readonly prepared: PreparedTokenizer | undefined;
    };

export type TokenizerReply =
  | { readonly kind: "prepared"; readonly prepared: PreparedTokenizer }
  | { readonly kind: "ids"; readonly ids: Int32Array }
  /** The thread is new and needs to be told what to encode with. */
  | { readonly kind: "unprepared" }
  /** A TextError. */
  | { readonly kind: "refused"; readonly message: string };

/** V8's heap for a file of the largest size. */
const heapMiB = 8192;
const prepareLimitMs = 300_000;
const encodeLimitMs = 60_000;
const encodeLimitMsPerChar = 0.1;
/** V8 ends the process for arrays of 2^27 entries. */
const maxChars = 2 ** 26;
const idleMs = 30_000;

/**
 * `prepareTokenizer` on a thread of its own.
 * @param bytes of tokenizer.json, in memory of their own, which the thread takes
 * @throws TextError ERR_TOKENIZER naming the file
 */
export async function prepareOnThread(
  bytes: Uint8Array,
  file: string,
  files: TokenizerConfig,
): Promise<PreparedTokenizer> {
  const thread = openThread("warploop tokenizer file");
  try {
    const moved = [bytes.buffer as ArrayBuffer];
    const reply = await run(thread, file, { kind: "prepare", bytes, file, files }, prepareLimitMs, { moved });
    if (reply.kind === "prepared") return reply.prepared;
    throw new Error(`unexpected reply ${reply.kind}`);
  } finally {
    void thread.close();
  }
}

export class TokenizerThread {
  readonly #prepared: PreparedTokenizer;
  #thread: JobThread<TokenizerJob, TokenizerReply> | undefined;
  #idle: NodeJS.Timeout | undefined;
  #numOpen = 0;

  constructor(prepared: PreparedTokenizer) {
    this.#prepared = prepared;
  }

  /**
   * Encodes a text.
   * @param signal ends the work, together with the thread
   * @throws TextError ERR_TOKENIZER, also when the signal fires; ClosedError when `close` comes first
   */
  async encode(text: string, options: EncodeOptions, signal?: AbortSignal): Promise<Int32Array> {
    const { file } = this.#prepared;
    if (text.length > maxChars) {
      const message = `${file}: cannot encode ${text.length} characters without a place to cut, at most ${maxChars}`;
      throw new TextError("ERR_TOKENIZER", message, file);
    }
    clearTimeout(this.#idle);
    this.#numOpen++;
    const thread = (this.#thread ??= openThread("warploop tokenizer"));
    const limitMs = encodeLimitMs + text.length * encodeLimitMsPerChar;
    const job = { kind: "encode", text, options } as const;
    try {
      let reply = await run(thread, file, { ...job, prepared: undefined }, limitMs, { signal });
      if (reply.kind === "unprepared") {
        reply = await run(thread, file, { ...job, prepared: this.#prepared }, limitMs, { signal });
      }
      if (reply.kind === "ids") return reply.ids;
      throw new Error(`unexpected reply ${reply.kind}`);
    } finally {
      if (--this.#numOpen === 0) this.#idle = setTimeout(() => void this.close(), idleMs).unref();
    }
  }

  /** Ends the thread; the next text starts another. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    const thread = this.#thread;
    this.#thread = undefined;
    await thread?.close();
  }
}

function openThread(name: string): JobThread<TokenizerJob, TokenizerReply> {
  return new JobThread(new URL("./tokenizerWorker.js", import.meta.url), { name, heapMiB });
}

async function run(
  thread: JobThread<TokenizerJob, TokenizerReply>,
  file: string,
  job: TokenizerJob,
  limitMs: number,
  options?: { readonly signal?: AbortSignal | undefined; readonly moved?: readonly ArrayBuffer[] },
): Promise<TokenizerReply> {
  try {
    const reply = await thread.run(job, limitMs, options);
    if (reply.kind === "refused") throw new TextError("ERR_TOKENIZER", reply.message, file);
    return reply;
  } catch (cause) {
    if (!(cause instanceof JobFailure)) throw cause;
    if (cause.reason === "closed") throw new ClosedError("LLM");
    throw new TextError("ERR_TOKENIZER", `${file}: ${describeError(cause)}`, file, { cause });
  }
}
