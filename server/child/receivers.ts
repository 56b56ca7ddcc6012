/** What waits for the answers of a call in the server: a stream like that of `LLM`, or a promise. */
import type { GenerateOptions } from "../../lib/index.js";
import { GenerationChannel } from "../../lib/llm/generationStream.js";
import { Turns } from "../turns.js";
import type { Answer } from "./messages.js";
import { unpackError } from "./sentErrors.js";

export interface Receiver {
  /** @returns whether it was the last one */
  take(answer: Answer): boolean;
  /** The process has ended before the last answer. */
  lose(error: Error): void;
}

/** An event of a stream costs 0.1 to 0.3 ms; a message has up to one for each sequence of the batch. */
const answersPerTurn = 2;

/** Whoever waits for the answers of one process. */
export class Receivers {
  readonly #byId = new Map<number, Receiver>();
  readonly #turns = new Turns<Answer>(answersPerTurn, (answer) => {
    if (this.#byId.get(answer.id)?.take(answer)) this.remove(answer.id);
  });
  #loss: Error | undefined;

  /** @throws why the process has ended, if it has: it would answer nobody */
  add(id: number, receiver: Receiver): void {
    if (this.#loss) throw this.#loss;
    this.#byId.set(id, receiver);
  }

  has(id: number): boolean {
    return this.#byId.has(id);
  }

  remove(id: number): void {
    this.#byId.delete(id);
  }

  give(answers: readonly Answer[]): void {
    this.#turns.add(answers);
  }

  /** The process has ended. What it had answered before is still given. */
  lose(error: Error): void {
    this.#turns.flush();
    this.#loss = error;
    for (const receiver of this.#byId.values()) receiver.lose(error);
    this.#byId.clear();
  }
}

/** Feeds the stream that the caller has. */
export class StreamReceiver implements Receiver {
  readonly channel: GenerationChannel;
  readonly #n: number;
  #open: number;

  constructor(id: string, { n = 1 }: GenerateOptions, abort: () => void) {
    this.#n = n;
    this.#open = n;
    this.channel = new GenerationChannel(id, n, abort);
  }

  /** Whether its end has not come. */
  get isOpen(): boolean {
    return this.#open > 0;
  }

  take(answer: Answer): boolean {
    if ("error" in answer) {
      this.#open = 0;
      this.channel.fail(unpackError(answer.error));
      return true;
    }
    if ("started" in answer) this.channel.start(answer.started);
    else if ("promptLogprobs" in answer) this.channel.setPromptLogprobs(answer.promptLogprobs);
    else if ("chunk" in answer) {
      this.channel.push(answer.chunk);
      if (answer.chunk.finishReason !== null) this.#open--;
    }
    return !this.isOpen;
  }

  lose(error: Error): void {
    this.#open = 0;
    this.channel.fail(error);
  }

  /** It was aborted before the engine had it. */
  endUnasked(): void {
    const usage = { promptTokens: 0, completionTokens: 0, cachedTokens: 0 };
    this.#open = 0;
    this.channel.start();
    for (let index = 0; index < this.#n; index++)
      this.channel.push({ index, text: "", tokenIds: [], finishReason: "abort", stopReason: null, usage });
  }
}

/** Settles a promise. */
export class ValueReceiver implements Receiver {
  readonly value: Promise<unknown>;
  #resolve: ((value: unknown) => void) | undefined;
  #reject: ((error: Error) => void) | undefined;

  constructor() {
    this.value = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  take(answer: Answer): boolean {
    if ("error" in answer) this.lose(unpackError(answer.error));
    else if ("value" in answer) this.#resolve!(answer.value);
    return true;
  }

  lose(error: Error): void {
    this.#reject!(error);
  }
}
