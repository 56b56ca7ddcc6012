/** What `generate` returns: an async iterable of chunks, and the whole result for those who do not stream. */
import { ArgumentTypeError } from "../errors.js";
import type { GenerateChunk, TokenLogprob, Usage } from "./output.js";
import type { FinishReason } from "./request.js";

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
 * Iterate it once, or await `result()` or `text()`. Leaving the loop early aborts the generation. An aborted generation
 * ends normally with finish reason "abort"; only failures reject.
 */
export class GenerationStream implements AsyncIterable<GenerateChunk> {
  readonly #abort: () => void;
  readonly #queue: GenerateChunk[] = [];
  readonly #seen: GenerateChunk[] = [];
  #promptLogprobs: readonly (TokenLogprob | null)[] | undefined;
  #open: number;
  #error: Error | undefined;
  #wake: (() => void) | undefined;
  #isTaken = false;

  /** @param n continuations to wait for */
  constructor(n: number, abort: () => void) {
    this.#open = n;
    this.#abort = abort;
  }

  /** Engine side: the next chunk. */
  push(chunk: GenerateChunk): void {
    if (this.#error || this.#open === 0) return;
    this.#queue.push(chunk);
    if (chunk.finishReason !== null) this.#open--;
    this.#wake?.();
  }

  /** Engine side: the prompt's log probabilities, before the last chunk. */
  setPromptLogprobs(entries: readonly (TokenLogprob | null)[]): void {
    this.#promptLogprobs = entries;
  }

  /** Engine side: the generation failed. Chunks that were there before are still delivered. */
  fail(error: Error): void {
    if (this.#open === 0) return;
    this.#error ??= error;
    this.#wake?.();
  }

  /** Ends the generation early; it finishes with reason "abort". Legal at any time. */
  abort(): void {
    this.#abort();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GenerateChunk, void, void> {
    this.#take();
    let finished = false;
    try {
      for (;;) {
        const chunk = this.#queue.shift();
        if (chunk) {
          this.#seen.push(chunk);
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

  /** Waits for the end. @throws whatever made the generation fail */
  async result(): Promise<GenerateResult> {
    for await (const _ of this) void _;
    const last = this.#seen.filter((chunk) => chunk.finishReason !== null).sort((a, b) => a.index - b.index);
    const choices = last.map((end) => this.#choice(end));
    const usages = last.map((end) => end.usage!);
    return {
      ...choices[0]!,
      choices,
      ...(this.#promptLogprobs && { promptLogprobs: this.#promptLogprobs }),
      usage: {
        ...usages[0]!,
        completionTokens: usages.reduce((sum, usage) => sum + usage.completionTokens, 0),
      },
    };
  }

  /** The text of the first continuation. */
  async text(): Promise<string> {
    return (await this.result()).text;
  }

  #choice(end: GenerateChunk): Choice {
    const chunks = this.#seen.filter((chunk) => chunk.index === end.index);
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

  #take(): void {
    if (this.#isTaken) throw new ArgumentTypeError("generation: its chunks can be read once");
    this.#isTaken = true;
  }
}
