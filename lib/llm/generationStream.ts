/** What `generate` returns: an async iterable of chunks, and the whole result, also for those who do not stream. */
import { printsAsText } from "../construct.js";
import { ArgumentTypeError } from "../errors.js";
import type { FinishReason } from "../schedule/request.js";
import type { GenerateChunk, TokenLogprob, Usage } from "./output.js";

/** One finished continuation. */
export interface Choice {
  readonly index: number;
  readonly text: string;
  readonly tokenIds: readonly number[];
  readonly finishReason: FinishReason;
  /** The stop string or token id that ended the text. */
  readonly stopReason: string | number | null;
  readonly logprobs?: readonly TokenLogprob[];
}

/** The finished generation. The fields of `Choice` are those of the first continuation. */
export interface GenerateResult extends Choice {
  /** All n continuations. */
  readonly choices: readonly Choice[];
  /** One entry per prompt token, null for the first, when `promptLogprobs` was asked for. */
  readonly promptLogprobs?: readonly (TokenLogprob | null)[];
  /** Tokens of all continuations; the prompt counts once. */
  readonly usage: Usage;
}

/**
 * A generation that runs. Iterate it for chunks (once), await `result()` or `text()` (any number of times, before, while or
 * after it is iterated), or both. Leaving the loop early aborts it. An aborted generation ends normally with finish reason
 * "abort"; only failures reject.
 */
export interface GenerationStream extends AsyncIterable<GenerateChunk> {
  /** Names the generation in errors. */
  readonly id: string;
  /**
   * Resolves when the engine has taken the prompt, before its first token; rejects with what is wrong with the prompt (cannot
   * be encoded, empty, too long). A server awaits it before it sends the first byte.
   */
  readonly started: Promise<void>;
  /**
   * Resolves when `started` does: the token ids of the prompt, which no one must change. Empty where the generation was aborted
   * before they were known. @throws as started
   */
  promptTokenIds(): Promise<ArrayLike<number>>;
  /** Ends the generation early; it finishes with reason "abort". Legal at any time. */
  abort(): void;
  /** Resolves at the end, the same promise each time. @throws whatever made the generation fail */
  result(): Promise<GenerateResult>;
  /** The text of the first continuation. @throws as result */
  text(): Promise<string>;
}

/** Both ends of a generation: what the engine writes, and what the caller reads. */
export class GenerationChannel implements GenerationStream {
  readonly id: string;
  readonly started: Promise<void>;
  readonly #abort: () => void;
  readonly #chunks: GenerateChunk[] = [];
  readonly #ended: Promise<void>;
  #promptIds: ArrayLike<number> = [];
  #promptLogprobs: readonly (TokenLogprob | null)[] | undefined;
  #open: number;
  #error: Error | undefined;
  /** Of the first continuation that failed, while others go on. */
  #failure: Error | undefined;
  #wake: (() => void) | undefined;
  #isIterated = false;
  #result: Promise<GenerateResult> | undefined;
  readonly #settleStart: Settle;
  readonly #settleEnd: Settle;

  /** @param n continuations to wait for */
  constructor(id: string, n: number, abort: () => void) {
    this.id = id;
    this.#open = n;
    this.#abort = abort;
    [this.started, this.#settleStart] = deferred();
    [this.#ended, this.#settleEnd] = deferred();
  }

  /** Engine side: all continuations wait or run. @param promptIds of all of them, if they are known */
  start(promptIds: ArrayLike<number> = []): void {
    if (this.#promptIds.length === 0) this.#promptIds = promptIds;
    this.#settleStart.resolve();
  }

  async promptTokenIds(): Promise<ArrayLike<number>> {
    await this.started;
    return this.#promptIds;
  }

  /** Engine side: the next chunk. */
  push(chunk: GenerateChunk): void {
    if (this.#error || this.#open === 0) return;
    this.#chunks.push(chunk);
    if (chunk.finishReason !== null) this.#endOne();
    this.#wake?.();
  }

  /** Engine side: one continuation failed. The others go on; when they have ended, too, the generation fails. */
  failOne(error: Error): void {
    if (this.#error || this.#open === 0) return;
    this.#failure ??= error;
    this.#endOne();
  }

  #endOne(): void {
    if (this.#open === 1 && this.#failure) this.fail(this.#failure);
    else if (--this.#open === 0) this.#settleEnd.resolve();
  }

  /** Engine side: the prompt's log probabilities, before the last chunk. */
  setPromptLogprobs(entries: readonly (TokenLogprob | null)[]): void {
    this.#promptLogprobs = entries;
  }

  /** Engine side: the generation failed. Chunks that were there before are still delivered. */
  fail(error: Error): void {
    if (this.#open === 0 || this.#error) return;
    this.#error = error;
    this.#settleStart.reject(error);
    this.#settleEnd.reject(error);
    this.#wake?.();
  }

  abort(): void {
    this.#abort();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GenerateChunk, void, void> {
    if (this.#isIterated) throw new ArgumentTypeError("generation: its chunks can be iterated once");
    this.#isIterated = true;
    let next = 0;
    let finished = false;
    try {
      for (;;) {
        const chunk = this.#chunks[next];
        if (chunk) {
          next++;
          yield chunk;
        } else if (this.#error) {
          throw this.#error;
        } else if (this.#open === 0) {
          finished = true;
          return;
        } else {
          await new Promise<void>((resolve) => (this.#wake = resolve));
        }
      }
    } finally {
      if (!finished) this.#abort();
    }
  }

  /** What console.log shows. */
  toString(): string {
    return `GenerationStream ${this.id}`;
  }

  result(): Promise<GenerateResult> {
    this.#result ??= handled(this.#ended.then(() => this.#collect()));
    return this.#result;
  }

  async text(): Promise<string> {
    return (await this.result()).text;
  }

  #collect(): GenerateResult {
    const byIndex = new Map<number, GenerateChunk[]>();
    for (const chunk of this.#chunks) {
      const own = byIndex.get(chunk.index);
      if (own) own.push(chunk);
      else byIndex.set(chunk.index, [chunk]);
    }
    const choices = [...byIndex.values()].map(collectChoice).sort((a, b) => a.index - b.index);
    const usages = this.#chunks.flatMap((chunk) => chunk.usage ?? []);
    return {
      ...choices[0]!,
      choices,
      ...(this.#promptLogprobs && { promptLogprobs: this.#promptLogprobs }),
      usage: {
        ...this.#chunks.find((chunk) => chunk.index === 0 && chunk.usage)!.usage!,
        completionTokens: usages.reduce((sum, usage) => sum + usage.completionTokens, 0),
      },
    };
  }
}
printsAsText(GenerationChannel);

/** One continuation from its chunks, the last of which has the end. */
function collectChoice(chunks: readonly GenerateChunk[]): Choice {
  const end = chunks.at(-1)!;
  const logprobs = chunks.flatMap((chunk) => chunk.logprobs ?? []);
  return {
    index: end.index,
    text: chunks.map((chunk) => chunk.text).join(""),
    tokenIds: chunks.flatMap((chunk) => chunk.tokenIds),
    finishReason: end.finishReason!,
    stopReason: end.stopReason ?? null,
    ...(logprobs.length > 0 && { logprobs }),
  };
}

interface Settle {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

function deferred(): [Promise<void>, Settle] {
  let settle: Settle;
  const promise = new Promise<void>((resolve, reject) => (settle = { resolve, reject }));
  return [handled(promise), settle!];
}

/** A promise that need not be looked at: who iterates learns of a failure there, and must not lose the process by the other. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => undefined);
  return promise;
}
