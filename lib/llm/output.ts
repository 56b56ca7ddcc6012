/**
 * From token ids to what the caller sees: text without half characters, stop strings across token borders, log
 * probabilities with their tokens. One `ChoiceOutput` per continuation; it knows nothing of scheduling.
 */
import type { PositionLogprobs } from "../engine/deviceStep.js";
import type { FinishReason } from "../schedule/request.js";
import { Detokenizer } from "../text/detokenizer.js";
import { StopFinder, type StopSearch } from "../text/stopFinder.js";
import type { StopPush } from "../text/stopStrings.js";
import { textInside } from "../text/tokenText.js";
import type { Tokenizer } from "../text/tokenizer.js";
import type { Generation } from "./generateOptions.js";

/** A token with its natural log probability under the unchanged model. */
export interface TokenLogprob {
  readonly tokenId: number;
  /** What the token adds to a text, such as " was"; special tokens included. Undefined without a tokenizer. */
  readonly text: string | undefined;
  readonly logprob: number;
  /** The most likely tokens at this position, best first. */
  readonly top: readonly {
    readonly tokenId: number;
    readonly text: string | undefined;
    readonly logprob: number;
  }[];
}

export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Prompt tokens that came from the prefix cache. */
  readonly cachedTokens: number;
}

/** A piece of one continuation. The last one has a `finishReason`, and with it `stopReason` and `usage`. */
export type GenerateChunk = {
  /** Which continuation, 0 to n - 1. */
  readonly index: number;
  /** Text that is final now; often empty, because characters and stop strings are held back until they are complete. */
  readonly text: string;
  readonly tokenIds: readonly number[];
  /** One per token, when asked for. */
  readonly logprobs?: readonly TokenLogprob[];
} & (
  | { readonly finishReason: null; readonly stopReason?: undefined; readonly usage?: undefined }
  | {
      readonly finishReason: FinishReason;
      /** The stop string or token id that ended the text. */
      readonly stopReason: string | number | null;
      readonly usage: Usage;
    }
);

/** Log probabilities of one position with the texts of their tokens. */
export function describeLogprobs(
  tokenId: number,
  { chosen, topIds, topValues }: PositionLogprobs,
  tokenizer: Tokenizer | null,
): TokenLogprob {
  const text = (id: number) => (tokenizer ? textInside(tokenizer, id) : undefined);
  return {
    tokenId,
    text: text(tokenId),
    logprob: chosen,
    top: Array.from(topIds, (id, i) => ({ tokenId: id, text: text(id), logprob: topValues[i]! })),
  };
}

export class ChoiceOutput {
  readonly index: number;
  readonly #generation: Generation;
  readonly #tokenizer: Tokenizer | null;
  readonly #detokenizer: Detokenizer | null;
  readonly #stops: StopFinder;
  #completionTokens = 0;
  #lastId: number | undefined;

  /**
   * @param prompt token ids before the continuation: its text goes on where theirs ends
   * @param stops what `generation.stop` asks to look for; the continuations of a prompt share it
   */
  constructor(
    index: number,
    prompt: ArrayLike<number>,
    generation: Generation,
    tokenizer: Tokenizer | null,
    stops: StopSearch,
  ) {
    const { skipSpecialTokens, includeStop } = generation;
    this.index = index;
    this.#generation = generation;
    this.#tokenizer = tokenizer;
    this.#detokenizer = tokenizer && new Detokenizer(tokenizer, { skipSpecialTokens, context: prompt });
    this.#stops = new StopFinder(stops, { includeStop });
  }

  get completionTokens(): number {
    return this.#completionTokens;
  }

  /** Takes the next token. `stopped` tells that a stop string ended the text. */
  push(
    tokenId: number,
    logprobs: PositionLogprobs | null,
  ): { readonly chunk: GenerateChunk; readonly stopped: boolean } {
    this.#completionTokens++;
    this.#lastId = tokenId;
    const { text, stopped } = this.#textOf(tokenId);
    const chunk: GenerateChunk = {
      index: this.index,
      text,
      tokenIds: [tokenId],
      ...(logprobs && { logprobs: [describeLogprobs(tokenId, logprobs, this.#tokenizer)] }),
      finishReason: null,
    };
    return { chunk, stopped: stopped !== null };
  }

  #textOf(tokenId: number): StopPush {
    const isHidden = this.#stops.watches(tokenId);
    const piece = (isHidden ? this.#detokenizer?.take() : this.#detokenizer?.push(tokenId)) ?? "";
    if (this.#completionTokens < this.#generation.minTokens) return { text: piece, stopped: null };
    const before = this.#stops.push(piece);
    if (!isHidden || before.stopped !== null) return before;
    const { text, stopped } = this.#stops.pushHidden(tokenId);
    return { text: before.text + text, stopped };
  }

  /** Hands out what was held back, with the end of the continuation. */
  finish(reason: FinishReason, usage: Omit<Usage, "completionTokens">): GenerateChunk {
    let text = "";
    if (this.#stops.stopped === null) {
      const { text: rest, stopped } = this.#stops.push(this.#detokenizer?.flush() ?? "");
      text = stopped === null ? rest + this.#stops.flush() : rest;
    }
    // Text that was held back to the end may have had a stop string in it.
    const stop = reason === "abort" ? null : this.#stops.stopped;
    return {
      index: this.index,
      text,
      tokenIds: [],
      finishReason: stop === null ? reason : "stop",
      stopReason: stop ?? (reason === "stop" ? (this.#lastId ?? null) : null),
      usage: { ...usage, completionTokens: this.#completionTokens },
    };
  }
}
